//! CHECK_CLIENT_CONFIG (46): relayed to a broker of the topic, which knows what filters it
//! supports.

use std::rc::Rc;

use remoting_codec::body::ClientConfig;

use crate::error::ProcessError;
use crate::relay;
use crate::session::Session;
use crate::session::bodies;
use crate::session::request::Request;

pub(crate) async fn process(session: Rc<Session>, request: Request) -> Result<(), ProcessError> {
    let view = request.view()?;
    let config = bodies::of_request(&request, "client configuration", ClientConfig::decode).await?;
    let topic = &config.subscription_data.topic;
    let broker = session.caller().any_broker(topic).await?;
    relay::to_broker(&session, &broker, request.row, &request.incoming(&view))
}
