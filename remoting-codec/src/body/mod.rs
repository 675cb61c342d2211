//! Bodies that a proxy must read or write. All are JSON, written by several generations of several
//! libraries: fields that are not needed are not read, and those that are needed are read in every
//! known spelling.

mod assignment;
mod batch_ack;
mod client_config;
mod cluster_info;
mod configs;
mod connection_list;
mod consumer_list;
mod heartbeat;
mod lite_subscription;
mod lock_batch;
mod names;
mod topic_route;

pub use assignment::AssignmentQuery;
pub use batch_ack::{BatchAck, BatchAckBody, QueueAcks};
pub use client_config::ClientConfig;
pub use cluster_info::ClusterInfo;
pub use configs::{
    CustomizedRetryPolicy, ExponentialRetryPolicy, GroupConfig, GroupRetryPolicy, TopicConfig,
};
pub use connection_list::ConnectionList;
pub use consumer_list::ConsumerList;
pub use heartbeat::{
    ConsumeType, ConsumerData, Heartbeat, MessageModel, SubscriptionData, WrittenConsumer,
    WrittenSubscription,
};
pub use lite_subscription::{LiteAction, LiteOffset, LiteOffsetType, LiteSubscription};
pub use lock_batch::{LockBatch, LockBatchResponse, MessageQueue};
pub use names::Names;
pub use topic_route::{BrokerData, QueueData, TopicRouteData};

use std::borrow::Cow;

use serde::de::DeserializeOwned;

use crate::error::BodyError;

fn read<T: DeserializeOwned>(what: &'static str, body: &[u8]) -> Result<T, BodyError> {
    serde_json::from_slice(&with_quoted_keys(body)).map_err(|error| BodyError {
        what,
        reason: error.to_string(),
    })
}

/// Writes a body; the types here have no values that JSON cannot express.
fn write<T: serde::Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}

/// The same JSON with quotes around numeric keys. Java's fastjson writes maps with number keys as
/// `{0:"10.0.0.1:10911"}` unless the request forbids it, and some requests cannot.
fn with_quoted_keys(body: &[u8]) -> Cow<'_, [u8]> {
    let mut quoted: Option<Vec<u8>> = None;
    let mut copied = 0;
    let mut in_text = false;
    let mut expect_key = false;
    let mut at = 0;
    while let Some(&byte) = body.get(at) {
        match byte {
            b'\\' if in_text => at += 1,
            b'"' => {
                in_text = !in_text;
                expect_key = false;
            }
            _ if in_text => {}
            // After a comma there may also be a number of an array; only a key is followed by a
            // colon.
            b'{' | b',' => expect_key = true,
            b'-' | b'0'..=b'9' if expect_key => {
                let rest = body.get(at..).unwrap_or_default();
                let digits = rest
                    .iter()
                    .take_while(|b| b.is_ascii_digit() || **b == b'-')
                    .count();
                if rest.get(digits) == Some(&b':') {
                    let out = quoted.get_or_insert_with(|| Vec::with_capacity(body.len() + 16));
                    out.extend_from_slice(body.get(copied..at).unwrap_or_default());
                    out.push(b'"');
                    out.extend_from_slice(rest.get(..digits).unwrap_or_default());
                    out.push(b'"');
                    copied = at + digits;
                }
                at += digits - 1;
                expect_key = false;
            }
            b' ' | b'\t' | b'\n' | b'\r' => {}
            _ => expect_key = false,
        }
        at += 1;
    }
    match quoted {
        Some(mut out) => {
            out.extend_from_slice(body.get(copied..).unwrap_or_default());
            Cow::Owned(out)
        }
        None => Cow::Borrowed(body),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quoted(text: &str) -> String {
        String::from_utf8(with_quoted_keys(text.as_bytes()).into_owned()).unwrap()
    }

    #[test]
    fn numeric_keys_are_quoted_and_nothing_else() {
        assert_eq!(quoted(r#"{0:"a",-1:"b"}"#), r#"{"0":"a","-1":"b"}"#);
        assert_eq!(quoted(r#"{ 12:{3:4}}"#), r#"{ "12":{"3":4}}"#);
        for untouched in [
            r#"{"0":"a"}"#,
            r#"[1,2,3]"#,
            r#"{"a":[0,1],"b":"{0:1,2:3}\"{4:"}"#,
            r#"{"a":1,"b":-2}"#,
            "",
        ] {
            assert_eq!(quoted(untouched), untouched);
        }
    }
}
