//! Each call, as its client expects it.

use anyhow::{Context as _, Result, ensure};
use grpc::proto::Duration as ProtoDuration;
use grpc::proto::{
    ChangeInvisibleDurationRequest, ChangeInvisibleDurationResponse, Code, GetOffsetRequest,
    GetOffsetResponse, HeartbeatRequest, HeartbeatResponse, MessageQueue, MessageType, PullContent,
    PullMessageRequest, PullMessageResponse, QueryOffsetRequest, QueryOffsetResponse,
    QueryRouteRequest, QueryRouteResponse, Resource, SendMessageRequest, SendMessageResponse,
    SystemProperties, Timestamp, UpdateOffsetRequest, UpdateOffsetResponse,
};
use integration_tests::scenario::Scenario;
use integration_tests::suite::TestFn;

use crate::common::{
    acknowledge, acknowledging, begin, client, client_named, expect, handle, message, receive,
    receive_all, receiving, resource, run, send, send_ok,
};

pub(crate) const TESTS: &[(&str, TestFn)] = &[
    ("calls_need_no_settings", calls_need_no_settings),
    (
        "acknowledging_is_a_first_call",
        acknowledging_is_a_first_call,
    ),
    ("a_message_keeps_what_it_has", a_message_keeps_what_it_has),
    ("several_messages_of_a_call", several_messages_of_a_call),
    (
        "a_changed_handle_acknowledges",
        a_changed_handle_acknowledges,
    ),
    (
        "a_consumer_keeps_its_own_place",
        a_consumer_keeps_its_own_place,
    ),
    ("namespaces_are_apart", namespaces_are_apart),
    (
        "a_delay_excludes_a_transaction",
        a_delay_excludes_a_transaction,
    ),
];

/// Complaint 6: no call needs a Telemetry stream before it.
fn calls_need_no_settings(it: &Scenario<'_>) -> Result<()> {
    let topic = it.topic()?;
    run(async {
        let client = client(it).await?;
        let group = it.name("group");
        let beat = HeartbeatRequest {
            group: resource(&group),
            client_type: 2,
        };
        let answer: HeartbeatResponse = client.unary("Heartbeat", &beat).await?;
        expect(answer.status.as_ref(), Code::Ok)?;
        begin(it, &client, &group, &topic).await?;
        send_ok(&client, message(&topic, "m")).await?;
        let messages = receive_all(it, &client, &group, &topic, 1).await?;
        let first = messages.first().context("no message")?;
        let answer = acknowledge(&client, &group, &topic, first).await?;
        expect(answer.status.as_ref(), Code::Ok)
    })
}

/// Complaint 5: a client that has just connected acknowledges what another connection received.
fn acknowledging_is_a_first_call(it: &Scenario<'_>) -> Result<()> {
    let topic = it.topic()?;
    run(async {
        let (one, group) = (client(it).await?, it.name("group"));
        begin(it, &one, &group, &topic).await?;
        send_ok(&one, message(&topic, "m")).await?;
        let messages = receive_all(it, &one, &group, &topic, 1).await?;
        let other = client_named(it, "other").await?;
        let first = messages.first().context("no message")?;
        let answer = acknowledge(&other, &group, &topic, first).await?;
        expect(answer.status.as_ref(), Code::Ok)?;
        let mut wrong = acknowledging(&group, &topic, first);
        wrong
            .entries
            .iter_mut()
            .for_each(|entry| entry.receipt_handle = "x".to_owned());
        wrong
            .entries
            .extend(acknowledging(&group, &topic, first).entries);
        let answer: grpc::proto::AckMessageResponse = other.unary("AckMessage", &wrong).await?;
        expect(answer.status.as_ref(), Code::MultipleResults)?;
        let codes: Vec<i32> = answer
            .entries
            .iter()
            .filter_map(|entry| Some(entry.status.as_ref()?.code))
            .collect();
        let expected = [Code::InvalidReceiptHandle, Code::Ok].map(i32::from);
        ensure!(codes == expected, "{codes:?}");
        Ok(())
    })
}

