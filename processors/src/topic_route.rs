//! GET_ROUTEINFO_BY_TOPIC (105): answered here, with Remora's address for every broker's,
//! or that of the broker's own listener.

use std::rc::Rc;

use remoting_codec::{Fields, RemotingCommand, ResponseCode};
use route_cache::{NameServerError, RouteError};

use crate::error::ProcessError;
use crate::relay;
use crate::request::Request;
use crate::session::Session;

pub(crate) async fn process(session: Rc<Session>, request: Request) -> Result<(), ProcessError> {
    let view = request.view()?;
    let fields = Fields::read(view.ext_fields(), request.row.fields)?;
    let topic = fields
        .value(0)
        .map(|topic| topic.text())
        .unwrap_or_default();
    let route = session.upstream.routes().route(&topic);
    let route = tokio::time::timeout(session.settings.time(request.row.patience), route).await;
    let late = || RouteError::Unavailable(NameServerError::Unreachable("all are slow".into()));
    let route = route.map_err(|_| late())??;
    let response =
        RemotingCommand::response(ResponseCode::SUCCESS, view.opaque(), view.serialize_type());
    let own = relay::uses_own_listeners(&session, &view);
    let body = route.encoded(&session.advertised, own);
    session.answer(&view, response.with_body(body));
    Ok(())
}
