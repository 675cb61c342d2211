//! CHECK_CLIENT_CONFIG (46): relayed to a broker of the topic, which knows what filters it can do.

use std::rc::Rc;

use remoting_codec::body::ClientConfig;
use route_cache::RouteError;

use crate::error::ProcessError;
use crate::relay;
use crate::request::Request;
use crate::session::Session;

pub(crate) async fn process(session: Rc<Session>, request: Request) -> Result<(), ProcessError> {
    let view = request.view()?;
    let config = ClientConfig::decode(view.body())?;
    let topic = &config.subscription_data.topic;
    let route = session.upstream.routes().route(topic).await?;
    let no_broker = || RouteError::NoSuchTopic(format!("topic {topic} has no broker").into());
    let first = route.brokers().first().ok_or_else(no_broker)?;
    let broker = session.upstream.broker(&first.broker_name).await?;
    relay::to_broker(&session, &broker, request.row, &request.frame(), &view)
}