fn a_message_keeps_what_it_has(it: &Scenario<'_>) -> Result<()> {
    let topic = it.topic()?;
    run(async {
        let (client, group) = (client(it).await?, it.name("group"));
        begin(it, &client, &group, &topic).await?;
        let answer = send_ok(&client, message(&topic, "id-1")).await?;
        let entry = answer.entries.first().context("no entry")?;
        ensure!(entry.message_id == "id-1" && entry.offset >= 0, "{entry:?}");
        let messages = receive_all(it, &client, &group, &topic, 1).await?;
        let got = messages.first().context("no message")?;
        ensure!(got.topic == resource(&topic), "{:?}", got.topic);
        ensure!(got.body == "id-1".as_bytes(), "{:?}", got.body);
        ensure!(
            got.user_properties == [("own".into(), "property".into())].into(),
            "{got:?}"
        );
        let system = got.system_properties.as_ref().context("no properties")?;
        ensure!(system.message_id == "id-1", "{system:?}");
        ensure!(
            system.tag.as_deref() == Some("tag") && system.keys == ["key"],
            "{system:?}"
        );
        ensure!(system.delivery_attempt == Some(1), "{system:?}");
        ensure!(system.born_host.starts_with("127.0.0.1"), "{system:?}");
        ensure!(
            system.message_type == i32::from(MessageType::Normal),
            "{system:?}"
        );
        // Of another tag, nothing comes.
        let mut request = receiving(&group, &topic, "");
        request.filter_expression = Some(grpc::proto::FilterExpression {
            r#type: 1,
            expression: "other".to_owned(),
        });
        request.long_polling_timeout = Some(ProtoDuration::from_millis(1));
        send_ok(&client, message(&topic, "id-2")).await?;
        let (status, messages) = receive(&client, &request).await?;
        ensure!(messages.is_empty(), "{messages:?}");
        expect(status.as_ref(), Code::MessageNotFound)
    })
}

fn several_messages_of_a_call(it: &Scenario<'_>) -> Result<()> {
    let topic = it.topic()?;
    run(async {
        let (client, group) = (client(it).await?, it.name("group"));
        begin(it, &client, &group, &topic).await?;
        let messages: Vec<_> = (0..5).map(|n| message(&topic, &format!("m{n}"))).collect();
        let request = SendMessageRequest { messages };
        let answer: SendMessageResponse = client.unary("SendMessage", &request).await?;
        expect(answer.status.as_ref(), Code::Ok)?;
        let ids: Vec<&str> = answer
            .entries
            .iter()
            .map(|e| e.message_id.as_str())
            .collect();
        ensure!(ids == ["m0", "m1", "m2", "m3", "m4"], "{ids:?}");
        let got = receive_all(it, &client, &group, &topic, 5).await?;
        let mut bodies: Vec<_> = got.iter().map(|message| message.body.clone()).collect();
        bodies.sort();
        bodies.dedup();
        ensure!(bodies.len() == 5, "{bodies:?}");
        let mixed = SendMessageRequest {
            messages: vec![message(&topic, "a"), message(&it.name("other"), "b")],
        };
        let answer: SendMessageResponse = client.unary("SendMessage", &mixed).await?;
        expect(answer.status.as_ref(), Code::BadRequest)
    })
}

/// Complaint 3.
fn a_changed_handle_acknowledges(it: &Scenario<'_>) -> Result<()> {
    let topic = it.topic()?;
    run(async {
        let (client, group) = (client(it).await?, it.name("group"));
        begin(it, &client, &group, &topic).await?;
        send_ok(&client, message(&topic, "m")).await?;
        let messages = receive_all(it, &client, &group, &topic, 1).await?;
        let mut first = messages.first().context("no message")?.clone();
        let change = ChangeInvisibleDurationRequest {
            group: resource(&group),
            topic: resource(&topic),
            receipt_handle: handle(&first),
            invisible_duration: Some(ProtoDuration::from_millis(4_000)),
            message_id: "m".to_owned(),
            ..ChangeInvisibleDurationRequest::default()
        };
        let changed: ChangeInvisibleDurationResponse =
            client.unary("ChangeInvisibleDuration", &change).await?;
        expect(changed.status.as_ref(), Code::Ok)?;
        ensure!(
            changed.receipt_handle != handle(&first),
            "the handle is the same"
        );
        if let Some(system) = &mut first.system_properties {
            system.receipt_handle = Some(changed.receipt_handle);
        }
        let answer = acknowledge(&client, &group, &topic, &first).await?;
        expect(answer.status.as_ref(), Code::Ok)?;
        tokio::time::sleep(std::time::Duration::from_secs(8)).await;
        for broker in it.cluster().brokers() {
            let mut request = receiving(&group, &topic, broker.name());
            request.long_polling_timeout = Some(ProtoDuration::from_millis(1));
            let (_, again) = receive(&client, &request).await?;
            ensure!(again.is_empty(), "it came again: {again:?}");
        }
        Ok(())
    })
}

