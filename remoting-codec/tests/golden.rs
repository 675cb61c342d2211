//! Frames that the real Java client, name server and broker sent, in both serializations, read as
//! Java's own decoder reads them. See golden/README.md.

#![allow(clippy::unwrap_used, reason = "a test that panics fails")]

use std::{collections::BTreeMap, fs, path::PathBuf};

use bytes::Bytes;
use remoting_codec::{
    CommandView, FieldKind, FieldSpec, Fields, FrameLimits, Language, Opaque, RemotingCommand,
    RequestCode, SerializeType, Version,
    body::{
        ClientConfig, ClusterInfo, ConsumerList, Heartbeat, LockBatch, LockBatchResponse,
        MessageModel, MessageQueue, TopicRouteData,
    },
    frame_length,
};
use serde::Deserialize;

const SERIALIZATIONS: [(&str, SerializeType); 2] = [
    ("json", SerializeType::Json),
    ("binary", SerializeType::RocketMq),
];

/// The frames that must exist, so that a new capture does not lose any.
const REQUESTS: [(&str, RequestCode); 22] = [
    ("check-client-config", RequestCode::CHECK_CLIENT_CONFIG),
    ("cluster-info", RequestCode::GET_BROKER_CLUSTER_INFO),
    ("consumer-list", RequestCode::GET_CONSUMER_LIST_BY_GROUP),
    (
        "earliest-store-time",
        RequestCode::GET_EARLIEST_MSG_STORETIME,
    ),
    ("heartbeat", RequestCode::HEART_BEAT),
    ("lite-pull-message", RequestCode::LITE_PULL_MESSAGE),
    ("lock-batch", RequestCode::LOCK_BATCH_MQ),
    ("max-offset", RequestCode::GET_MAX_OFFSET),
    ("min-offset", RequestCode::GET_MIN_OFFSET),
    (
        "notify-consumer-ids-changed",
        RequestCode::NOTIFY_CONSUMER_IDS_CHANGED,
    ),
    ("pull-message", RequestCode::PULL_MESSAGE),
    ("query-consumer-offset", RequestCode::QUERY_CONSUMER_OFFSET),
    ("route", RequestCode::GET_ROUTEINFO_BY_TOPIC),
    ("search-offset", RequestCode::SEARCH_OFFSET_BY_TIMESTAMP),
    ("send-back", RequestCode::CONSUMER_SEND_MSG_BACK),
    ("send-batch", RequestCode::SEND_BATCH_MESSAGE),
    ("send-message", RequestCode::SEND_MESSAGE),
    ("send-message-v2", RequestCode::SEND_MESSAGE_V2),
    ("unlock-batch", RequestCode::UNLOCK_BATCH_MQ),
    ("unregister-client", RequestCode::UNREGISTER_CLIENT),
    (
        "update-consumer-offset",
        RequestCode::UPDATE_CONSUMER_OFFSET,
    ),
    (
        "update-consumer-offset-two-way",
        RequestCode::UPDATE_CONSUMER_OFFSET,
    ),
];

/// One-way requests.
const ONEWAY: [&str; 2] = ["notify-consumer-ids-changed", "update-consumer-offset"];

