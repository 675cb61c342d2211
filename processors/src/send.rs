//! SEND_MESSAGE (10), SEND_MESSAGE_V2 (310), SEND_BATCH_MESSAGE (320): relayed, and the broker gets
//! to know the producer.
//!
//! A heartbeat names no topics, so a producer is made known to a broker with its first message there.
//! The message does not wait for that.

use std::rc::Rc;

use remoting_codec::{CommandView, Fields};
use route_cache::Broker;
use route_cache::transport::Frame;

use crate::error::ProcessError;
use crate::request::Request;
use crate::session::Session;
use crate::table::Row;
use crate::{heartbeat, relay};

pub(crate) fn process(
    session: &Rc<Session>,
    row: &'static Row,
    frame: &Frame<'_>,
    view: &CommandView<'_>,
) -> Result<(), ProcessError> {
    let fields = Fields::read(view.ext_fields(), row.fields)?;
    match relay::known_broker(session, &fields) {
        Some(broker) => to_broker(session, &broker, row, frame, view),
        None => {
            session.spawn(Request::new(frame, row), |session, request| async move {
                let broker = relay::find_broker(&session, &request).await?;
                let (frame, view) = (request.frame(), request.view()?);
                to_broker(&session, &broker, request.row, &frame, &view)
            });
            Ok(())
        }
    }
}

fn to_broker(
    session: &Rc<Session>,
    broker: &Rc<Broker>,
    row: &Row,
    frame: &Frame<'_>,
    view: &CommandView<'_>,
) -> Result<(), ProcessError> {
    relay::to_broker(session, broker, row, frame, view)?;
    introduce(session, broker);
    Ok(())
}

/// Has the broker know the client, if the client has said who it is; else notes it for then.
fn introduce(session: &Rc<Session>, broker: &Rc<Broker>) {
    let mut membership = session.membership.borrow_mut();
    if membership
        .lanes()
        .iter()
        .any(|lane| lane.broker() == broker.name())
    {
        return;
    }
    if !membership.is_known() {
        membership.note_sent_to(broker);
        return;
    }
    drop(membership);
    let address = broker.addresses().master().cloned();
    if let Some(address) = address {
        heartbeat::lane_to(session, broker, &address);
    }
}
