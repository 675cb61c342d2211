//! Server-sent events: a stream of messages.

use std::time::Duration;

use serde::Serialize;

use super::problem::Problem;

/// A comment, which keeps balancers from ending a stream on which no message is sent.
pub const COMMENT: &[u8] = b":\n\n";

/// After how long a client connects again when its stream has ended.
pub const RETRY: Duration = Duration::from_secs(1);

/// The start of a stream: when to connect again.
#[must_use]
pub fn opening() -> Vec<u8> {
    format!("retry: {}\n\n", RETRY.as_millis()).into_bytes()
}

/// Appends a message: its handle is the event's id, its JSON the data.
///
/// # Errors
/// When the message cannot be written as JSON.
pub fn message_event(
    events: &mut Vec<u8>,
    handle: &str,
    message: &impl Serialize,
) -> Result<(), serde_json::Error> {
    let start = events.len();
    events.extend_from_slice(b"id: ");
    // A handle has no line break: it is base64url.
    events.extend_from_slice(handle.as_bytes());
    events.extend_from_slice(b"\nevent: message\ndata: ");
    // Nor has JSON that is not indented.
    if let Err(error) = serde_json::to_writer(&mut *events, message) {
        events.truncate(start);
        return Err(error);
    }
    events.extend_from_slice(b"\n\n");
    Ok(())
}

/// The last event of a stream: why it ends.
#[must_use]
pub fn ended(problem: &Problem) -> Vec<u8> {
    let mut event = b"event: end\ndata: ".to_vec();
    if serde_json::to_writer(&mut event, problem).is_err() {
        event.extend_from_slice(b"{}");
    }
    event.extend_from_slice(b"\n\n");
    event
}

#[cfg(test)]
mod tests {
    use super::super::problem::Word;
    use super::*;

    #[test]
    fn events_are_those_of_the_standard() {
        assert_eq!(opening(), b"retry: 1000\n\n");
        let mut events = Vec::new();
        message_event(&mut events, "h1", &"line\nbreak\r\u{2028}").unwrap();
        message_event(&mut events, "h2", &2).unwrap();
        let expected = "id: h1\nevent: message\ndata: \"line\\nbreak\\r\u{2028}\"\n\n\
                        id: h2\nevent: message\ndata: 2\n\n";
        assert_eq!(String::from_utf8(events).unwrap(), expected);
        let problem = Problem::new(Word::Draining, "the replica shuts down");
        let event = String::from_utf8(ended(&problem)).unwrap();
        assert!(
            event.starts_with("event: end\ndata: {\"status\":503,"),
            "{event}"
        );
        assert!(
            event.ends_with("}\n\n") && event.lines().count() == 3,
            "{event}"
        );
    }

    #[test]
    fn what_cannot_be_written_leaves_nothing_behind() {
        struct Never;
        impl Serialize for Never {
            fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
                Err(serde::ser::Error::custom("never"))
            }
        }
        let mut events = b"before".to_vec();
        assert!(message_event(&mut events, "h", &Never).is_err());
        assert_eq!(events, b"before");
    }
}
