//! What a transaction is ended with, and what a recall handle names.

use base64::Engine as _;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};

use super::binary::{Reader, Writer};
use super::problem::{Problem, Word};

const TRANSACTION: u8 = b't';

/// All that the end of a transaction needs. Any replica reads it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TransactionToken {
    /// The topic by its name to brokers, which is the producer's group, too.
    pub topic: String,
    /// The message's unique id.
    pub message_id: String,
    /// The token that all protocols share: the half message's place.
    pub token: String,
}

impl TransactionToken {
    /// Its text.
    #[must_use]
    pub fn encode(&self) -> String {
        let writer = Writer::new(TRANSACTION).text(&self.topic);
        writer.text(&self.message_id).text(&self.token).finish()
    }

    /// Reads the text.
    ///
    /// # Errors
    /// [`Word::InvalidToken`] when it is none.
    pub fn decode(text: &str) -> Result<Self, Problem> {
        let read = || {
            let mut parts = Reader::new(TRANSACTION, text)?;
            let (topic, message_id, token) = (parts.text()?, parts.text()?, parts.text()?);
            parts.finish(Self {
                topic,
                message_id,
                token,
            })
        };
        read().ok_or_else(|| {
            Problem::new(
                Word::InvalidToken,
                "not the token of a transaction: send the one that the answer to the send, or to \
                 transactions:check, has",
            )
        })
    }
}

/// The topic that a recall handle names, by its name to brokers (`RecallMessageHandle`): base64 of
/// `v1 topic broker time id`. The handle is the broker's own.
#[must_use]
pub fn topic_of_recall(handle: &str) -> Option<String> {
    const LONGEST: usize = 2048;
    let handle = (handle.len() <= LONGEST).then_some(handle)?;
    let decoded = URL_SAFE
        .decode(handle)
        .or_else(|_| URL_SAFE_NO_PAD.decode(handle));
    let text = String::from_utf8(decoded.ok()?).ok()?;
    let mut parts = text.split(' ');
    let is_known = parts.next() == Some("v1");
    let topic = parts.next().filter(|topic| is_known && !topic.is_empty())?;
    Some(topic.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_read_as_they_are_written() {
        let transaction = TransactionToken {
            topic: "T".to_owned(),
            message_id: "01F0B1D2C3A4E50A1B06C6F6D200000000".to_owned(),
            token: "R1.AAhicm9rZXItYQ".to_owned(),
        };
        let text = transaction.encode();
        assert_eq!(TransactionToken::decode(&text), Ok(transaction));
        for wrong in ["", "x", &text[..20], &format!("{text}A")] {
            let error = TransactionToken::decode(wrong).unwrap_err();
            assert_eq!(error.word, Word::InvalidToken, "{wrong}");
        }
    }

    #[test]
    fn a_recall_handle_names_its_topic() {
        let handle = URL_SAFE.encode("v1 T broker-a 1700000000000 id");
        assert_eq!(topic_of_recall(&handle).as_deref(), Some("T"));
        let without = handle.trim_end_matches('=');
        assert_eq!(topic_of_recall(without).as_deref(), Some("T"));
        for wrong in [
            "",
            "x",
            "!",
            &URL_SAFE.encode("v2 T"),
            &URL_SAFE.encode("v1  b"),
        ] {
            assert_eq!(topic_of_recall(wrong), None, "{wrong}");
        }
    }
}
