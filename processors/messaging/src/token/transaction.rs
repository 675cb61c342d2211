//! What a client ends a transaction with: a token that any replica can read.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use remoting_codec::headers::CheckTransactionStateRequest;
use remoting_codec::message::OffsetMessageId;

use crate::check::is_blank;
use crate::error::{ErrorKind, MessagingError, Part};

/// In front of a token: Remora, version 1.
const PREFIX: &str = "R1.";
/// Most bytes of a token that are read: there is no longer one.
const LONGEST: usize = 1024;
/// Bit of the flags: the broker has asked.
const FROM_CHECK: u8 = 1;

/// All that END_TRANSACTION needs: it is given to clients as the id of the transaction, and they
/// return it unchanged.
///
/// ```text
/// "R1." base64url( flags u8 | broker length u8, broker | queue offset i64 | commit log offset i64
///                  | transaction id )
/// ```
///
/// It is not signed: a broker compares offsets and group, and a client that may send to the topic
/// may end its transactions too.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TransactionToken {
    /// The broker that has the half message.
    pub broker: String,
    /// The half message's place in its queue.
    pub queue_offset: i64,
    /// Its place in the broker's commit log.
    pub commit_log_offset: i64,
    /// The broker's own transaction id, which it does not look at.
    pub transaction_id: String,
    /// Whether the broker has asked: it then takes an answer that is late. Must be false for the
    /// token of a send, so that a late commit is refused and not done twice.
    pub from_check: bool,
}

impl TransactionToken {
    /// Of the parts of the answer to the send of a half message: its offset id, its place in the
    /// queue, the transaction's id. `None` when the id has no offset in it.
    #[must_use]
    pub fn of_receipt(
        offset_id: &str,
        queue_offset: i64,
        transaction_id: &str,
        broker: &str,
    ) -> Option<Self> {
        let id: OffsetMessageId = offset_id.parse().ok()?;
        Some(Self {
            broker: broker.to_owned(),
            queue_offset,
            commit_log_offset: id.commit_log_offset,
            transaction_id: transaction_id.to_owned(),
            from_check: false,
        })
    }

    /// The token for the transaction that this broker asks about.
    #[must_use]
    pub fn of_check(question: &CheckTransactionStateRequest<'_>, broker: &str) -> Self {
        let transaction_id = question.transaction_id.map(|id| id.text().into_owned());
        Self {
            broker: broker.to_owned(),
            queue_offset: question.tran_state_table_offset,
            commit_log_offset: question.commit_log_offset,
            transaction_id: transaction_id.unwrap_or_default(),
            from_check: true,
        }
    }

    /// The text. A broker's name has 255 bytes at most; what is beyond them is cut off.
    #[must_use]
    pub fn encode(&self) -> String {
        let broker = self.broker.as_bytes();
        let broker = broker.get(..usize::from(u8::MAX)).unwrap_or(broker);
        let mut bytes = Vec::with_capacity(18 + broker.len() + self.transaction_id.len());
        bytes.push(if self.from_check { FROM_CHECK } else { 0 });
        bytes.push(broker.len() as u8);
        bytes.extend_from_slice(broker);
        bytes.extend_from_slice(&self.queue_offset.to_be_bytes());
        bytes.extend_from_slice(&self.commit_log_offset.to_be_bytes());
        bytes.extend_from_slice(self.transaction_id.as_bytes());
        let mut text = PREFIX.to_owned();
        URL_SAFE_NO_PAD.encode_string(&bytes, &mut text);
        text
    }

    /// Reads the text.
    ///
    /// # Errors
    /// [`Part::TransactionToken`] when it is empty, or of another origin: the id of a message that
    /// was sent through the Java proxy. The broker asks again then, and the question has a token.
    pub fn decode(text: &str) -> Result<Self, MessagingError> {
        Self::read(text).ok_or_else(|| {
            let text = match is_blank(text) {
                true => "the transaction id is empty: send the one that the answer to the send has",
                false => {
                    "the transaction id is not of this proxy: send the one that the answer to the \
                     send has; the broker asks after a transaction that is not ended"
                }
            };
            MessagingError::new(ErrorKind::Illegal(Part::TransactionToken), text)
        })
    }

    fn read(text: &str) -> Option<Self> {
        let encoded = text.strip_prefix(PREFIX)?;
        let encoded = (encoded.len() <= LONGEST).then_some(encoded)?;
        let bytes = URL_SAFE_NO_PAD.decode(encoded).ok()?;
        let (&[flags, broker], rest) = bytes.split_first_chunk::<2>()?;
        let (broker, rest) = rest.split_at_checked(usize::from(broker))?;
        let (queue_offset, rest) = rest.split_first_chunk::<8>()?;
        let (commit_log_offset, transaction_id) = rest.split_first_chunk::<8>()?;
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
        let is_known = flags & !FROM_CHECK == 0 && !broker.is_empty();
        is_known.then_some(Self {
            broker: text(broker)?,
            queue_offset: i64::from_be_bytes(*queue_offset),
            commit_log_offset: i64::from_be_bytes(*commit_log_offset),
            transaction_id: text(transaction_id)?,
            from_check: flags == FROM_CHECK,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(from_check: bool) -> TransactionToken {
        TransactionToken {
            broker: "broker-a".to_owned(),
            queue_offset: 3,
            commit_log_offset: 4711,
            transaction_id: "01F0B1D2C3A4E50A1B06C6F6D200000000".to_owned(),
            from_check,
        }
    }

    #[test]
    fn tokens_are_read_as_they_are_written() {
        let longest = TransactionToken {
            broker: "b".repeat(255),
            queue_offset: i64::MIN,
            commit_log_offset: i64::MAX,
            transaction_id: String::new(),
            from_check: false,
        };
        for token in [token(false), token(true), longest] {
            let text = token.encode();
            assert_eq!(TransactionToken::decode(&text), Ok(token));
        }
        let text = token(false).encode();
        assert!(
            text.starts_with("R1.AAhicm9rZXItY") && text.len() < 128,
            "{text}"
        );
    }

    #[test]
    fn tokens_are_made_of_answers_and_questions() {
        let made = |id: &str| {
            TransactionToken::of_receipt(id, 3, "01F0B1D2C3A4E50A1B06C6F6D200000000", "broker-a")
        };
        let id = "0A00000200002A9F0000000000001267";
        assert_eq!(made(id), Some(token(false)));
        assert_eq!(made("x"), None);
        let question = CheckTransactionStateRequest {
            broker: None,
            topic: None,
            tran_state_table_offset: 3,
            commit_log_offset: 4711,
            msg_id: None,
            transaction_id: Some("01F0B1D2C3A4E50A1B06C6F6D200000000".into()),
            offset_msg_id: None,
        };
        assert_eq!(
            TransactionToken::of_check(&question, "broker-a"),
            token(true)
        );
    }

    #[test]
    fn other_ids_are_refused() {
        let right = token(false).encode();
        let long = format!("R1.{}", "A".repeat(LONGEST + 4));
        for wrong in [
            "",
            " ",
            "01F0B1D2C3A4E50A1B06C6F6D200000000",
            "R1.",
            "R2.AAhicm9rZXItYQ",
            &right[..20],
            &right.replacen("R1.AA", "R1.Ag", 1),
            &right.replacen("R1.AAh", "R1.AAA", 1),
            &format!("{right}="),
            &long,
        ] {
            let error = TransactionToken::decode(wrong).unwrap_err();
            let kind = ErrorKind::Illegal(Part::TransactionToken);
            assert_eq!(error.kind(), kind, "{wrong}");
        }
    }
}
