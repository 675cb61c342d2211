//! Questions that any client may ask: messages by key and by place, and a new topic.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use integration_tests::{
    delivery::DELIVERY_LIMIT,
    java_client::JavaClient,
    ports::free_port,
    proxy_process::Remora,
    raw::RawConnection,
    rocketmq::QUEUES_PER_BROKER,
    scenario::Scenario,
    suite::TestFn,
    wait::{now_ms, wait_until},
};
use remoting_codec::{RemotingCommand, RequestCode};

pub(crate) const TESTS: &[(&str, TestFn)] = &[
    ("query_by_key", query_by_key),
    ("query_by_two_threads", query_by_two_threads),
    ("fields_that_brokers_judge", fields_that_brokers_judge),
    ("view_by_place", view_by_place),
    ("create_topic", create_topic),
];

/// A broker's index is behind its log.
const INDEX_LIMIT: Duration = Duration::from_secs(20);

fn query_by_key(it: &Scenario<'_>) -> Result<()> {
    let topic = it.topic()?;
    let mut producer = it.producer().start()?;
    let mut common = producer.send(&topic, "common", 16, &[("key", "shared-key")])?;
    common.sort();
    let own = producer.send(&topic, "own", 16, &[])?;
    let mut admin = it.admin().start()?;
    let mut found = Vec::new();
    wait_until("the index", INDEX_LIMIT, || {
        found = query(&mut admin, &topic, "shared-key", false).unwrap_or_default();
        Ok((found.len() >= common.len()).then_some(()))
    })
    .map_err(|e| e.context(format!("found {found:?}")))?;
    // Not before all are indexed, as more than all would be seen then, too.
    for _ in 0..3 {
        let found = query(&mut admin, &topic, "shared-key", false)?;
        ensure!(found == common, "found {found:?}");
    }
    for body in &own {
        let found = query(&mut admin, &topic, body, false)?;
        ensure!(found == [body.as_str()], "{body}: found {found:?}");
    }
    for sent in producer.sent() {
        let id = sent.id.context("a synchronous send returns the id")?;
        let found = query(&mut admin, &topic, &id, true)?;
        ensure!(
            found == [sent.body.as_str()],
            "{id} of {}: found {found:?}",
            sent.body
        );
    }
    it.stop([producer, admin])
}

/// What a key finds, sorted.
fn query(admin: &mut JavaClient, topic: &str, key: &str, unique: bool) -> Result<Vec<String>> {
    let unique = unique.to_string();
    let options = [("topic", topic), ("key", key), ("unique", &unique)];
    let mut found: Vec<String> = serde_json::from_value(admin.run("query", &options)?)?;
    found.sort();
    Ok(found)
}

/// Threads of one client ask the same over one connection. None misses a message; behind one
/// address a message may be found more than once then, because nothing shows which request is for
/// which broker.
fn query_by_two_threads(it: &Scenario<'_>) -> Result<()> {
    let topic = it.topic()?;
    let mut producer = it.producer().start()?;
    let mut sent = producer.send(&topic, "common", 16, &[("key", "shared-key")])?;
    sent.sort();
    let mut admin = it.admin().start()?;
    wait_until("the index", INDEX_LIMIT, || {
        let found = query(&mut admin, &topic, "shared-key", false).unwrap_or_default();
        Ok((found.len() >= sent.len()).then_some(()))
    })?;
    let options = [
        ("topic", topic.as_str()),
        ("key", "shared-key"),
        ("threads", "2"),
    ];
    for _ in 0..20 {
        let found = admin.run("query-together", &options)?;
        let found: Vec<Vec<String>> = serde_json::from_value(found)?;
        for mut one in found {
            one.sort();
            if it.remora_binary().is_some() {
                one.dedup();
            }
            ensure!(one == sent, "found {one:?}");
        }
    }
    it.stop([producer, admin])
}

