//! Messages that a real broker has delivered, read as the Java client reads them. See
//! golden/README.md.

#![allow(clippy::unwrap_used, reason = "a test that panics fails")]

use std::{collections::BTreeMap, fs, net::SocketAddr, path::PathBuf};

use bytes::Bytes;
use remoting_codec::{
    CommandView, RequestCode, SerializeType,
    headers::{
        CheckTransactionStateRequest, Header, PopMessageResponse, PullMessageResponse,
        QueryMessageResponse,
    },
    message::{
        BatchMessages, Compression, OffsetMessageId, PopOffsets, Receipt, StoredMessage,
        StoredMessages, StoredVersion, SysFlag, TopicMark, TransactionType, UniqueId, property,
    },
};
use serde::Deserialize;

/// A message as Java's decoder reads it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Decoded {
    store_size: usize,
    body_crc: u32,
    queue_id: i32,
    flag: i32,
    queue_offset: i64,
    commit_log_offset: i64,
    sys_flag: i32,
    born_time: i64,
    born_host: String,
    store_time: i64,
    store_host: String,
    reconsume_times: i32,
    prepared_transaction_offset: i64,
    body: String,
    topic: String,
    properties: BTreeMap<String, String>,
    offset_msg_id: String,
    id_process: Option<u16>,
    id_address: Option<String>,
    /// The receipt by which the client acknowledges it, if it was popped.
    receipt: Option<String>,
    /// How often consumption of it has failed, if it was popped.
    times_after_pop: Option<i32>,
}

/// Each file, and how many messages it must have.
const FILES: [(&str, usize); 11] = [
    ("check.push.bin", 1),
    ("pop-orderly-again.response.bin", 2),
    ("pop-orderly.response.bin", 2),
    ("pop-retry.response.bin", 1),
    ("pop.response.bin", 8),
    ("pull-long-topic.response.bin", 1),
    ("pull-retry.response.bin", 1),
    ("pull.response.bin", 8),
    ("query.response.bin", 1),
    ("v6.message.bin", 1),
    ("view.response.bin", 1),
];

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/messages")
}

fn decoded() -> BTreeMap<String, Vec<Decoded>> {
    let decoded = fs::read_to_string(folder().join("decoded.json")).unwrap();
    serde_json::from_str(&decoded).unwrap()
}

fn file(name: &str) -> Bytes {
    let file = folder().join(name);
    fs::read(&file)
        .unwrap_or_else(|error| panic!("{}: {error}", file.display()))
        .into()
}

/// The messages of a file: of a frame's body, or the file itself.
fn body(name: &str) -> Bytes {
    let file = file(name);
    if name.ends_with(".message.bin") {
        return file;
    }
    let view = CommandView::decode(&file).unwrap();
    file.slice(view.body_range())
}

fn messages(body: &[u8]) -> Vec<StoredMessage<'_>> {
    let messages: Result<Vec<_>, _> = StoredMessages::new(body).collect();
    messages.unwrap()
}

