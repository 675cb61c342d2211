//! ACK_MESSAGE (200051), CHANGE_MESSAGE_INVISIBLETIME (200053): relayed to the broker that the
//! header names or, for clients of 5.0, the broker that the receipt names.

use std::rc::Rc;

use remoting_codec::message::Receipt;

use crate::error::ProcessError;
use crate::relay;
use crate::relay::choose;
use crate::session::Session;
use crate::session::request::Asked;
use crate::table::Field;

pub(crate) fn process(session: &Rc<Session>, asked: &Asked<'_>) -> Result<(), ProcessError> {
    if let Some(broker) = choose::known_broker(session, asked) {
        return relay::to_broker(session, &broker, asked.row, &asked.incoming);
    }
    session.spawn(asked.keep(), |session, request| async move {
        let view = request.view()?;
        let asked = request.asked(&view)?;
        let receipt = asked.text(Field::ExtraInfo);
        let broker = match Receipt::broker_in(&receipt) {
            Some(name)
                if asked.value(Field::Broker).is_none() && session.caller().broker().is_none() =>
            {
                session.upstream.broker(name).await?
            }
            _ => choose::find_broker(&session, &asked).await?,
        };
        relay::to_broker(&session, &broker, asked.row, &asked.incoming)
    });
    Ok(())
}
