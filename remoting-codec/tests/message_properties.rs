//! Properties of every message, id and receipt, and of bytes that are none of these.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test that panics fails"
)]

use std::net::{IpAddr, SocketAddr};

use proptest::{collection::vec, option, prelude::*, sample::Index};
use remoting_codec::message::{
    BatchMessage, BatchMessages, MAX_PROPERTIES, MessageOffsets, OffsetMessageId, OrderCount,
    PopOffsets, Properties, PropertiesBuf, Receipt, StartOffset, StoredMessage, StoredMessages,
    StoredVersion, SysFlag, TopicMark, UniqueId,
};

/// Messages that brokers and clients wrote, to be damaged.
const BODIES: [&[u8]; 4] = [
    include_bytes!("golden/messages/pull.response.bin"),
    include_bytes!("golden/messages/pull-long-topic.response.bin"),
    include_bytes!("golden/messages/v6.message.bin"),
    include_bytes!("golden/send-batch.request.binary.bin"),
];

fn host() -> impl Strategy<Value = SocketAddr> {
    let ip = prop_oneof![
        any::<[u8; 4]>().prop_map(IpAddr::from),
        any::<[u8; 16]>().prop_map(IpAddr::from),
    ];
    (ip, any::<u16>()).prop_map(SocketAddr::from)
}

/// A message that owns its parts.
#[derive(Clone, Debug)]
struct Owned {
    version: StoredVersion,
    ints: [i32; 4],
    longs: [i64; 5],
    crc: u32,
    hosts: [SocketAddr; 2],
    body: Vec<u8>,
    topic: String,
    properties: Vec<u8>,
}

impl Owned {
    fn borrow(&self) -> StoredMessage<'_> {
        let [queue_id, flag, sys_flag, reconsume_times] = self.ints;
        let [a, b, c, d, e] = self.longs;
        let mut sys_flag = SysFlag(sys_flag);
        for (host, bit) in self
            .hosts
            .iter()
            .zip([SysFlag::BORN_HOST_V6, SysFlag::STORE_HOST_V6])
        {
            sys_flag = match host.is_ipv6() {
                true => sys_flag.with(bit),
                false => sys_flag.without(bit),
            };
        }
        StoredMessage {
            version: self.version,
            body_crc: self.crc,
            queue_id,
            flag,
            queue_offset: a,
            commit_log_offset: b,
            sys_flag,
            born_time: c,
            born_host: self.hosts[0],
            store_time: d,
            store_host: self.hosts[1],
            reconsume_times,
            prepared_transaction_offset: e,
            body: &self.body,
            topic: &self.topic,
            properties: Properties::new(&self.properties),
        }
    }
}

fn message() -> impl Strategy<Value = Owned> {
    let version = prop_oneof![Just(StoredVersion::V1), Just(StoredVersion::V2)];
    (
        (version, any::<[i32; 4]>(), any::<[i64; 5]>(), any::<u32>()),
        [host(), host()],
        vec(any::<u8>(), 0..64),
        ".{0,31}",
        vec(any::<u8>(), 0..64),
    )
        .prop_map(
            |((version, ints, longs, crc), hosts, body, topic, properties)| Owned {
                version,
                ints,
                longs,
                crc,
                hosts,
                body,
                topic,
                properties,
            },
        )
}

fn mark() -> impl Strategy<Value = TopicMark> {
    prop::sample::select(&[TopicMark::Normal, TopicMark::RetryV1, TopicMark::RetryV2][..])
}

/// Calls all readers of bodies with these bytes. None may panic, and a message that could be read
/// is written unchanged.
fn read_everything(bytes: &[u8]) {
    let mut written = Vec::new();
    let mut failed = 0;
    for message in StoredMessages::new(bytes) {
        let Ok(message) = message else {
            failed += 1;
            continue;
        };
        let before = written.len();
        message.encode(&mut written).unwrap();
        assert_eq!(StoredMessage::decode(&written[before..]), Ok(message));
        let id = message.offset_id();
        assert_eq!(id.to_string().parse(), Ok(id));
        let _ = message.sys_flag.compression();
        read_properties(message.properties);
        read_all_batch(message.body);
    }
    assert!(failed <= 1 && written.len() <= bytes.len());
    read_all_batch(bytes);
    read_properties(Properties::new(bytes));
    let text = String::from_utf8_lossy(bytes);
    let _ = (text.parse::<UniqueId>(), text.parse::<OffsetMessageId>());
    read_offsets(&text);
}