/// A frame as Java's decoder reads it.
#[derive(Debug, Deserialize, Eq, PartialEq)]
struct Decoded {
    body: usize,
    code: i32,
    #[serde(rename = "extFields")]
    ext_fields: BTreeMap<String, String>,
    flag: i32,
    language: String,
    opaque: i32,
    remark: String,
    version: i32,
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn frame(name: &str, serialization: &str) -> Bytes {
    let file = folder().join(format!("{name}.{serialization}.bin"));
    fs::read(&file)
        .unwrap_or_else(|error| panic!("{}: {error}", file.display()))
        .into()
}

/// Every captured frame, with what Java reads in it.
fn frames() -> impl Iterator<Item = (String, SerializeType, Bytes, Decoded)> {
    SERIALIZATIONS
        .into_iter()
        .flat_map(|(serialization, serialize_type)| {
            let decoded = folder().join(format!("decoded.{serialization}.json"));
            let decoded: BTreeMap<String, Decoded> =
                serde_json::from_str(&fs::read_to_string(decoded).unwrap()).unwrap();
            decoded.into_iter().map(move |(file, decoded)| {
                let bytes = fs::read(folder().join(&file)).unwrap();
                (file, serialize_type, bytes.into(), decoded)
            })
        })
}

#[test]
fn all_frames_exist_and_no_others() {
    for (serialization, _) in SERIALIZATIONS {
        for (name, code) in REQUESTS {
            let request = frame(&format!("{name}.request"), serialization);
            let request = CommandView::decode(&request).unwrap();
            assert_eq!(request.request_code(), code);
            assert!(!request.is_response());
            assert_eq!(request.is_oneway(), ONEWAY.contains(&name), "{name}");
            if !request.is_oneway() {
                let response = frame(&format!("{name}.response"), serialization);
                let response = CommandView::decode(&response).unwrap();
                assert!(response.is_response() && !response.is_oneway());
                assert_eq!(response.code(), 0);
            }
        }
        for (name, code) in [
            ("lite-pull-message-19", 19),
            ("pull-message-19", 19),
            ("query-consumer-offset-22", 22),
            ("route-17", 17),
        ] {
            let response = frame(&format!("{name}.response"), serialization);
            assert_eq!(CommandView::decode(&response).unwrap().code(), code);
        }
    }
    let files = fs::read_dir(folder()).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    let captured = names.filter(|name| name.ends_with(".bin")).count();
    assert_eq!(captured, frames().count());
}

#[test]
fn every_frame_is_read_as_java_reads_it() {
    for (file, serialize_type, frame, java) in frames() {
        let length = frame_length(&frame, FrameLimits::default());
        assert_eq!(length, Ok(Some(frame.len())), "{file}");
        let view = CommandView::decode(&frame).unwrap();
        assert_eq!(view.serialize_type(), serialize_type, "{file}");
        let mut ext_fields = BTreeMap::new();
        view.ext_fields().visit(|name, value| {
            ext_fields.insert(name.to_owned(), value.text().into_owned());
        });
        let ours = Decoded {
            body: view.body().len(),
            code: view.code(),
            ext_fields,
            flag: view.flag(),
            language: view.language().name().to_owned(),
            opaque: view.opaque().0,
            remark: view.remark().into_owned(),
            version: view.version().0,
        };
        assert_eq!(ours, java, "{file}");
        for (name, text) in &java.ext_fields {
            let value = view.ext_fields().value(name).unwrap();
            assert_eq!(value.text(), *text, "{file}");
            assert_eq!(value.long(), text.parse().ok(), "{file}");
        }
    }
}

#[test]
fn changing_the_opaque_and_restoring_it_keeps_every_frame() {
    for (file, _, frame, java) in frames() {
        for opaque in [0, 1, -1, 1_234_567, i32::MAX, i32::MIN] {
            let patched = with_opaque(&frame, opaque);
            let length = frame_length(&patched, FrameLimits::default());
            assert_eq!(length, Ok(Some(patched.len())), "{file}");
            let mut expected = RemotingCommand::decode(&frame).unwrap();
            expected.opaque = Opaque(opaque);
            let decoded = RemotingCommand::decode(&patched).unwrap();
            assert_eq!(decoded, expected, "{file}");
            assert_eq!(with_opaque(&patched, java.opaque), frame, "{file}");
        }
    }
}

fn with_opaque(frame: &Bytes, opaque: i32) -> Bytes {
    let view = CommandView::decode(frame).unwrap();
    let mut patched = Vec::new();
    view.encode_head_with_opaque(opaque, &mut patched);
    patched.extend_from_slice(view.body());
    patched.into()
}

#[test]
fn every_frame_is_written_as_java_writes_it() {
    for (file, serialize_type, frame, _) in frames() {
        let command = RemotingCommand::decode(&frame).unwrap();
        let written = command.to_bytes();
        assert_eq!(RemotingCommand::decode(&written), Ok(command), "{file}");
        // Java writes an empty map and an empty remark into JSON, and Remora does not; and it has a
        // shorter escape for the end of a line.
        let otherwise = [&br#""extFields":{}"#[..], br#""remark":"""#, br"\n"];
        let otherwise = otherwise.iter().any(|part| has(&frame, part));
        if serialize_type == SerializeType::RocketMq || !otherwise {
            assert_eq!(written, frame, "{file}");
        }
    }
}

fn has(frame: &[u8], part: &[u8]) -> bool {
    frame.windows(part.len()).any(|window| window == part)
}

#[test]
fn the_vectors_of_the_protocol_document() {
    let mut json = vec![0, 0, 0, 0x7f, 0, 0, 0, 0x7b];
    json.extend_from_slice(br#"{"code":105,"extFields":{"topic":"T"},"flag":0,"language":"JAVA","opaque":7,"serializeTypeCurrentRPC":"JSON","version":479}"#);
    let mut request =
        RemotingCommand::request(RequestCode::GET_ROUTEINFO_BY_TOPIC).with_field("topic", "T");
    request.opaque = Opaque(7);
    request.version = Version(479);
    assert_eq!(request.to_bytes(), json);
    assert_eq!(RemotingCommand::decode(&json.into()), Ok(request.clone()));

    let binary: &[u8] = &[
        0, 0, 0, 0x2a, 1, 0, 0, 0x24, // 42 bytes follow, ROCKETMQ, a header of 36
        0, 0x69, 0, 0x01, 0xdf, // code 105, JAVA, version 479
        0, 0, 0, 7, 0, 0, 0, 0, // opaque, flag
        0, 0, 0, 3, 0x68, 0xc3, 0xa9, // remark
        0, 0, 0, 0x0c, 0, 5, 0x74, 0x6f, 0x70, 0x69, 0x63, 0, 0, 0, 1, 0x54, // topic=T
        0x42, 0x42, // body
    ];
    request.serialize_type = SerializeType::RocketMq;
    let request = request.with_remark("hé").with_body("BB");
    assert_eq!(request.to_bytes(), binary);
    assert_eq!(
        RemotingCommand::decode(&Bytes::from_static(binary)),
        Ok(request)
    );
}

#[test]
fn a_send_is_read_by_its_declared_fields() {
    const SPECS: &[FieldSpec] = &[
        FieldSpec::required("a", FieldKind::Text),
        FieldSpec::required("b", FieldKind::Text),
        FieldSpec::required("e", FieldKind::Int),
        FieldSpec::required("g", FieldKind::Long),
        FieldSpec::required("i", FieldKind::Text),
        FieldSpec::optional("m", FieldKind::Text),
        FieldSpec::optional("n", FieldKind::Text),
        FieldSpec::optional("ns", FieldKind::Text),
    ];
    for (serialization, _) in SERIALIZATIONS {
        for (name, batch) in [("send-message-v2", false), ("send-batch", true)] {
            let frame = frame(&format!("{name}.request"), serialization);
            let view = CommandView::decode(&frame).unwrap();
            assert_eq!(view.language(), Language::JAVA);
            assert_eq!(view.version(), Version::V5_5_0);
            let fields = Fields::read(view.ext_fields(), SPECS).unwrap();
            let text = |at| fields.value(at).unwrap().text().into_owned();
            assert_eq!(text(0), "golden-producers");
            assert_eq!(text(1), "GoldenTopic");
            assert!((0..8).contains(&fields.value(2).unwrap().int().unwrap()));
            assert!(fields.value(3).unwrap().long().unwrap() > 1_700_000_000_000);
            // Name, 1, value, 2, and so on: control characters that JSON has to escape.
            let properties = text(4);
            let properties: Vec<_> = properties.split_terminator('\u{2}').collect();
            assert!(properties.contains(&"WAIT\u{1}true"), "{properties:?}");
            assert_eq!(properties.contains(&"TAGS\u{1}TagA"), !batch);
            assert_eq!(fields.value(5).unwrap().is_true(), batch);
            assert_eq!(text(6), "broker-a");
            assert!(fields.value(7).is_none());
        }
        let single = frame("send-message-v2.request", serialization);
        let single = CommandView::decode(&single).unwrap();
        assert_eq!(single.body(), "hello, 世界".as_bytes());
        let old = frame("send-message.request", serialization);
        let old = CommandView::decode(&old).unwrap();
        assert_eq!(old.body(), b"old names");
        let topic = old.ext_fields().value("topic").unwrap();
        assert_eq!(topic.text(), "GoldenTopic");
        let response = frame("send-message-v2.response", serialization);
        let response = RemotingCommand::decode(&response).unwrap();
        assert_eq!(response.field("msgId").unwrap().len(), 32);
        assert_eq!(response.field("MSG_REGION"), Some("DefaultRegion"));
    }
}

#[test]
fn pulls_carry_messages() {
    for (serialization, _) in SERIALIZATIONS {
        for name in ["pull-message", "lite-pull-message"] {
            let request = frame(&format!("{name}.request"), serialization);
            let request = RemotingCommand::decode(&request).unwrap();
            assert_eq!(request.field("topic"), Some("GoldenTopic"));
            assert_eq!(request.field("bname"), Some("broker-a"));
            let found = frame(&format!("{name}.response"), serialization);
            let found = CommandView::decode(&found).unwrap();
            assert_eq!(found.remark(), "FOUND");
            let [a, b, c, d, magic @ ..] = found.body() else {
                panic!("no message in {name}");
            };
            assert!(u32::from_be_bytes([*a, *b, *c, *d]) as usize <= found.body().len());
            assert_eq!(magic[..4], [0xda, 0xa3, 0x20, 0xa7]);
            let not_found = frame(&format!("{name}-19.response"), serialization);
            let not_found = RemotingCommand::decode(&not_found).unwrap();
            assert!(not_found.body.is_empty());
            for field in [
                "minOffset",
                "maxOffset",
                "nextBeginOffset",
                "suggestWhichBrokerId",
            ] {
                assert!(not_found.field(field).unwrap().parse::<i64>().is_ok());
            }
        }
    }
}

#[test]
fn routes_are_read_and_written() {
    for (serialization, _) in SERIALIZATIONS {
        let frame = frame("route.response", serialization);
        let body = CommandView::decode(&frame).unwrap().body();
        let route = TopicRouteData::decode(body).unwrap();
        let [broker] = &route.broker_datas[..] else {
            panic!("{route:?}");
        };
        assert_eq!(broker.broker_name, "broker-a");
        assert_eq!(broker.cluster.as_deref(), Some("DefaultCluster"));
        assert!(broker.broker_addrs[&0].starts_with("127.0.0.1:"));
        assert_eq!(broker.rest["enableActingMaster"], false);
        let [queues] = &route.queue_datas[..] else {
            panic!("{route:?}");
        };
        assert_eq!(queues.broker_name, "broker-a");
        // 4 read, 2 write; the template of new topics also has 1, inherit.
        assert_eq!(queues.perm & 6, 6);
        assert!(queues.read_queue_nums > 0);
        assert_eq!(queues.read_queue_nums, queues.write_queue_nums);
        assert_eq!(route.order_topic_conf, None);
        assert_eq!(route.topic_queue_mapping_by_broker, None);
        // A name server of 5.5.0 writes the same bytes.
        assert_eq!(route.encode(), body);
    }
}

#[test]
fn cluster_info_has_numbers_as_keys() {
    for (serialization, _) in SERIALIZATIONS {
        let frame = frame("cluster-info.response", serialization);
        let body = CommandView::decode(&frame).unwrap().body();
        assert!(has(body, br#""brokerAddrs":{0:"#));
        let info = ClusterInfo::decode(body).unwrap();
        let broker = &info.broker_addr_table["broker-a"];
        assert!(broker.broker_addrs[&0].starts_with("127.0.0.1:"));
        assert_eq!(info.cluster_addr_table["DefaultCluster"], ["broker-a"]);
        assert_eq!(ClusterInfo::decode(&info.encode()), Ok(info));
    }
}

#[test]
fn heartbeats_name_groups_and_topics() {
    for (serialization, _) in SERIALIZATIONS {
        let frame = frame("heartbeat.request", serialization);
        let view = CommandView::decode(&frame).unwrap();
        let heartbeat = Heartbeat::decode(view.body()).unwrap();
        assert_eq!(heartbeat.client_id, "127.0.0.1@golden");
        let producers: Vec<_> = heartbeat.producer_groups.iter().collect();
        assert!(producers.contains(&"golden-producers"), "{producers:?}");
        let [consumer] = &heartbeat.consumers[..] else {
            panic!("{heartbeat:?}");
        };
        assert_eq!(&*consumer.group_name, "golden-consumers");
        assert_eq!(consumer.message_model, MessageModel::Clustering);
        let topics: Vec<_> = heartbeat.topics.iter().collect();
        assert_eq!(topics, ["%RETRY%golden-consumers", "GoldenTopic"]);
    }
}

#[test]
fn locks_echo_queues() {
    for (serialization, _) in SERIALIZATIONS {
        let body_of = |name: &str| {
            let command = RemotingCommand::decode(&frame(name, serialization)).unwrap();
            command.body
        };
        let lock = LockBatch::decode(&body_of("lock-batch.request")).unwrap();
        assert_eq!(lock.client_id.as_deref(), Some("127.0.0.1@golden-3"));
        assert_eq!(lock.consumer_group.as_deref(), Some("golden-orderly"));
        assert!(!lock.only_this_broker);
        let [queue, ..] = &lock.mq_set[..] else {
            panic!("{lock:?}");
        };
        assert_eq!(
            *queue,
            MessageQueue {
                broker_name: "broker-a".into(),
                queue_id: queue.queue_id,
                topic: "GoldenTopic".into()
            }
        );
        assert_eq!(lock.encode(), body_of("lock-batch.request"));
        let response = body_of("lock-batch.response");
        let locked = LockBatchResponse::decode(&response).unwrap();
        assert_eq!(locked.locked, lock.mq_set);
        assert_eq!(locked.encode(), response);
        let unlock = LockBatch::decode(&body_of("unlock-batch.request")).unwrap();
        assert_eq!(unlock.client_id, lock.client_id);
        assert!(body_of("unlock-batch.response").is_empty());
    }
}

#[test]
fn members_and_filters_are_read() {
    for (serialization, _) in SERIALIZATIONS {
        let members = frame("consumer-list.response", serialization);
        let members = CommandView::decode(&members).unwrap();
        let members = ConsumerList::decode(members.body()).unwrap();
        assert_eq!(members.consumer_id_list, ["127.0.0.1@golden"]);
        let config = frame("check-client-config.request", serialization);
        let config = CommandView::decode(&config).unwrap();
        let config = ClientConfig::decode(config.body()).unwrap();
        assert_eq!(config.client_id, "127.0.0.1@golden-3");
        assert_eq!(config.group, "golden-orderly");
        assert_eq!(config.subscription_data.topic, "GoldenTopic");
    }
}
