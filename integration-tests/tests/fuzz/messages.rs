//! Stored messages, their properties, and the text that identifies a popped message.

use remoting_codec::CommandView;
use remoting_codec::message::{
    BatchMessages, PopOffsets, Properties, PropertiesBuf, Receipt, StoredMessages,
};

use crate::{Target, outcome};

/// An input is the body of an answer with messages, or of a batch.
pub(crate) const STORED: Target = Target {
    name: "stored-messages",
    run: stored,
    longest: 8_192,
    tokens: &[
        b"\xda\xa3\x20\xa7",
        b"\xda\xa3\x20\xa8",
        b"\0\0\0\x5b",
        b"\x7f\xff\xff\xff",
        b"\xff\xff\xff\xff",
        b"\0\0",
        b"TAGS\x01t\x02",
    ],
    seeds: golden_bodies,
    generate: None,
};

/// An input is text: properties, a receipt, or the offsets of an answer to a POP.
pub(crate) const TEXTS: Target = Target {
    name: "message-texts",
    run: texts,
    longest: 4_096,
    tokens: &[
        b"\x01",
        b"\x02",
        b"TAGS\x01t\x02",
        b"UNIQ_KEY",
        b"0 1700000000000 60000 7 0 broker-a 3 12",
        b" ",
        b";",
        b",",
        b"-1",
        b"9223372036854775807",
        b"0 0 1",
        b"qo",
        b"%",
    ],
    seeds: golden_texts,
    generate: None,
};

/// Answers of a real broker that carry messages.
fn golden() -> Vec<Vec<u8>> {
    [
        &include_bytes!("../../../remoting-codec/tests/golden/messages/pull.response.bin")[..],
        &include_bytes!(
            "../../../remoting-codec/tests/golden/messages/pull-long-topic.response.bin"
        )[..],
        &include_bytes!("../../../remoting-codec/tests/golden/messages/pop.response.bin")[..],
        &include_bytes!(
            "../../../remoting-codec/tests/golden/messages/pop-orderly-again.response.bin"
        )[..],
    ]
    .map(<[u8]>::to_vec)
    .into()
}

fn golden_bodies() -> Vec<Vec<u8>> {
    let bodies = golden().into_iter().map(|frame| {
        let view = CommandView::decode(&frame).expect("a golden frame");
        view.body().to_vec()
    });
    bodies.collect()
}

fn golden_texts() -> Vec<Vec<u8>> {
    let mut texts = Vec::new();
    for frame in golden() {
        let view = CommandView::decode(&frame).expect("a golden frame");
        view.ext_fields()
            .visit(|_, value| texts.push(value.text().as_bytes().to_vec()));
        for message in StoredMessages::new(view.body()).flatten() {
            texts.push(message.properties.as_bytes().to_vec());
        }
    }
    texts
}

fn stored(body: &[u8]) -> u64 {
    let mut read = Vec::new();
    for message in StoredMessages::new(body) {
        let message = match message {
            Ok(message) => message,
            Err(error) => {
                let kind = format!("{error:?}");
                read.push(kind.split(['(', ' ']).next().unwrap_or_default().to_owned());
                break;
            }
        };
        let mut written = Vec::new();
        message
            .encode(&mut written)
            .expect("what is read is written");
        let again = StoredMessages::new(&written).collect::<Result<Vec<_>, _>>();
        let again = again.expect("what is written is read");
        assert_eq!(again, [message]);
        message.properties.iter().for_each(drop);
        read.push(format!("{:?}", message.version));
    }
    for message in BatchMessages::new(body).flatten() {
        let mut written = Vec::new();
        message
            .encode(&mut written)
            .expect("what is read is written");
        let again = BatchMessages::new(&written).flatten().next();
        assert_eq!(again, Some(message));
        read.push("batch".to_owned());
    }
    outcome(read)
}

fn texts(input: &[u8]) -> u64 {
    let properties = Properties::new(input);
    let mut written = PropertiesBuf::new();
    let mut count = 0_usize;
    for (name, value) in properties.iter() {
        if written.push(&name, &value).is_ok() {
            count += 1;
        }
    }
    let read = written.as_properties();
    assert_eq!(read.iter().count(), count, "what is written is read");
    let text = String::from_utf8_lossy(input);
    let receipt = Receipt::parse(&text).ok();
    if let Some(receipt) = &receipt {
        let written = receipt.to_string();
        let again = Receipt::parse(&written).expect("what is written is read");
        assert_eq!(again.to_string(), written);
        assert_eq!(Receipt::broker_in(&text), Some(receipt.broker));
    }
    let offsets = PopOffsets {
        starts: &text,
        ..PopOffsets::default()
    };
    let starts = offsets.starts().take_while(Result::is_ok).count();
    outcome((count, receipt.is_some(), starts))
}
