//! POP_MESSAGE (200050), NOTIFICATION (200054): relayed once the broker knows the consumer.
//!
//! What a broker hands out stays invisible to the group until its time is over. When the client has gone
//! meanwhile, nobody would ever acknowledge it, so it is made visible again at once.

use std::rc::{Rc, Weak};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use remoting_codec::{CommandView, RemotingCommand, RequestCode, ResponseCode, UpstreamView};
use route_cache::{Connection, Origin, Outcome, RelayTarget, Upstream};

use crate::error::ProcessError;
use crate::relay;
use crate::relay::Counted;
use crate::relay::choose;
use crate::relay::consumer;
use crate::session::Session;
use crate::session::request::Asked;
use crate::table::Field;

/// What a broker may take longer than it was allowed to wait for messages, by its clock and not by this one. Java waits 10 s
/// longer.
const MARGIN: Duration = Duration::from_secs(5);

/// The longest wait that is believed.
const WAIT_MAX: Duration = Duration::from_secs(600);

/// How long a broker may take to take something back.
const GIVE_BACK_TIME: Duration = Duration::from_secs(5);

/// For how long what is given back stays invisible.
const INVISIBLE_MILLIS: &str = "1";

/// Topic of a group's retries.
const RETRY_PREFIX: &str = "%RETRY%";

pub(crate) fn process(session: &Rc<Session>, asked: &Asked<'_>) -> Result<(), ProcessError> {
    if let Some(broker) = choose::known_broker(session, asked)
        && let Some(connection) = consumer::connection_now(session, &broker, asked)?
    {
        return on_connection(session, &connection, asked);
    }
    session.spawn(asked.keep(), |session, request| async move {
        let view = request.view()?;
        let asked = request.asked(&view)?;
        let broker = choose::find_broker(&session, &asked).await?;
        let connection = consumer::connection_later(&session, &broker, &asked).await?;
        on_connection(&session, &connection, &asked)
    });
    Ok(())
}

fn on_connection(
    session: &Rc<Session>,
    connection: &Rc<Connection>,
    asked: &Asked<'_>,
) -> Result<(), ProcessError> {
    let (incoming, time) = (&asked.incoming, time(asked, now_millis()));
    let counted = Counted {
        tag: session
            .metrics
            .tag_pull(asked.value(Field::Topic), asked.value(Field::Group)),
        ..Counted::default()
    };
    relay::for_target(session, connection, incoming, time, counted, || {
        Rc::new(Pop {
            session: Rc::downgrade(session),
            upstream: session.upstream.clone(),
            connection: connection.clone(),
            topic: asked.text(Field::Topic).into_owned(),
            group: asked.text(Field::Group).into_owned(),
        })
    })
}

/// How long the broker may take. It answers at `bornTime` + `pollTime` of its own clock at the latest
/// (`PopLongPollingService.polling` in the reference): the poll of a client whose clock is ahead is kept longer by as much.
fn time(asked: &Asked<'_>, now: i64) -> Duration {
    let ahead = asked.long(Field::BornTime).unwrap_or_default();
    let ahead = ahead.saturating_sub(now).max(0);
    let wait = asked.long(Field::PollTime).unwrap_or_default().max(0);
    let wait = wait.saturating_add(ahead).unsigned_abs();
    Duration::from_millis(wait).min(WAIT_MAX) + MARGIN
}

/// Milliseconds since 1970.
fn now_millis() -> i64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.map_or(0, |now| i64::try_from(now.as_millis()).unwrap_or(i64::MAX))
}

/// A POP whose answer is awaited, and what it takes to give that back. It may come long after the client has gone, of which
/// nothing is kept for it.
struct Pop {
    session: Weak<Session>,
    upstream: Rc<Upstream>,
    connection: Rc<Connection>,
    topic: String,
    group: String,
}

impl RelayTarget for Pop {
    fn on_outcome(&self, origin: Origin, outcome: Outcome<'_>) {
        let session = self.session.upgrade();
        let is_taken = |session: &Rc<Session>| !session.is_closed() && session.has_room();
        let is_lost = match &outcome {
            Outcome::Answered { .. } => !session.as_ref().is_some_and(is_taken),
            Outcome::Late { .. } => true,
            Outcome::Failed(_) | Outcome::GivenUp => false,
        };
        if let Outcome::Answered { view, .. } | Outcome::Late { view, .. } = &outcome
            && is_lost
            && view.code() == ResponseCode::SUCCESS.0
        {
            self.give_back(view);
        }
        if let Some(session) = session {
            session.on_outcome(origin, outcome);
        }
    }

    fn gives_up(&self, origin: &Origin) -> bool {
        let session = self.session.upgrade();
        session.is_none_or(|session| session.gives_up(origin))
    }

