//! Requests that brokers send to clients, on their lanes: NOTIFY_CONSUMER_IDS_CHANGED (40) and
//! others.
//!
//! A lane belongs to one client, so a push on it is for that client, and is passed on unchanged.

use std::collections::VecDeque;
use std::rc::Rc;

use bytes::Bytes;
use remoting_codec::headers::BROKER_NAME;
use remoting_codec::{
    CommandView, Opaque, RemotingCommand, RequestCode, UpstreamOpaque, UpstreamView,
};
use remoting_transport::Frame;
use route_cache::Connection;

use crate::session::Session;

/// The most pushes that may wait for one client's answer. Above it, the oldest is dropped, and its
/// broker stops waiting by its own timeout.
const WAITING_MAX: usize = 256;

/// The pushes that wait for the client's answer.
#[derive(Debug, Default)]
pub(crate) struct Pushes {
    last: Opaque,
    waiting: VecDeque<Push>,
}

#[derive(Debug)]
struct Push {
    /// The opaque towards the client. Each broker counts its own opaques, so two may use the same.
    opaque: Opaque,
    from: Rc<Connection>,
    /// The broker's opaque.
    origin: UpstreamOpaque,
}

/// Passes a push on to the client.
pub(crate) fn on_push(
    session: &Session,
    from: &Rc<Connection>,
    frame: &Frame<'_>,
    view: &UpstreamView<'_>,
) {
    let mut pushes = session.pushes.borrow_mut();
    pushes.last = Opaque(pushes.last.0.wrapping_add(1) & i32::MAX);
    let opaque = pushes.last;
    if !view.is_oneway() {
        if pushes.waiting.len() == WAITING_MAX {
            pushes.waiting.pop_front();
        }
        pushes.waiting.push_back(Push {
            opaque,
            from: from.clone(),
            origin: view.opaque(),
        });
    }
    match check_with_broker_name(from, frame, view) {
        Some(whole) => {
            if let Ok(view) = CommandView::decode(&whole) {
                session
                    .outbox()
                    .push_relayed(&Frame::of(&whole), &view, opaque);
            }
        }
        None => session.outbox().push_relayed(frame, view, opaque),
    }
}

/// A transaction check of a 4.x broker does not name the broker. A client copies the name from the
/// check into its END_TRANSACTION, which could not be relayed without it.
fn check_with_broker_name(
    from: &Connection,
    frame: &Frame<'_>,
    view: &UpstreamView<'_>,
) -> Option<Bytes> {
    if view.request_code() != RequestCode::CHECK_TRANSACTION_STATE
        || view.ext_fields().value(BROKER_NAME).is_some()
    {
        return None;
    }
    let command = RemotingCommand::decode(&frame.to_owned()).ok()?;
    let command = command.with_field(BROKER_NAME, from.broker_name()?.to_owned());
    Some(command.to_bytes())
}

/// Passes the client's answer on to the broker; an answer that no broker waits for is dropped.
pub(crate) fn on_response(session: &Session, frame: &Frame<'_>, view: &CommandView<'_>) {
    let mut pushes = session.pushes.borrow_mut();
    let mut waiting = pushes.waiting.iter();
    let at = waiting.position(|push| push.opaque == view.opaque());
    if let Some(push) = at.and_then(|at| pushes.waiting.remove(at)) {
        push.from
            .respond(frame, view, push.origin, session.account());
    }
}
