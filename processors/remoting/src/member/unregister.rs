//! UNREGISTER_CLIENT (35): relayed on all of the client's lanes.

use std::rc::Rc;

use messaging::Groups;
use remoting_codec::{RemotingCommand, ResponseCode};

use crate::error::ProcessError;
use crate::session::Session;
use crate::session::request::Request;
use crate::table::Field;

/// The largest unregistration, in bytes. It is limited because it is kept.
const FRAME_MAX: usize = 16 * 1024;

pub(crate) async fn process(session: Rc<Session>, request: Request) -> Result<(), ProcessError> {
    let view = request.view()?;
    if view.frame().len() > FRAME_MAX {
        return Err(ProcessError::TooLong("unregistration", FRAME_MAX));
    }
    let asked = request.asked(&view)?;
    let text = |field| asked.value(field).map(|value| value.text().into_owned());
    // Brokers identify the client by the connection, whatever client id the request names
    // (`ClientManageProcessor.unregisterClient`).
    let client_id = text(Field::ClientId).or_else(|| session.member.client_id());
    let client_id = client_id.unwrap_or_default();
    let groups = Groups {
        producer: text(Field::ProducerGroup),
        consumer: text(Field::ConsumerGroup),
    };
    let frame = request.awaited()?;
    let is_news = {
        let turn = session.member.turn();
        let _turn = turn.lock().await;
        session.member.unregister(&client_id, &groups, frame)
    };
    if is_news {
        session.member.withdraw().await;
    }
    let response =
        RemotingCommand::response(ResponseCode::SUCCESS, view.opaque(), view.serialize_type());
    session.answer(&asked.incoming, response);
    Ok(())
}