    fn wants_late(&self) -> bool {
        true
    }
}

/// What a broker says that does not do what it was asked; nothing if it does.
fn refusal(frame: &Bytes) -> Option<String> {
    match CommandView::decode(frame) {
        Ok(view) if view.code() == ResponseCode::SUCCESS.0 => None,
        Ok(view) => Some(view.remark().into_owned()),
        Err(error) => Some(error.to_string()),
    }
}

impl Pop {
    /// Makes every message of an answer visible again.
    fn give_back(&self, view: &UpstreamView<'_>) {
        for receipt in self.receipts(view) {
            let connection = self.connection.clone();
            let receipt = self.upstream.config().signed(receipt).to_bytes();
            tokio::task::spawn_local(async move {
                let answer = connection.call(receipt, GIVE_BACK_TIME).await;
                let trouble = match &answer {
                    Ok(frame) => refusal(frame),
                    Err(error) => Some(error.to_string()),
                };
                if let Some(error) = trouble {
                    tracing::debug!(error, "a message stays invisible until its time is over");
                }
            });
        }
    }

    /// The requests that do it, out of the answer's header (`ExtraInfoUtil` in the reference): where in
    /// each queue the hand-out began, and which messages it has.
    fn receipts(&self, view: &UpstreamView<'_>) -> Vec<RemotingCommand> {
        let ext_fields = view.ext_fields();
        let text = |name| {
            ext_fields
                .value(name)
                .map(|value| value.text())
                .unwrap_or_default()
        };
        let starts = text("startOffsetInfo");
        let offsets = text("msgOffsetInfo");
        let (pop_time, invisible) = (text("popTime"), text("invisibleTime"));
        let revive_queue = text("reviveQid");
        let broker = self.connection.broker_name().unwrap_or_default();
        let mut receipts = Vec::new();
        for entry in offsets.split(';') {
            let mut parts = entry.split(' ');
            let (Some(mark), Some(queue), Some(offsets)) =
                (parts.next(), parts.next(), parts.next())
            else {
                continue;
            };
            let start = starts.split(';').find_map(|start| {
                let mut parts = start.split(' ');
                let here = parts.next() == Some(mark) && parts.next() == Some(queue);
                parts.next().filter(|_| here)
            });
            let Some(start) = start else {
                continue;
            };
            let topic = match mark {
                "1" => format!("{RETRY_PREFIX}{}_{}", self.group, self.topic),
                "2" => format!("{RETRY_PREFIX}{}+{}", self.group, self.topic),
                _ => self.topic.clone(),
            };
            for offset in offsets.split(',') {
                let receipt = format!(
                    "{start} {pop_time} {invisible} {revive_queue} {mark} {broker} {queue} {offset}"
                );
                let request = RemotingCommand::request(RequestCode::CHANGE_MESSAGE_INVISIBLETIME)
                    .with_field("consumerGroup", self.group.clone())
                    .with_field("topic", topic.clone())
                    .with_field("queueId", queue.to_owned())
                    .with_field("extraInfo", receipt)
                    .with_field("offset", offset.to_owned())
                    .with_field("invisibleTime", INVISIBLE_MILLIS)
                    .with_field("bname", broker.to_owned());
                receipts.push(request);
            }
        }
        receipts
    }
}

#[cfg(test)]
mod tests {
    use remoting_transport::Frame;
    use tokio::time::Instant;

    use super::*;
    use crate::session::request::Incoming;
    use crate::table::Row;

    fn seconds(poll: &'static str, born: &'static str) -> u64 {
        let row = Row::find(RequestCode::POP_MESSAGE).unwrap();
        let request = RemotingCommand::request(RequestCode::POP_MESSAGE)
            .with_field("pollTime", poll)
            .with_field("bornTime", born)
            .to_bytes();
        let incoming = Incoming {
            frame: Frame::of(&request),
            view: &CommandView::decode(&request).unwrap(),
            begun: Instant::now(),
        };
        let asked = Asked::read(row, incoming).unwrap();
        (time(&asked, 1_000_000) - MARGIN).as_secs()
    }

    #[test]
    fn a_poll_is_kept_until_the_broker_answers_it() {
        assert_eq!(seconds("15000", "1000000"), 15);
        // The client's clock is behind: the broker answers sooner.
        assert_eq!(seconds("15000", "900000"), 15);
        assert_eq!(seconds("15000", "1008000"), 23);
        assert_eq!(seconds("0", "1008000"), 8);
        // What cannot be believed or read.
        assert_eq!(seconds("15000", "9223372036854775807"), 600);
        assert_eq!(seconds("9223372036854775807", "1008000"), 600);
        assert_eq!(seconds("-1", ""), 0);
        assert_eq!(seconds("x", "y"), 0);
    }
}
