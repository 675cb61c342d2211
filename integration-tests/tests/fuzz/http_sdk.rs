//! HTTP: documents and texts of the existing SDKs' protocol.

use bytes::Bytes;
use http_api::sdk::authorization::Authorization;
use http_api::sdk::digest::Digest;
use http_api::sdk::document::{MessageReader, Published, handles};
use http_api::sdk::message::{Delivered, text_of};
use http_api::sdk::properties::Properties;
use http_api::sdk::target::{MOST_MESSAGES, Method, Operation, Target as Asked};
use http_api::sdk::xml::{WORK, Writer};
use http_api::sdk::{SdkError, date, handle};

use crate::{Target, outcome};

/// An input is a document with a message or with receipt handles.
pub(crate) const DOCUMENTS: Target = Target {
    name: "http-sdk-documents",
    run: documents,
    longest: 4_096,
    tokens: &[
        b"<?xml version=\"1.0\" encoding=\"utf-8\"?>",
        b"<Message xmlns=\"http://mq.aliyuncs.com/doc/v1/\">",
        b"</Message>",
        b"<MessageBody>",
        b"</MessageBody>",
        b"<Properties>",
        b"</Properties>",
        b"<MessageTag/>",
        b"<ReceiptHandles>",
        b"<ReceiptHandle>h</ReceiptHandle>",
        b"</ReceiptHandles>",
        b"<![CDATA[",
        b"]]>",
        b"<!--",
        b"-->",
        b"<!DOCTYPE x [<!ENTITY a \"&b;\">]>",
        b"&amp;",
        b"&#x10FFFF;",
        b"&#0;",
        b"&a;",
        b"__BODY_ENCODING:base64|",
        b"__ENCODED:a|a:%00",
        b"\xef\xbf\xbf",
    ],
    seeds: crate::no_seeds,
    generate: None,
};

/// An input is text: a request's target, a header, properties or a receipt handle.
pub(crate) const TEXTS: Target = Target {
    name: "http-sdk-texts",
    run: texts,
    longest: 1_024,
    tokens: &[
        b"/topics/T/messages?",
        b"consumer=G&",
        b"numOfMessages=16&",
        b"waitseconds=30&",
        b"tag=A%7C%7CB&",
        b"trans=order",
        b"ns=I&",
        b"MQ AK:c2ln",
        b"Sat, 21 Nov 2026 09:36:16 GMT",
        b"KEYS:k|",
        b"__ENCODED:a%3A,b|",
        b"R1m",
        b"%ff",
    ],
    seeds: crate::no_seeds,
    generate: None,
};

fn message(document: &[u8], work: usize) -> Result<Published<'_>, SdkError> {
    let mut reader = MessageReader::new(document);
    loop {
        if let Some(message) = reader.next(work)? {
            return Ok(message);
        }
    }
}

fn documents(document: &[u8]) -> u64 {
    let handles = handles(document).map_err(|error| error.code);
    if let Ok(handles) = &handles {
        assert!(handles.iter().all(|handle| !handle.is_empty()));
    }
    let handles = handles.map(|handles| handles.len().min(4));
    let message = message(document, WORK);
    assert_eq!(self::message(document, 1), message);
    let message = match message {
        Ok(message) => message,
        Err(error) => {
            // Without the place, and the parser's quotes.
            let what = error.message.split(['`', ',']).next();
            return outcome((handles, error.code, what));
        }
    };
    let properties = Properties::read(&message.properties);
    let stored = properties.as_ref().map_err(|error| error.code);
    let stored = stored.and_then(|properties| {
        let document = Bytes::copy_from_slice(document);
        let stored = message.stored(&document, properties);
        stored.map_err(|error| error.code)
    });
    if let (Ok(stored), Ok(properties)) = (&stored, &properties) {
        delivered(&message, stored, properties);
    }
    let lengths = (message.tag.is_some(), message.body.len().min(8));
    outcome((handles, stored.map(|body| body.len().min(8)), lengths))
}

/// What was published is consumed: tag, properties and body come back.
fn delivered(message: &Published<'_>, body: &[u8], properties: &Properties<'_>) {
    let (text, encoding) = text_of(body, None);
    let delivered = Delivered {
        id: "id".into(),
        body: text,
        tag: message.tag.clone(),
        properties: Properties {
            body_encoding: encoding,
            ..properties.clone()
        },
        publish_time: 0,
        first_consume_time: 0,
        next_consume_time: 0,
        consumed_times: 1,
        handle: String::new(),
    };
    let mut writer = Writer::new("Messages", 0);
    delivered.write(Digest::of(body), &mut writer);
    let document = writer.end();
    let (_, inner) = document.split_once("<Message>").expect("an element");
    let again = format!("<Message>{inner}");
    let again = self::message(again.as_bytes(), WORK).expect("what we write, we read");
    assert_eq!(again.tag, message.tag);
    let read = Properties::read(&again.properties).expect("what we write, we read");
    assert_eq!(again.stored(&Bytes::new(), &read).expect("a body"), body);
    assert_eq!(read, delivered.properties);
}

fn texts(input: &[u8]) -> u64 {
    let text = String::from_utf8_lossy(input);
    let asked = ["GET", "POST", "DELETE"].map(|method| {
        let method = Method::of(method).expect("a method");
        let asked = Asked::read(method, &text).map_err(|error| error.code)?;
        if let Operation::Consume(consume) = &asked.operation {
            assert!((1..=MOST_MESSAGES).contains(&consume.most));
            assert!(!consume.group.is_empty());
        }
        Ok::<_, http_api::sdk::Code>(std::mem::discriminant(&asked.operation))
    });
    let properties = Properties::read(&text);
    if let Ok(properties) = &properties {
        let written = properties.write(None).unwrap_or_default();
        // As SDKs split it.
        for pair in written.split('|').filter(|pair| !pair.is_empty()) {
            assert_eq!(pair.split(':').count(), 2, "{pair}");
        }
        assert_eq!(&Properties::read(&written).expect("the same"), properties);
    }
    let authorization = Authorization::read(&text);
    let date = date::read(&text);
    let message = handle::message(&text, "T", "G", |_| 0);
    let half = handle::half(&text, "T", 0);
    outcome((
        asked,
        properties
            .map_err(|error| error.code)
            .map(|read| read.own.len().min(4)),
        (
            authorization.is_ok(),
            date.is_ok(),
            Digest::read(&text).is_ok(),
        ),
        (message.is_ok(), half.is_ok()),
    ))
}
