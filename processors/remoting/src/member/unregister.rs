//! UNREGISTER_CLIENT (35): relayed on all of the client's lanes.

use std::rc::Rc;

use remoting_codec::{RemotingCommand, ResponseCode};
use tokio::task::JoinSet;

use crate::error::ProcessError;
use crate::session::Session;
use crate::session::membership::Unregistered;
use crate::session::request::Request;
use crate::table::Field;

/// Most bytes of an unregistration, for it is kept.
const FRAME_MAX: usize = 16 * 1024;

pub(crate) async fn process(session: Rc<Session>, request: Request) -> Result<(), ProcessError> {
    let view = request.view()?;
    if view.frame().len() > FRAME_MAX {
        return Err(ProcessError::TooLong("unregistration", FRAME_MAX));
    }
    let asked = request.asked(&view)?;
    let text = |field| asked.value(field).map(|value| value.text().into_owned());
    // Brokers go by the connection, whether the request says whose it is or not (`ClientManageProcessor.unregisterClient`).
    let client_id = text(Field::ClientId).or_else(|| session.client_id());
    let client_id = client_id.unwrap_or_default();
    let group = Unregistered {
        producer: text(Field::ProducerGroup),
        consumer: text(Field::ConsumerGroup),
    };
    let frame = request.awaited()?;
    let turn = session.membership.borrow().turn();
    let (lanes, news) = {
        let _turn = turn.lock().await;
        let mut membership = session.membership.borrow_mut();
        let news = membership.unregister(&client_id, &group, frame);
        (membership.lanes().to_vec(), news)
    };
    session.charge_declared();
    if news {
        let mut telling = JoinSet::new();
        for lane in lanes {
            let session = session.clone();
            telling.spawn_local(async move {
                // Offsets that were committed before are to reach the broker before.
                if let Some(broker) = session.upstream.known_broker(lane.broker()) {
                    broker.requests_flushed().await;
                }
                lane.update(session.settings.heartbeat_time).await
            });
        }
        telling.join_all().await;
    }
    let response =
        RemotingCommand::response(ResponseCode::SUCCESS, view.opaque(), view.serialize_type());
    session.answer(&asked.incoming, response);
    Ok(())
}
