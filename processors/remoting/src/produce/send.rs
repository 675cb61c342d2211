//! SEND_MESSAGE (10), SEND_MESSAGE_V2 (310), SEND_BATCH_MESSAGE (320), and replies (324, 325): relayed,
//! and the broker gets to know the producer.
//!
//! A heartbeat names no topics, so a producer is made known to a broker with its first message there.
//! Most messages do not wait for that. Two kinds do, for something will come back to the producer: half
//! messages, whose outcome the broker may ask for, and requests, which are replied to.

use std::rc::Rc;
use std::sync::LazyLock;
use std::time::Duration;

use memchr::memmem::Finder;
use remoting_codec::RequestCode;
use route_cache::{Broker, Class};

use crate::error::ProcessError;
use crate::metrics::{Tag, message_type};
use crate::produce::elsewhere;
use crate::produce::introduction;
use crate::relay;
use crate::relay::Counted;
use crate::relay::choose;
use crate::session::Session;
use crate::session::request::{Asked, Incoming, Request};
use crate::session::requester;
use crate::table::Field;

/// Bits of `sysFlag` about transactions (`MessageSysFlag` in the reference), and their value in a half
/// message.
const TRANSACTION: i32 = 0xC;
const PREPARED: i32 = 0x4;

/// A send from this size on goes over a connection for large ones: small ones of other clients would wait behind it. So do
/// the sends of a client of which so much waits for brokers already.
const BULK_MIN: usize = 16 * 1024;
const WAITING_MAX: usize = 32 * 1024;

/// The property of a request (`MessageConst.PROPERTY_MESSAGE_REPLY_TO_CLIENT`).
static REPLY_TO_CLIENT: LazyLock<Finder<'static>> =
    LazyLock::new(|| Finder::new("REPLY_TO_CLIENT"));

pub(crate) fn process(session: &Rc<Session>, asked: &Asked<'_>) -> Result<(), ProcessError> {
    if let Some(broker) = choose::known_broker(session, asked)
        && !introduction::expects_something(session, asked, &broker)
    {
        let time = session.settings.time(asked.row.patience);
        match give(session, &broker, asked, time) {
            Err(error) if elsewhere::is_unsent(&error) && elsewhere::may_go(session, asked) => {
                session.spawn(asked.keep(), |session, request| {
                    elsewhere::send(session, request, error)
                });
            }
            given => {
                given?;
                introduction::introduce(session, &broker);
            }
        }
        return Ok(());
    }
    session.spawn(asked.keep(), |session, request| async move {
        let Err(error) = find_and_give(&session, &request).await else {
            return Ok(());
        };
        let may_go = elsewhere::is_unsent(&error) && {
            let view = request.view()?;
            elsewhere::may_go(&session, &request.asked(&view)?)
        };
        match may_go {
            true => elsewhere::send(session, request, error).await,
            false => Err(error),
        }
    });
    Ok(())
}

/// Has the broker know the producer first, where something will come back to it, and gives it the message.
async fn find_and_give(session: &Rc<Session>, request: &Request) -> Result<(), ProcessError> {
    let view = request.view()?;
    let asked = request.asked(&view)?;
    let broker = choose::find_broker(session, &asked).await?;
    if is_half(&asked) {
        introduction::introduce_first(session, &broker, &asked).await;
    }
    if is_request(&asked) {
        session.membership.borrow_mut().note_requester();
        requester::introduce(session).await;
    }
    let time = session.settings.time(request.row.patience);
    give(session, &broker, &asked, time)?;
    introduction::introduce(session, &broker);
    Ok(())
}

/// Puts the message into the data connection. The broker may take so long.
pub(crate) fn give(
    session: &Rc<Session>,
    broker: &Broker,
    asked: &Asked<'_>,
    time: Duration,
) -> Result<(), ProcessError> {
    let (row, incoming) = (asked.row, &asked.incoming);
    let Incoming { frame, view, .. } = incoming;
    // One that has sent something large keeps to that connection until all is answered, so that its messages stay in order.
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
        tag: tag(session, asked),
        is_bulk,
    };
    if connection.is_established() || !elsewhere::may_go(session, asked) {
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

/// What the message is counted as.
fn tag(session: &Session, asked: &Asked<'_>) -> Tag {
    let message_type = message_type(is_half(asked), asked.value(Field::Properties));
    session
        .metrics
        .tag_send(asked.value(Field::Topic), message_type, asked.view())
}

pub(crate) fn is_half(asked: &Asked<'_>) -> bool {
    asked.int(Field::SysFlag).unwrap_or_default() & TRANSACTION == PREPARED
}

pub(crate) fn is_request(asked: &Asked<'_>) -> bool {
    // A reply has the property too: it says whom it is for.
    !matches!(
        asked.row.code,
        RequestCode::SEND_REPLY_MESSAGE | RequestCode::SEND_REPLY_MESSAGE_V2
    ) && asked
        .value(Field::Properties)
        .is_some_and(|properties| properties.contains(&REPLY_TO_CLIENT))
}