fn host(text: &str) -> SocketAddr {
    let (ip, port) = text.split_once(' ').unwrap();
    SocketAddr::new(ip.parse().unwrap(), port.parse().unwrap())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn all_messages_exist_and_no_others() {
    let decoded = decoded();
    let found: Vec<_> = decoded.keys().map(String::as_str).collect();
    assert_eq!(found, FILES.map(|(name, _)| name));
    for (name, count) in FILES {
        assert!(decoded[name].len() >= count, "{name}");
    }
}

#[test]
fn every_message_is_read_as_java_reads_it() {
    for (name, java) in decoded() {
        let body = body(&name);
        let messages = messages(&body);
        assert_eq!(messages.len(), java.len(), "{name}");
        for (message, java) in messages.iter().zip(java) {
            assert_eq!(message.body_crc, java.body_crc, "{name}");
            assert_eq!(message.queue_id, java.queue_id);
            assert_eq!(message.flag, java.flag);
            assert_eq!(message.queue_offset, java.queue_offset);
            assert_eq!(message.commit_log_offset, java.commit_log_offset);
            assert_eq!(message.sys_flag, SysFlag(java.sys_flag));
            assert_eq!(message.born_time, java.born_time);
            assert_eq!(message.born_host, host(&java.born_host));
            assert_eq!(message.store_time, java.store_time);
            assert_eq!(message.store_host, host(&java.store_host));
            assert_eq!(message.reconsume_times, java.reconsume_times);
            assert_eq!(
                message.prepared_transaction_offset,
                java.prepared_transaction_offset
            );
            assert_eq!(hex(message.body), java.body);
            assert_eq!(message.topic, java.topic);
            let pairs = message.properties.iter();
            let pairs = pairs.map(|(name, value)| (name.into_owned(), value.into_owned()));
            assert_eq!(pairs.collect::<BTreeMap<_, _>>(), java.properties, "{name}");
            assert_eq!(message.offset_id().to_string(), java.offset_msg_id);
            let id: OffsetMessageId = java.offset_msg_id.parse().unwrap();
            assert_eq!(id, message.offset_id());
            let id = message.properties.get(property::UNIQ_KEY);
            let id = id.map(|id| id.parse::<UniqueId>().unwrap());
            assert_eq!(id.map(|id| id.process), java.id_process);
            let address = java.id_address.map(|address| address.parse().unwrap());
            assert_eq!(id.map(|id| id.ip), address);
        }
    }
}

#[test]
fn every_message_is_written_as_the_broker_wrote_it() {
    for (name, java) in decoded() {
        let body = body(&name);
        let mut written = Vec::new();
        for (message, java) in messages(&body).iter().zip(java) {
            let before = written.len();
            message.encode(&mut written).unwrap();
            assert_eq!(written.len() - before, java.store_size, "{name}");
        }
        assert_eq!(written, body, "{name}");
    }
}

#[test]
fn each_kind_of_message_has_its_properties() {
    let body = body("pull.response.bin");
    let messages = messages(&body);
    let with = |nth: u16| {
        let has_it = |message: &&StoredMessage<'_>| {
            let id = message.properties.get(property::UNIQ_KEY);
            id.is_some_and(|id| id.parse::<UniqueId>().unwrap().counter == nth)
        };
        *messages.iter().find(has_it).unwrap()
    };
    let plain = with(1);
    assert_eq!(plain.body, "hello, 世界".as_bytes());
    assert_eq!(plain.flag, 42);
    assert_eq!(plain.version, StoredVersion::V1);
    assert_eq!(plain.sys_flag.compression(), Ok(None));
    for (name, value) in [
        (property::KEYS, "key-a key-b"),
        (property::TAGS, "TagA"),
        (property::WAIT, "true"),
        ("colour", "grün"),
    ] {
        assert_eq!(plain.properties.get(name).unwrap(), value);
    }

    let compressed = with(2);
    let compression = compressed.sys_flag.compression();
    assert_eq!(compression, Ok(Some(Compression::Zlib)));
    assert!(compressed.body.starts_with(b"x"));

    let (first, second) = (with(3), with(4));
    assert_eq!((first.body, first.flag), (&b"first"[..], 3));
    assert_eq!((second.body, second.flag), (&b"second"[..], 4));
    assert_eq!(second.queue_offset, first.queue_offset + 1);

    let committed = with(6);
    assert_eq!(committed.sys_flag.transaction(), TransactionType::Commit);
    assert_ne!(committed.prepared_transaction_offset, 0);
    assert!(committed.properties.contains(property::PGROUP));
    let was_half = committed.properties.get(property::TRAN_MSG);
    assert_eq!(was_half.unwrap(), "true");

    for (nth, name) in [(7, property::DELAY), (8, property::TIMER_DELAY_MS)] {
        let delayed = with(nth);
        assert_eq!(delayed.body, name.as_bytes());
        assert!(delayed.store_time - delayed.born_time >= 900, "{delayed:?}");
        assert_eq!(delayed.topic, "GoldenMessages");
    }
    let far = with(9);
    assert!(far.sys_flag.has(SysFlag::BORN_HOST_V6) && far.born_host.is_ipv6());
    assert!(far.store_host.is_ipv4());
}

#[test]
fn retries_name_their_original_topic() {
    let body = body("pull-retry.response.bin");
    let [retry, ..] = messages(&body)[..] else {
        panic!("no message");
    };
    assert_eq!(retry.topic, "%RETRY%golden-retriers");
    assert_eq!(retry.reconsume_times, 1);
    let origin = retry.properties.get(property::RETRY_TOPIC);
    assert_eq!(origin.unwrap(), "GoldenMessages");
    assert!(retry.properties.contains(property::ORIGIN_MESSAGE_ID));

    let body = self::body("pull-long-topic.response.bin");
    let [long, ..] = messages(&body)[..] else {
        panic!("no message");
    };
    assert!(long.topic.len() > 127);
    assert_eq!(long.version, StoredVersion::V2);
    assert_eq!(TopicMark::of_topic(long.topic), TopicMark::RetryV1);
    let group = format!("golden-{}", "g".repeat(40));
    let original = TopicMark::original_topic(long.topic, &group);
    assert!(original.starts_with("GoldenLong"), "{original}");
    assert_eq!(
        TopicMark::RetryV1.stored_topic(original, &group),
        long.topic
    );
}

