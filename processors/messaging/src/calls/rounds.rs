//! Receiving from whichever broker of a topic has messages.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use remoting_codec::ResponseCode;
use tokio::time::Instant;

use super::receive::nothing_to_read;
use super::{Consumer, Popped, Receive, Requests, refused};
use crate::error::{ErrorKind, MessagingError};
use crate::queues::readable;

/// The codes of a broker that has no messages.
const NOTHING: [ResponseCode; 4] = [
    ResponseCode::PULL_NOT_FOUND,
    ResponseCode::PULL_RETRY_IMMEDIATELY,
    ResponseCode::POLLING_FULL,
    ResponseCode::POLLING_TIMEOUT,
];

/// How long a poll takes at least that may wait, so that an answer that comes at once, for a reason
/// of the broker's, is not followed by the next poll at once.
const PAUSE: Duration = Duration::from_millis(100);

/// The polls of one call for messages: brokers of the topic are asked one after the other, round
/// after round, until the time is over. One poll waits at one broker only. Two at a time would pop
/// messages that the call has no use for: no broker takes a poll back, and a message that is given
/// back comes again after seconds.
///
/// Where there are several brokers, a message may wait at one while the call waits at another, for
/// about two seconds at most however many there are. A broker that does not answer is not asked
/// again.
#[derive(Debug)]
pub struct Rounds {
    /// The next one is the first.
    brokers: VecDeque<String>,
    /// How many of them were not asked yet.
    fresh: usize,
    until: Instant,
    /// Whether any has answered.
    answered: bool,
}

impl Rounds {
    /// The brokers that the topic can be read from; the call waits for messages until then.
    ///
    /// # Errors
    /// [`ErrorKind::Forbidden`] if there is none; if there is no such topic, or no name server
    /// answers.
    pub async fn begin(
        requests: &Requests,
        topic: &str,
        until: Instant,
    ) -> Result<Self, MessagingError> {
        let route = requests.caller().route(topic).await?;
        let mut brokers: VecDeque<String> = readable(route.data())
            .map(|queues| queues.broker_name.clone())
            .collect();
        if brokers.is_empty() {
            return Err(nothing_to_read());
        }
        let count = brokers.len();
        brokers.rotate_left(requests.next_turn() % count);
        Ok(Self {
            brokers,
            fresh: count,
            until,
            answered: false,
        })
    }

    /// How long the next poll may wait: not at all in the first round, so that what is there is
    /// found at once. `None` when the time is over.
    fn wait(&self, now: Instant) -> Option<Duration> {
        /// What a message may wait for the poll at its broker.
        const ROUND: Duration = Duration::from_secs(2);
        const LEAST: Duration = Duration::from_millis(250);
        let left = self.until.saturating_duration_since(now);
        let count = self.brokers.len();
        match (count, self.fresh) {
            (0, _) => None,
            (1, 1) => Some(left),
            (_, 1..) => Some(Duration::ZERO),
            (_, 0) if left.is_zero() => None,
            (1, 0) => Some(left),
            (_, 0) => {
                let part = ROUND / u32::try_from(count).unwrap_or(u32::MAX);
                Some(part.max(LEAST).min(left))
            }
        }
    }

    /// The next answer that has messages; `None` when the time is over. That of `receive` for how
    /// long to wait is not looked at.
    ///
    /// # Errors
    /// If no broker has answered, or one refuses the request; [`ErrorKind::GivenUp`] if the client
    /// must leave; [`ErrorKind::Busy`].
    pub async fn next(
        &mut self,
        requests: &Rc<Requests>,
        consumer: &Consumer,
        receive: &Receive<'_>,
    ) -> Result<Option<Popped>, MessagingError> {
        let mut failed = None;
        while let Some(wait) = self.wait(Instant::now()) {
            let Some(name) = self.brokers.pop_front() else {
                break;
            };
            self.fresh = self.fresh.saturating_sub(1);
            let receive = Receive { wait, ..*receive };
            let begun = Instant::now();
            match poll(requests, &name, consumer, &receive).await {
                Ok(popped) => {
                    self.answered = true;
                    self.brokers.push_back(name);
                    let view = popped.view()?;
                    match view.response_code() {
                        ResponseCode::SUCCESS => return Ok(Some(popped)),
                        code if NOTHING.contains(&code) => {}
                        _ => return Err(refused(&view)),
                    }
                    tokio::time::sleep_until(begun + wait.min(PAUSE)).await;
                }
                Err(error) if matches!(error.kind(), ErrorKind::GivenUp | ErrorKind::Busy) => {
                    return Err(error);
                }
                Err(error) => failed = Some(error),
            }
        }
        match failed.filter(|_| !self.answered) {
            Some(error) => Err(error),
            None => Ok(None),
        }
    }
}

/// Asks one broker. It gets less time than its answer may take otherwise: others are waited for.
async fn poll(
    requests: &Rc<Requests>,
    name: &str,
    consumer: &Consumer,
    receive: &Receive<'_>,
) -> Result<Popped, MessagingError> {
    const MARGIN: Duration = Duration::from_millis(2_500);
    let broker = requests.caller().upstream().broker(name).await?;
    let polled = requests.receive(&broker, consumer, receive);
    let answered = tokio::time::timeout(receive.wait + MARGIN, polled).await;
    answered.unwrap_or_else(|_| {
        let text = format!("broker {name} has not answered in time");
        Err(MessagingError::new(ErrorKind::Late, text))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(brokers: usize, time: Duration) -> Vec<u128> {
        let begun = Instant::now();
        let mut rounds = Rounds {
            brokers: (0..brokers).map(|_| String::new()).collect(),
            fresh: brokers,
            until: begun + time,
            answered: false,
        };
        let (mut now, mut waits) = (begun, Vec::new());
        while let Some(wait) = rounds.wait(now) {
            waits.push(wait.as_millis());
            rounds.fresh = rounds.fresh.saturating_sub(1);
            now += wait;
        }
        waits
    }

    #[test]
    fn each_broker_is_asked_and_waited_for_in_turn() {
        let seconds = Duration::from_secs;
        assert_eq!(waits(1, seconds(30)), [30_000]);
        assert_eq!(waits(1, Duration::ZERO), [0]);
        assert_eq!(waits(2, Duration::ZERO), [0, 0]);
        assert_eq!(waits(2, seconds(3)), [0, 0, 1_000, 1_000, 1_000]);
        assert_eq!(
            waits(3, Duration::from_millis(1_500)),
            [0, 0, 0, 666, 666, 166]
        );
        let many = waits(20, seconds(1));
        assert_eq!(many.len(), 24);
        assert_eq!(many.last(), Some(&250));
    }
}
