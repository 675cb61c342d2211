//! GET_ROUTEINFO_BY_TOPIC (105): answered here, with Remora's address for every broker's,
//! or that of the broker's own listener.

use std::rc::Rc;

use remoting_codec::{CommandView, Fields, RemotingCommand, ResponseCode};
use remoting_transport::Frame;
use route_cache::{NameServerError, RouteError, TopicRoute};

use crate::error::ProcessError;
use crate::session::Session;
use crate::session::kind;
use crate::session::request::Request;
use crate::table::{Row, route_field};

pub(crate) fn process(
    session: &Rc<Session>,
    row: &'static Row,
    frame: &Frame<'_>,
    view: &CommandView<'_>,
) -> Result<(), ProcessError> {
    let fields = Fields::read(view.ext_fields(), row.fields)?;
    let topic = fields.value(route_field::TOPIC).map(|topic| topic.text());
    if let Some(route) = session.upstream.routes().cached(&topic.unwrap_or_default()) {
        answer(session, view, &fields, &route);
        return Ok(());
    }
    session.spawn(Request::new(frame, row), look_up);
    Ok(())
}

async fn look_up(session: Rc<Session>, request: Request) -> Result<(), ProcessError> {
    let view = request.view()?;
    let fields = Fields::read(view.ext_fields(), request.row.fields)?;
    let topic = fields.value(route_field::TOPIC).map(|topic| topic.text());
    let topic = topic.unwrap_or_default();
    let time = session.settings.time(request.row.patience);
    let route = tokio::time::timeout(time, session.route(&topic)).await;
    let late = || RouteError::Unavailable(NameServerError::Unreachable("all are slow".into()));
    let route = route.map_err(|_| late())??;
    answer(&session, &view, &fields, &route);
    Ok(())
}

fn answer(session: &Session, view: &CommandView<'_>, fields: &Fields<'_>, route: &TopicRoute) {
    let text = |place| fields.value(place).map(|value| value.text());
    // As a name server reads them (`ZoneRouteRPCHook.doAfterResponse`).
    let zone = text(route_field::ZONE_MODE)
        .filter(|mode| mode.eq_ignore_ascii_case("true"))
        .and_then(|_| text(route_field::ZONE_NAME))
        .filter(|zone| !zone.trim().is_empty());
    let own = kind::uses_own_listeners(session, view);
    let body = route.encoded(&session.advertised, own, zone.as_deref());
    let response =
        RemotingCommand::response(ResponseCode::SUCCESS, view.opaque(), view.serialize_type());
    session.answer(view, response.with_body(body));
}