/// The calls that the Java proxy does not have.
fn a_consumer_keeps_its_own_place(it: &Scenario<'_>) -> Result<()> {
    let topic = it.topic()?;
    run(async {
        let (client, group) = (client(it).await?, it.name("group"));
        let sent = send_ok(&client, message(&topic, "m")).await?;
        ensure!(sent.entries.len() == 1, "{sent:?}");
        let request = QueryRouteRequest {
            topic: resource(&topic),
            endpoints: None,
        };
        let route: QueryRouteResponse = client.unary("QueryRoute", &request).await?;
        let mut found = 0;
        for queue in route.message_queues {
            let queue: Option<MessageQueue> = Some(queue);
            let mut places = Vec::new();
            for policy in 0..2 {
                let query = QueryOffsetRequest {
                    message_queue: queue.clone(),
                    query_offset_policy: policy,
                    timestamp: None,
                };
                let answer: QueryOffsetResponse = client.unary("QueryOffset", &query).await?;
                expect(answer.status.as_ref(), Code::Ok)?;
                places.push(answer.offset);
            }
            let [first, next] = places[..] else {
                continue;
            };
            if first == next {
                continue;
            }
            let pull = PullMessageRequest {
                group: resource(&group),
                message_queue: queue.clone(),
                offset: first,
                batch_size: 16,
                ..PullMessageRequest::default()
            };
            let answers: Vec<PullMessageResponse> = client.stream("PullMessage", &pull).await?;
            for answer in answers {
                match answer.content {
                    Some(PullContent::Message(message)) => {
                        ensure!(message.body == "m".as_bytes(), "{message:?}");
                        found += 1;
                    }
                    Some(PullContent::NextOffset(offset)) => ensure!(offset == next, "{offset}"),
                    Some(PullContent::Status(status)) => expect(Some(&status), Code::Ok)?,
                    None => {}
                }
            }
            let update = UpdateOffsetRequest {
                group: resource(&group),
                message_queue: queue.clone(),
                offset: next,
            };
            let answer: UpdateOffsetResponse = client.unary("UpdateOffset", &update).await?;
            expect(answer.status.as_ref(), Code::Ok)?;
            let get = GetOffsetRequest {
                group: resource(&group),
                message_queue: queue,
            };
            let answer: GetOffsetResponse = client.unary("GetOffset", &get).await?;
            expect(answer.status.as_ref(), Code::Ok)?;
            ensure!(answer.offset == next, "{answer:?}");
        }
        ensure!(found == 1, "{found} messages");
        Ok(())
    })
}

/// Complaint 20: the same names in two namespaces are two topics and two groups.
fn namespaces_are_apart(it: &Scenario<'_>) -> Result<()> {
    let name = it.name("apart");
    for namespace in ["one", "two"] {
        it.cluster()
            .create_topic(&format!("{namespace}%{name}"), 1)?;
    }
    run(async {
        let client = client(it).await?;
        let (one, two) = (
            client.with("x-mq-namespace", "one"),
            client.with("x-mq-namespace", "two"),
        );
        let group = it.name("group");
        for client in [&one, &two] {
            begin(it, client, &group, &name).await?;
        }
        send_ok(&one, message(&name, "of one")).await?;
        // A resource's own namespace counts more than the header.
        let mut other = message(&name, "of two");
        other.topic = Some(Resource {
            resource_namespace: "two".to_owned(),
            name: name.clone(),
        });
        send_ok(&one, other).await?;
        for (client, body) in [(&one, "of one"), (&two, "of two")] {
            let got = receive_all(it, client, &group, &name, 1).await?;
            let bodies: Vec<_> = got.iter().map(|message| message.body.clone()).collect();
            ensure!(bodies == [body.as_bytes()], "{bodies:?}");
            let first = got.first().context("no message")?;
            ensure!(first.topic == resource(&name), "{:?}", first.topic);
            let answer = acknowledge(client, &group, &name, first).await?;
            expect(answer.status.as_ref(), Code::Ok)?;
        }
        let answer = send(&client, message(&name, "m")).await?;
        expect(answer.status.as_ref(), Code::TopicNotFound)
    })
}

/// Complaint 27.
fn a_delay_excludes_a_transaction(it: &Scenario<'_>) -> Result<()> {
    let topic = it.topic()?;
    run(async {
        let client = client(it).await?;
        let mut both = message(&topic, "m");
        both.system_properties = Some(SystemProperties {
            message_type: MessageType::Transaction.into(),
            delivery_timestamp: Some(Timestamp::from_millis(4_000_000_000_000)),
            ..both.system_properties.unwrap_or_default()
        });
        let answer = send(&client, both).await?;
        expect(
            answer.status.as_ref(),
            Code::MessagePropertyConflictWithType,
        )?;
        // A topic of one type does not take messages of another.
        let mut delayed = message(&topic, "m");
        if let Some(system) = &mut delayed.system_properties {
            system.delivery_timestamp = Some(Timestamp::from_millis(1));
        }
        let answer = send(&client, delayed).await?;
        expect(
            answer.status.as_ref(),
            Code::MessagePropertyConflictWithType,
        )
    })
}
