//! The checks of transactions that wait for a poll.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use remoting_codec::UpstreamView;
use remoting_codec::headers::{CheckTransactionStateRequest, Header as _};
use remoting_codec::message::StoredMessage;
use remoting_transport::{Account, Frame, Held};
use tokio::time::Instant;

use crate::error::{ErrorKind, MessagingError};
use crate::metrics::CheckMetrics;
use crate::token::TransactionToken;

/// For how long a check may be handed out. With the next check, after 30 s
/// (`BrokerConfig.transactionCheckInterval`), the half message has another place: a token of the
/// former one ends the transaction, but brokers do not notice, and check it again.
const AGE_MAX: Duration = Duration::from_secs(20);

/// For how long a check may be answered: a little less than until the next one. By then another
/// producer may be asked, and a message that is committed twice is delivered twice.
const VALID: Duration = Duration::from_secs(28);

/// Most checks of a topic that wait, and most bytes of them: of further ones, the oldest are
/// dropped.
const CHECKS_MAX: usize = 256;
const BYTES_MAX: usize = 8 * 1024 * 1024;

/// Most bytes of the checks of all topics of a worker, and of its members for those who poll: of a
/// topic that exceeds them, the oldest checks are dropped, and the newest if none are left.
const ALL_BYTES_MAX: usize = 32 * 1024 * 1024;

/// A broker's question what becomes of a transaction. It is charged to Remora's own account until
/// it is dropped. If it is not answered, the broker asks again.
#[derive(Debug)]
pub struct TransactionCheck {
    frame: Bytes,
    body: Range<usize>,
    token: String,
    transaction_id: String,
    broker: Box<str>,
    arrived: Instant,
    _held: Held,
}

impl TransactionCheck {
    /// What the transaction is ended with ([`TransactionToken`]).
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The broker that has asked.
    #[must_use]
    pub fn broker(&self) -> &str {
        &self.broker
    }

    /// For how long it may be answered from now on.
    #[must_use]
    pub fn valid(&self) -> Duration {
        VALID.saturating_sub(self.arrived.elapsed())
    }

    /// The half message.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn message(&self) -> Result<StoredMessage<'_>, MessagingError> {
        let body = self.frame.get(self.body.clone()).unwrap_or_default();
        StoredMessage::decode(body)
            .map_err(|error| MessagingError::new(ErrorKind::Invalid, error.to_string()))
    }

    /// A part of the half message, which shares its memory.
    #[must_use]
    pub fn slice(&self, part: &[u8]) -> Bytes {
        self.frame.slice_ref(part)
    }
}

/// The checks of one topic, the oldest first.
#[derive(Debug)]
pub(super) struct Checks {
    waiting: RefCell<VecDeque<TransactionCheck>>,
    account: Rc<Account>,
    metrics: Arc<CheckMetrics>,
}

impl Checks {
    pub(super) fn new(account: &Rc<Account>, metrics: &Arc<CheckMetrics>) -> Self {
        Self {
            waiting: RefCell::default(),
            account: account.clone(),
            metrics: metrics.clone(),
        }
    }

    /// Adds a check of that broker, in place of a former one of the same transaction.
    pub(super) fn add(&self, broker: &str, frame: &Frame<'_>, view: &UpstreamView<'_>) {
        self.metrics.arrived.add(1);
        let Ok(question) = CheckTransactionStateRequest::read(view.ext_fields()) else {
            return self.metrics.dropped.add(1);
        };
        let token = TransactionToken::of_check(&question, broker);
        let length = frame.bytes().len();
        let mut waiting = self.waiting.borrow_mut();
        let before = waiting.len();
        if !token.transaction_id.is_empty() {
            waiting.retain(|other| other.transaction_id != token.transaction_id);
        }
        let mut bytes: usize = waiting.iter().map(|check| check.frame.len()).sum();
        let exceeds_all = || self.account.held() + length > ALL_BYTES_MAX;
        while waiting.len() >= CHECKS_MAX || bytes + length > BYTES_MAX || exceeds_all() {
            let Some(oldest) = waiting.pop_front() else {
                break;
            };
            bytes -= oldest.frame.len();
        }
        self.metrics.dropped.add((before - waiting.len()) as u64);
        if length > BYTES_MAX || exceeds_all() {
            return self.metrics.dropped.add(1);
        }
        waiting.push_back(TransactionCheck {
            frame: frame.to_owned(),
            body: view.body_range(),
            transaction_id: token.transaction_id.clone(),
            token: token.encode(),
            broker: broker.into(),
            arrived: Instant::now(),
            _held: self.account.hold(length),
        });
    }

    /// Takes those that have waited longest.
    pub(super) fn take(&self, max: usize) -> Vec<TransactionCheck> {
        self.drop_old();
        let mut waiting = self.waiting.borrow_mut();
        let count = waiting.len().min(max);
        self.metrics.handed_out.add(count as u64);
        waiting.drain(..count).collect()
    }

