//! Brokers get to know a producer, before or after its message.

use std::rc::Rc;

use route_cache::Broker;

use super::send::{is_half, is_request};
use crate::session::request::Asked;
use crate::session::{Session, lanes};
use crate::table::Field;

/// Whether something will come back to the producer and brokers do not know it yet.
pub(crate) fn expects_something(session: &Session, asked: &Asked<'_>, broker: &Broker) -> bool {
    let membership = session.membership.borrow();
    let introduced = || {
        membership
            .lanes()
            .iter()
            .any(|lane| lane.broker() == broker.name())
    };
    let joining = || membership.lanes().iter().any(|lane| lane.is_joining());
    let stands_in = || membership.is_known() || membership.stands_in(&asked.text(Field::Group));
    (is_half(asked) && !(introduced() && stands_in()))
        || (is_request(asked) && !(membership.is_requester() && introduced()))
        || ((is_half(asked) || is_request(asked)) && joining())
}

/// Has the broker know the producer of a half message before it gets that. One that has not said who it
/// is yet is known by where it connects from until it does: its group is in the message, and a check
/// goes to any connection of the group.
pub(crate) async fn introduce_first(session: &Rc<Session>, broker: &Rc<Broker>, asked: &Asked<'_>) {
    let client_id = session.peer().to_string();
    let is_new = session
        .membership
        .borrow_mut()
        .stand_in(&client_id, &asked.text(Field::Group));
    session.charge_declared();
    let master = broker.addresses().master().cloned();
    let lane = master.and_then(|address| lanes::lane_to(session, broker, &address));
    let Some(lane) = lane else {
        return;
    };
    let time = session.settings.introduction_time;
    if is_new && lane.registered().is_some() {
        // What goes wrong here, the message itself will meet with.
        let _ = lane.update(time).await;
    } else {
        lane.wait_registered(time).await;
    }
}

/// Has the broker know the client, if the client has said who it is; else notes it for then.
pub(crate) fn introduce(session: &Rc<Session>, broker: &Rc<Broker>) {
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
        lanes::lane_to(session, broker, &address);
    }
}