fn read_all_batch(bytes: &[u8]) {
    let mut written = Vec::new();
    for message in BatchMessages::new(bytes).flatten() {
        message.encode(&mut written).unwrap();
        read_properties(message.properties);
    }
    assert!(written.len() <= bytes.len());
}

fn read_properties(properties: Properties<'_>) {
    let mut read = PropertiesBuf::new();
    let mut length = 0;
    for (name, value) in properties.iter() {
        assert!(properties.contains(&name) || name.contains('\u{fffd}'));
        length += name.len() + value.len() + 2;
        // A value may hold the separator of names and values.
        if length <= MAX_PROPERTIES && !value.contains('\u{1}') {
            read.push(&name, &value).unwrap();
        }
    }
}

fn read_offsets(text: &str) {
    let offsets = PopOffsets {
        starts: text,
        messages: text,
        counts: text,
    };
    offsets.starts().for_each(drop);
    offsets.counts().for_each(drop);
    for queue in offsets.messages().flatten() {
        assert!(queue.offsets().count() > 0);
    }
    if let Err(error) = Receipt::parse(text) {
        assert!(error.to_string().len() < 500);
    }
    let _ = Receipt::broker_in(text);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn stored_messages_are_read(messages in vec(message(), 1..4), cut in any::<Index>()) {
        let mut body = Vec::new();
        let mut ends = Vec::new();
        for message in &messages {
            message.borrow().encode(&mut body).unwrap();
            ends.push(body.len());
        }
        let read: Vec<_> = StoredMessages::new(&body).map(Result::unwrap).collect();
        let expected: Vec<_> = messages.iter().map(Owned::borrow).collect();
        prop_assert_eq!(read, expected);
        // Of a truncated body, whole messages are read, and the rest is one error.
        let cut = cut.index(body.len());
        let whole = ends.iter().filter(|end| **end <= cut).count();
        let is_between = cut == 0 || ends.contains(&cut);
        let read: Vec<_> = StoredMessages::new(&body[..cut]).collect();
        prop_assert_eq!(read.iter().filter(|message| message.is_ok()).count(), whole);
        prop_assert_eq!(read.len(), whole + usize::from(!is_between));
    }

    #[test]
    fn batches_are_read(
        parts in vec((any::<i32>(), vec(any::<u8>(), 0..64), vec(any::<u8>(), 0..64)), 0..4),
    ) {
        let messages = parts.iter().map(|(flag, body, properties)| BatchMessage {
            flag: *flag,
            body,
            properties: Properties::new(properties),
        });
        let messages: Vec<_> = messages.collect();
        let mut body = Vec::new();
        for message in &messages {
            message.encode(&mut body).unwrap();
        }
        let read: Vec<_> = BatchMessages::new(&body).map(Result::unwrap).collect();
        prop_assert_eq!(read, messages);
    }

    #[test]
    fn written_properties_are_read(pairs in vec((".{0,8}", ".{0,8}"), 0..8)) {
        let mut properties = PropertiesBuf::new();
        let taken = |(name, value): &&(String, String)| properties.push(name, value).is_ok();
        let taken: Vec<_> = pairs.iter().filter(taken).cloned().collect();
        let read = properties.as_properties();
        let all: Vec<_> = read.iter().map(|(a, b)| (a.into_owned(), b.into_owned())).collect();
        prop_assert_eq!(&all, &taken);
        for (name, _) in &taken {
            let last = taken.iter().rfind(|(other, _)| other == name).unwrap();
            prop_assert_eq!(read.get(name).unwrap(), last.1.as_str());
        }
    }

    #[test]
    fn ids_and_receipts_are_read(
        host in host(),
        longs in any::<[i64; 3]>(),
        ints in any::<[i32; 2]>(),
        id in (any::<u16>(), any::<u32>(), any::<u32>(), any::<u16>()),
        mark in mark(),
        broker in "[a-zA-Z0-9_.-]{1,20}",
        further in option::of((any::<i64>(), option::of(any::<i64>()))),
    ) {
        let place = OffsetMessageId { store_host: host, commit_log_offset: longs[0] };
        prop_assert_eq!(place.to_string().parse(), Ok(place));
        let (process, salt, month_millis, counter) = id;
        let id = UniqueId { ip: host.ip(), process, salt, month_millis, counter };
        prop_assert_eq!(id.to_string().parse(), Ok(id));
        let receipt = Receipt {
            start_offset: longs[0],
            pop_time: longs[1],
            invisible_time: longs[2],
            revive_queue: ints[0],
            mark,
            broker: &broker,
            queue_id: ints[1],
            queue_offset: further.map(|(offset, _)| offset),
            commit_log_offset: further.and_then(|(_, offset)| offset),
        };
        let text = receipt.to_string();
        prop_assert_eq!(Receipt::parse(&text).unwrap(), receipt);
        prop_assert_eq!(Receipt::broker_in(&text), Some(&*broker));
    }

    #[test]
    fn lists_of_offsets_are_read(
        queues in vec((mark(), any::<i32>(), vec(any::<i64>(), 1..4), option::of(any::<i64>())), 0..4),
    ) {
        let starts = queues.iter().map(|(mark, queue_id, offsets, _)| StartOffset {
            mark: *mark,
            queue_id: *queue_id,
            offset: offsets[0],
        });
        let counts = queues.iter().map(|(mark, queue_id, _, offset)| OrderCount {
            mark: *mark,
            queue_id: *queue_id,
            offset: *offset,
            count: 7,
        });
        let lists = queues.iter().map(|(_, _, offsets, _)| {
            let offsets: Vec<_> = offsets.iter().map(i64::to_string).collect();
            offsets.join(",")
        });
        let lists: Vec<_> = lists.collect();
        let messages = queues.iter().zip(&lists).map(|((mark, queue_id, _, _), list)| {
            MessageOffsets::new(*mark, *queue_id, list).unwrap()
        });
        fn joined<T: ToString>(entries: impl Iterator<Item = T>) -> String {
            entries.map(|entry| entry.to_string()).collect::<Vec<_>>().join(";")
        }
        let (starts, counts): (Vec<_>, Vec<_>) = (starts.collect(), counts.collect());
        let messages: Vec<_> = messages.collect();
        let texts = (joined(starts.iter()), joined(messages.iter()), joined(counts.iter()));
        let offsets = PopOffsets { starts: &texts.0, messages: &texts.1, counts: &texts.2 };
        prop_assert_eq!(offsets.starts().map(Result::unwrap).collect::<Vec<_>>(), starts);
        prop_assert_eq!(offsets.messages().map(Result::unwrap).collect::<Vec<_>>(), messages);
        prop_assert_eq!(offsets.counts().map(Result::unwrap).collect::<Vec<_>>(), counts);
        for (mark, queue_id, _, _) in &queues {
            prop_assert!(offsets.start_of(*mark, *queue_id).is_some());
        }
    }

    #[test]
    fn arbitrary_bytes_cause_no_panic(bytes in vec(any::<u8>(), 0..160)) {
        read_everything(&bytes);
        let mut framed = (4 + bytes.len() as u32).to_be_bytes().to_vec();
        framed.extend_from_slice(&bytes);
        read_everything(&framed);
    }

    #[test]
    fn damaged_messages_cause_no_panic(
        body in prop_oneof![
            prop::sample::select(&BODIES[..]).prop_map(|frame| {
                let header = frame[5..8].iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
                let is_message = frame[4] == 0xDA;
                frame[if is_message { 0 } else { 8 + header }..].to_vec()
            }),
            message().prop_map(|message| {
                let mut body = Vec::new();
                message.borrow().encode(&mut body).unwrap();
                body.repeat(2)
            }),
        ],
        flips in vec((any::<Index>(), 0..8_u8), 0..4),
        cut in option::of(any::<Index>()),
    ) {
        let mut body = body;
        for (at, bit) in flips {
            let at = at.index(body.len());
            body[at] ^= 1 << bit;
        }
        if let Some(cut) = cut {
            body.truncate(cut.index(body.len()));
        }
        read_everything(&body);
    }
}