    /// Drops those that must not be handed out any more.
    pub(super) fn drop_old(&self) {
        let mut waiting = self.waiting.borrow_mut();
        let before = waiting.len();
        let now = Instant::now();
        waiting.retain(|check| now.duration_since(check.arrived) < AGE_MAX);
        self.metrics.dropped.add((before - waiting.len()) as u64);
    }
}

#[cfg(test)]
mod tests {
    use remoting_codec::message::{PropertiesBuf, StoredVersion, SysFlag, property};
    use remoting_codec::{RemotingCommand, RequestCode};
    use remoting_transport::Ledger;
    use tokio::time::advance;

    use super::*;

    fn checks() -> (Checks, Rc<Account>) {
        let account = Account::open(Rc::new(Ledger::default()));
        (Checks::new(&account, &Arc::default()), account)
    }

    fn add(checks: &Checks, id: &str, place: i64, body: &[u8]) {
        let mut properties = PropertiesBuf::new();
        properties.push(property::UNIQ_KEY, id).unwrap();
        let host = "10.0.0.9:50123".parse().unwrap();
        let message = StoredMessage {
            version: StoredVersion::V1,
            body_crc: 0,
            queue_id: 2,
            flag: 0,
            queue_offset: place,
            commit_log_offset: 4711,
            sys_flag: SysFlag(0),
            born_time: 0,
            born_host: host,
            store_time: 0,
            store_host: host,
            reconsume_times: 0,
            prepared_transaction_offset: 0,
            body,
            topic: "T",
            properties: properties.as_properties(),
        };
        let mut stored = Vec::new();
        message.encode(&mut stored).unwrap();
        let header = CheckTransactionStateRequest {
            broker: None,
            topic: None,
            tran_state_table_offset: place,
            commit_log_offset: 4711,
            msg_id: None,
            transaction_id: Some(id.into()),
            offset_msg_id: None,
        };
        let frame = RemotingCommand::request(RequestCode::CHECK_TRANSACTION_STATE)
            .with_header(&header)
            .with_body(stored)
            .to_bytes();
        let view = UpstreamView::decode_upstream(&frame).unwrap();
        checks.add("broker-a", &Frame::of(&frame), &view);
    }

    fn taken(checks: &Checks) -> Vec<(String, i64)> {
        let taken = checks.take(usize::MAX);
        taken
            .iter()
            .map(|check| {
                let token = TransactionToken::decode(check.token()).unwrap();
                assert!(token.from_check && token.broker == check.broker());
                let message = check.message().unwrap();
                assert_eq!(message.queue_offset, token.queue_offset);
                (token.transaction_id, token.queue_offset)
            })
            .collect()
    }

    #[tokio::test(start_paused = true)]
    async fn the_latest_check_of_a_transaction_is_handed_out_once() {
        let (checks, account) = checks();
        add(&checks, "one", 1, b"body");
        add(&checks, "two", 2, b"body");
        add(&checks, "one", 3, b"body");
        assert!(account.held() > 0);
        let expected = [("two".to_owned(), 2), ("one".to_owned(), 3)];
        assert_eq!(taken(&checks), expected);
        assert!(taken(&checks).is_empty());
        assert_eq!(account.held(), 0);
        assert_eq!(checks.metrics.dropped.get(), 1);
        assert_eq!(checks.metrics.handed_out.get(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn old_checks_are_dropped() {
        let (checks, account) = checks();
        add(&checks, "one", 1, b"body");
        advance(AGE_MAX - Duration::from_secs(1)).await;
        add(&checks, "two", 2, b"body");
        advance(Duration::from_secs(1)).await;
        assert_eq!(taken(&checks), [("two".to_owned(), 2)]);
        assert_eq!(account.held(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn number_and_bytes_are_limited() {
        let (checks, account) = checks();
        for nth in 0..2 * CHECKS_MAX as i64 {
            add(&checks, &nth.to_string(), nth, b"body");
        }
        let kept = taken(&checks);
        assert_eq!(kept.len(), CHECKS_MAX);
        assert_eq!(kept[0].1, CHECKS_MAX as i64);
        let large = vec![b'x'; BYTES_MAX / 3];
        for nth in 0..10 {
            add(&checks, &nth.to_string(), nth, &large);
        }
        assert!(account.held() <= BYTES_MAX);
        assert_eq!(taken(&checks).len(), 2);
        add(&checks, "huge", 0, &vec![b'x'; BYTES_MAX]);
        assert!(taken(&checks).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn bytes_of_all_topics_are_limited() {
        let account = Account::open(Rc::new(Ledger::default()));
        let topic = || Checks::new(&account, &Arc::default());
        let topics: Vec<_> = std::iter::repeat_with(topic).take(8).collect();
        let large = vec![b'x'; BYTES_MAX / 3];
        for checks in &topics {
            for nth in 0..2 {
                add(checks, &nth.to_string(), nth, &large);
                assert!(account.held() <= ALL_BYTES_MAX);
            }
        }
        // A topic that comes last keeps its newest as long as there is room.
        let kept = topics.iter().map(|checks| taken(checks).len());
        assert_eq!(kept.collect::<Vec<_>>(), [2, 2, 2, 2, 2, 1, 0, 0]);
    }
}
