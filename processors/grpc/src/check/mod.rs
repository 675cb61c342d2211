//! What a call may ask for, checked before anything is sent to a broker: names, sizes, characters,
//! times. Limits and codes are those of the Java proxy 5.5.0 (`GrpcValidator`,
//! `SendMessageActivity`, `ReceiveMessageActivity`); where they differ, the function says why.

mod consume;
mod limits;
mod message;
mod names;
mod properties;
mod topic_type;

pub use consume::{
    Filter, Poll, batch_size, changed_invisible_time, filter, polling_time, receipt_handle,
    received_invisible_time,
};
pub use limits::Limits;
pub use message::{
    body, delivery_time, key, lite_topic, message_group, message_id, priority, recovery_time, tag,
};
pub use names::{client_id, endpoints, group, namespace, topic, transaction_id};
pub use properties::user_properties;
pub use topic_type::TopicType;

use crate::error::CallError;
use crate::proto::Code;

/// Whether there is one of Java's ISO control characters in the text: U+0000 to U+001F, U+007F to
/// U+009F (`CharMatcher.javaIsoControl`). The first 32 include the separators of properties.
fn has_control(text: &str) -> bool {
    text.chars().any(char::is_control)
}

/// Whether there is nothing in the text but white space (`StringUtils.isBlank`).
fn is_blank(text: &str) -> bool {
    text.chars().all(char::is_whitespace)
}

/// `Err` with that code unless `is_right`; the message is made only then.
fn ensure(is_right: bool, code: Code, message: impl FnOnce() -> String) -> Result<(), CallError> {
    match is_right {
        true => Ok(()),
        false => Err(CallError::new(code, message())),
    }
}

/// A client's text as part of a message to it, cut short.
fn shown(text: &str) -> String {
    const MOST: usize = 64;
    let mut shown: String = text.chars().take(MOST).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}
