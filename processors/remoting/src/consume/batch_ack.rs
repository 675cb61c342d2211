//! BATCH_ACK_MESSAGE (200151): relayed to the broker that the body names.

use std::rc::Rc;

use remoting_codec::body::BatchAck;

use crate::error::ProcessError;
use crate::relay;
use crate::session::Session;
use crate::session::bodies;
use crate::session::request::Request;

pub(crate) async fn process(session: Rc<Session>, request: Request) -> Result<(), ProcessError> {
    let acks = bodies::of_request(&request, "batch of acknowledgements", BatchAck::decode).await?;
    let named = acks.broker_name;
    let broker = session.caller().broker().unwrap_or(&named);
    let broker = session.upstream.broker(broker).await?;
    let view = request.view()?;
    relay::to_broker(&session, &broker, request.row, &request.incoming(&view))
}
