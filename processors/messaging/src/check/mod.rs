//! What a request may ask for, checked before anything is sent to a broker: names, sizes,
//! characters, times. Limits are those of the Java proxy 5.5.0 (`GrpcValidator`,
//! `SendMessageActivity`, `ReceiveMessageActivity`); where they differ, the function says why.
//! Every error is [`ErrorKind::Illegal`] with the part of the request that is at fault.

mod consume;
mod limits;
mod message;
mod names;
mod namespace;
mod properties;
mod topic_type;

pub use consume::{
    Filter, batch_size, changed_invisible_time, receipt_handle, received_invisible_time,
};
pub use limits::Limits;
pub use message::{
    body, delivery_time, key, lite_topic, message_group, message_id, priority, recovery_time, tag,
};
pub use names::{group, namespace, topic};
pub use namespace::Names;
pub use properties::user_properties;
pub use topic_type::TopicType;

use crate::error::{ErrorKind, MessagingError, Part};

/// Whether there is one of Java's ISO control characters in the text: U+0000 to U+001F, U+007F to
/// U+009F (`CharMatcher.javaIsoControl`). The first 32 include the separators of properties.
#[must_use]
pub fn has_control(text: &str) -> bool {
    text.chars().any(char::is_control)
}

/// Whether there is nothing in the text but white space (`StringUtils.isBlank`).
#[must_use]
pub fn is_blank(text: &str) -> bool {
    text.chars().all(char::is_whitespace)
}

/// `Err` because of that part unless `is_right`; the message is made only then.
fn ensure(
    is_right: bool,
    part: Part,
    message: impl FnOnce() -> String,
) -> Result<(), MessagingError> {
    match is_right {
        true => Ok(()),
        false => Err(MessagingError::new(ErrorKind::Illegal(part), message())),
    }
}

/// A client's text as part of a message to it, cut short.
#[must_use]
pub fn shown(text: &str) -> String {
    const MOST: usize = 64;
    let mut shown: String = text.chars().take(MOST).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The part because of which a result is an error; none if it is no error.
    pub(super) fn part<T>(result: Result<T, MessagingError>) -> Option<Part> {
        match result.err()?.kind() {
            ErrorKind::Illegal(part) => Some(part),
            other => panic!("{other:?}"),
        }
    }
}