#[test]
fn receipts_are_those_of_the_java_client() {
    for (name, java) in decoded() {
        if !name.starts_with("pop") {
            continue;
        }
        let frame = file(&name);
        let view = CommandView::decode_upstream(&frame).unwrap();
        let answer = PopMessageResponse::read(view.ext_fields()).unwrap();
        let text = |text: Option<remoting_codec::ExtValue<'_>>| {
            text.map(|text| text.text().into_owned())
                .unwrap_or_default()
        };
        let starts = text(answer.start_offset_info);
        let offsets = text(answer.msg_offset_info);
        let counts = text(answer.order_count_info);
        let offsets = PopOffsets {
            starts: &starts,
            messages: &offsets,
            counts: &counts,
        };
        assert!(offsets.starts().all(|start| start.is_ok()), "{starts}");
        assert!(offsets.counts().all(|count| count.is_ok()), "{counts}");
        let noted: Vec<_> = offsets.messages().collect::<Result<_, _>>().unwrap();
        let noted = noted.iter().map(|queue| queue.offsets().count());
        assert_eq!(noted.sum::<usize>(), java.len(), "{offsets:?}");

        for (message, java) in messages(view.body()).iter().zip(java) {
            let receipt = java.receipt.unwrap();
            let own = message.properties.get(property::POP_CK);
            let made = || Receipt::of_popped(message, &answer, "broker-a").unwrap();
            let ours = own.map_or_else(|| made().to_string(), |own| own.into_owned());
            assert_eq!(ours, receipt, "{name}");
            let parsed = Receipt::parse(&receipt).unwrap();
            assert_eq!(parsed.to_string(), receipt);
            assert_eq!(parsed.broker, "broker-a");
            assert_eq!(parsed.pop_time, answer.pop_time);
            assert_eq!(parsed.invisible_time, 1000);
            assert_eq!(parsed.is_orderly(), name.contains("orderly"));
            let retry = name == "pop-retry.response.bin";
            assert_eq!(parsed.mark != TopicMark::Normal, retry, "{receipt}");
            let place = (TopicMark::Normal, message.queue_id, message.queue_offset);
            let counted = offsets.count_of(place.0, place.1, place.2);
            let times = counted.filter(|count| *count > 0);
            assert_eq!(
                times.unwrap_or(message.reconsume_times),
                java.times_after_pop.unwrap()
            );
        }
        if name == "pop-orderly-again.response.bin" {
            assert!(!counts.is_empty());
        }
    }
}

#[test]
fn answers_have_their_headers() {
    let pull = file("pull.response.bin");
    let pull = CommandView::decode_upstream(&pull).unwrap();
    let pull = PullMessageResponse::read(pull.ext_fields()).unwrap();
    assert_eq!(
        (pull.min_offset, pull.max_offset),
        (0, pull.next_begin_offset)
    );
    let query = file("query.response.bin");
    let query = CommandView::decode_upstream(&query).unwrap();
    let query = QueryMessageResponse::read(query.ext_fields()).unwrap();
    assert!(query.index_last_update_timestamp > 1_700_000_000_000);
}

#[test]
fn a_check_names_its_half_message() {
    let frame = file("check.push.bin");
    let view = CommandView::decode(&frame).unwrap();
    assert_eq!(view.request_code(), RequestCode::CHECK_TRANSACTION_STATE);
    assert_eq!(view.serialize_type(), SerializeType::Json);
    let header = CheckTransactionStateRequest::read(view.ext_fields()).unwrap();
    let [half] = messages(view.body())[..] else {
        panic!("no message");
    };
    assert_eq!(half.topic, "GoldenMessages");
    assert_eq!(
        half.properties.get(property::PGROUP).unwrap(),
        "golden-producers"
    );
    let id = half.properties.get(property::UNIQ_KEY).unwrap();
    assert_eq!(header.msg_id.unwrap().text(), id);
    let place: OffsetMessageId = header.offset_msg_id.unwrap().text().parse().unwrap();
    assert_eq!(place.commit_log_offset, header.commit_log_offset);
}

#[test]
fn a_batch_of_the_java_client_is_read_and_written() {
    for serialization in ["json", "binary"] {
        let name = format!("../send-batch.request.{serialization}.bin");
        let frame = file(&name);
        let view = CommandView::decode(&frame).unwrap();
        let mut written = Vec::new();
        let mut count = 0;
        for message in BatchMessages::new(view.body()) {
            let message = message.unwrap();
            assert!(message.properties.contains(property::UNIQ_KEY));
            assert!(!message.body.is_empty());
            message.encode(&mut written).unwrap();
            count += 1;
        }
        assert!(count > 1);
        assert_eq!(written, view.body());
    }
}
