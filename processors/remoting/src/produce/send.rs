//! SEND_MESSAGE (10), SEND_MESSAGE_V2 (310), SEND_BATCH_MESSAGE (320), and replies (324, 325):
//! relayed, and the producer is registered at the broker.
//!
//! A heartbeat names no topics, so a producer is registered at a broker with its first message to
//! that broker. Most messages do not wait for the registration. Two kinds do, because the broker
//! will send something to the producer: half messages, which the broker may check, and requests,
//! which are replied to.

use std::rc::Rc;
use std::time::Duration;

use messaging::Expected;
use route_cache::{Broker, Class};

use crate::error::ProcessError;
use crate::metrics::{Tag, message_type};
use crate::produce::elsewhere;
use crate::relay;
use crate::relay::Counted;
use crate::relay::choose;
use crate::session::Session;
use crate::session::request::{Asked, Incoming, Request};
use crate::table::Field;

/// Sends of at least this size, in bytes, use a separate data connection, because small sends of
/// other clients would wait behind them. So do the sends of a client that has more than
/// [`WAITING_MAX`] bytes waiting for brokers.
const BULK_MIN: usize = 16 * 1024;
const WAITING_MAX: usize = 32 * 1024;

pub(crate) fn process(session: &Rc<Session>, asked: &Asked<'_>) -> Result<(), ProcessError> {
    let expected = expected(asked);
    if let Some(broker) = choose::known_broker(session, asked)
        && !session
            .member
            .must_introduce(&broker, expected, asked.value(Field::Group))
    {
        let time = session.settings.policy.time(asked.row.patience);
        match give(session, &broker, asked, expected, time) {
            Err(error) if error.is_unsent() && elsewhere::may_go(session, asked, expected) => {
                session.spawn(asked.keep(), |session, request| {
                    elsewhere::send(session, request, error)
                });
            }
            given => {
                given?;
                session.member.introduce(&broker);
            }
        }
        return Ok(());
    }
    session.spawn(asked.keep(), |session, request| async move {
        let Err(error) = find_and_give(&session, &request).await else {
            return Ok(());
        };
        let may_go = error.is_unsent() && {
            let view = request.view()?;
            let asked = request.asked(&view)?;
            elsewhere::may_go(&session, &asked, self::expected(&asked))
        };
        match may_go {
            true => elsewhere::send(session, request, error).await,
            false => Err(error),
        }
    });
    Ok(())
}

/// Registers the producer at the broker first, if the broker will send something to it, and relays
/// the message.
async fn find_and_give(session: &Rc<Session>, request: &Request) -> Result<(), ProcessError> {
    let view = request.view()?;
    let asked = request.asked(&view)?;
    let broker = choose::find_broker(session, &asked).await?;
    let (expected, group) = (expected(&asked), asked.text(Field::Group));
    // A producer that has not declared itself is registered under its connection's address.
    let stand_in = session.peer();
    let member = &session.member;
    member
        .introduce_first(&broker, expected, &group, stand_in)
        .await;
    let time = session.settings.policy.time(request.row.patience);
    give(session, &broker, &asked, expected, time)?;
    session.member.introduce(&broker);
    Ok(())
}

/// Writes the message to the data connection, with that timeout for the broker's answer.
pub(crate) fn give(
    session: &Rc<Session>,
    broker: &Broker,
    asked: &Asked<'_>,
    expected: Expected,
    time: Duration,
) -> Result<(), ProcessError> {
    let (row, incoming) = (asked.row, &asked.incoming);
    let Incoming { frame, view, .. } = incoming;
    // A client that has sent a large message stays on that connection until all its sends are
    // answered, so that its messages stay in order.
    let is_bulk = frame.bytes().len() >= BULK_MIN
        || session.bulk.get() > 0
        || session.account().forwarded() > WAITING_MAX;
    let class = match is_bulk {
        true => Class::Bulk,
        false => row.class,
    };
    let connection = broker.connection(class, row.needs_master)?;
    let counted = Counted {
        offset: 0,
        tag: tag(session, asked, expected),
        is_bulk,
    };
    if connection.is_established() || !elsewhere::may_go(session, asked, expected) {
        let target = || session.clone();
        return relay::for_target(session, &connection, incoming, time, counted, target);
    }
    if view.is_oneway() {
        connection.relay_oneway(frame, view, session.account())?;
        let broker = broker.name().clone();
        session.spawn(asked.keep(), |session, request| {
            elsewhere::follow_oneway(session, request, connection, broker)
        });
        return Ok(());
    }
    relay::for_target(session, &connection, incoming, time, counted, || {
        Rc::new(elsewhere::Undecided {
            session: session.clone(),
            request: asked.keep(),
            _held: session.account().hold(frame.bytes().len()),
        })
    })
}

/// The tag that the message is counted under.
fn tag(session: &Session, asked: &Asked<'_>, expected: Expected) -> Tag {
    let message_type = message_type(expected.check, asked.value(Field::Properties));
    session
        .metrics
        .tag_send(asked.value(Field::Topic), message_type, asked.view())
}

/// What brokers will send to the producer because of this message.
pub(crate) fn expected(asked: &Asked<'_>) -> Expected {
    let (flag, properties) = (asked.int(Field::SysFlag), asked.value(Field::Properties));
    Expected::of(asked.row.code, flag, properties)
}