/// What a broker takes or refuses without this or that field, it takes or refuses through Remora.
fn fields_that_brokers_judge(it: &Scenario<'_>) -> Result<()> {
    const ALL: &[(&str, &str)] = &[
        ("consumerGroup", "judged"),
        ("producerGroup", "judged"),
        ("queueId", "0"),
        ("queueOffset", "0"),
        ("maxMsgNums", "1"),
        ("invisibleTime", "10000"),
        ("pollTime", "0"),
        ("initMode", "0"),
        ("extraInfo", "0 1000 60000 0 0 broker-a 0 0"),
        ("offset", "0"),
        ("bname", "broker-a"),
        ("defaultTopic", "TBW102"),
        ("defaultTopicQueueNums", "4"),
        ("sysFlag", "0"),
        ("bornTimestamp", "1700000000000"),
        ("flag", "0"),
        ("commitOffset", "0"),
        ("clientID", "judged"),
    ];
    const CASES: &[(RequestCode, &[&str])] = &[
        (
            RequestCode::POP_MESSAGE,
            &["queueId", "pollTime", "invisibleTime"],
        ),
        (RequestCode::PEEK_MESSAGE, &["queueId", "maxMsgNums"]),
        (RequestCode::POLLING_INFO, &["queueId"]),
        (
            RequestCode::NOTIFICATION,
            &["queueId", "pollTime", "consumerGroup"],
        ),
        (
            RequestCode::SEND_MESSAGE,
            &["producerGroup", "queueId", "bornTimestamp"],
        ),
        (
            RequestCode::ACK_MESSAGE,
            &["consumerGroup", "extraInfo", "offset"],
        ),
        (
            RequestCode::CHANGE_MESSAGE_INVISIBLETIME,
            &["consumerGroup", "invisibleTime"],
        ),
        (
            RequestCode::QUERY_CONSUMER_OFFSET,
            &["consumerGroup", "queueId"],
        ),
        (RequestCode::UNREGISTER_CLIENT, &["clientID"]),
        (RequestCode::PULL_MESSAGE, &["consumerGroup", "queueId"]),
    ];
    let topic = it.topic()?;
    let brokers = it.cluster().brokers();
    let broker = brokers.iter().find(|broker| broker.name() == "broker-a");
    let mut direct = RawConnection::connect(broker.context("broker-a is not there")?.address())?;
    let name_server = &it.target().name_server;
    let target = match it.remora_binary() {
        Some(_) => name_server.parse()?,
        None => broker.context("broker-a is not there")?.address(),
    };
    let mut other = RawConnection::connect(target)?;
    let mut differ = Vec::new();
    for (code, missing) in CASES {
        for field in *missing {
            for given in [None, Some(""), Some("no number")] {
                let born = now_ms().to_string();
                let born = [("topic", topic.as_str()), ("bornTime", born.as_str())];
                let fields = ALL.iter().copied().chain(born);
                let mut request = RemotingCommand::request(*code);
                if matches!(*code, RequestCode::SEND_MESSAGE) {
                    request = request.with_body("m");
                }
                for (name, value) in fields.filter(|(name, _)| name != field) {
                    request = request.with_field(name.to_owned(), value.to_owned());
                }
                if let Some(given) = given {
                    request = request.with_field(*field, given);
                }
                let codes = [&mut direct, &mut other].map(|to| to.call(&request));
                let [direct, other] = codes;
                let (direct, other) = (direct?, other?);
                if direct.code != other.code {
                    let (here, there) = (direct.remark, other.remark);
                    differ.push(format!(
                        "{code} {field}={given:?}: {} {here:?}, {} {there:?}",
                        direct.code, other.code
                    ));
                }
            }
        }
    }
    ensure!(differ.is_empty(), "{}", differ.join("\n"));
    Ok(())
}

/// A client asks the server whose address is in a message's id: here a broker's port of the proxy.
fn view_by_place(it: &Scenario<'_>) -> Result<()> {
    let topic = it.topic()?;
    let mut producer = it.producer().start()?;
    producer.send(&topic, "m", 8, &[])?;
    let brokers = it.cluster().brokers();
    let (target, ports, remora) = match it.remora_binary() {
        Some(binary) => {
            let ports = [free_port()?, free_port()?];
            let listeners: Vec<_> = brokers
                .iter()
                .map(|broker| broker.name())
                .zip(ports)
                .collect();
            let name_server = &it.cluster().target().name_server;
            let dir = it.dir("remora")?;
            let remora =
                Remora::start_with_broker_listeners(binary, &dir, name_server, &listeners)?;
            (remora.target().clone(), ports.to_vec(), Some(remora))
        }
        None => {
            let ports = brokers
                .iter()
                .map(|broker| broker.address().port())
                .collect();
            (it.cluster().target().clone(), ports, None)
        }
    };
    let mut admin = it.admin().target(&target).start()?;
    for sent in producer.sent() {
        let queue = sent.queue.context("a synchronous send returns the queue")?;
        let broker = brokers
            .iter()
            .position(|broker| queue.starts_with(&format!("{}:", broker.name())))
            .and_then(|place| ports.get(place))
            .context("a broker that does not exist")?;
        let port = broker.to_string();
        let options = [
            ("topic", topic.as_str()),
            ("key", &sent.body),
            ("port", &port),
        ];
        wait_until("the message in the index", INDEX_LIMIT, || {
            // Nothing found by its key is an error at this client.
            Ok(admin
                .run("view", &options)
                .ok()
                .filter(|found| *found == sent.body.as_str()))
        })?;
    }
    it.stop([producer, admin])?;
    remora.map_or(Ok(()), |remora| remora.stop(&[]))
}

/// A client makes a topic by telling each broker; all of them must hear of it.
fn create_topic(it: &Scenario<'_>) -> Result<()> {
    let topic = it.name("topic");
    let mut admin = it.admin().start()?;
    let queues = QUEUES_PER_BROKER.to_string();
    admin.run("create-topic", &[("topic", &topic), ("queues", &queues)])?;
    wait_until("both brokers to have the topic", DELIVERY_LIMIT, || {
        Ok((it.cluster().queues(&topic)?.len() == 2 * QUEUES_PER_BROKER).then_some(()))
    })?;
    it.stop([admin])
}
