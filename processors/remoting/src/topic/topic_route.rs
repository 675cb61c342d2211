//! GET_ROUTEINFO_BY_TOPIC (105): answered by Remora, with Remora's address in place of every
//! broker's, or the address of the broker's own listener.

use std::rc::Rc;

use remoting_codec::{RemotingCommand, ResponseCode};
use route_cache::{NameServerError, RouteError, TopicRoute};

use crate::error::ProcessError;
use crate::session::Session;
use crate::session::kind;
use crate::session::request::{Asked, Request};
use crate::table::Field;

pub(crate) fn process(session: &Rc<Session>, asked: &Asked<'_>) -> Result<(), ProcessError> {
    if let Some(route) = session.upstream.routes().cached(&asked.text(Field::Topic)) {
        answer(session, asked, &route);
        return Ok(());
    }
    session.spawn(asked.keep(), look_up);
    Ok(())
}

async fn look_up(session: Rc<Session>, request: Request) -> Result<(), ProcessError> {
    let view = request.view()?;
    let asked = request.asked(&view)?;
    let topic = asked.text(Field::Topic);
    let time = session.settings.policy.time(request.row.patience);
    let route = tokio::time::timeout(time, session.caller().route(&topic)).await;
    let late = || RouteError::Unavailable(NameServerError::Unreachable("all are too slow".into()));
    let route = route.map_err(|_| late())??;
    answer(&session, &asked, &route);
    Ok(())
}

fn answer(session: &Session, asked: &Asked<'_>, route: &TopicRoute) {
    let view = asked.view();
    let text = |field| asked.value(field).map(|value| value.text());
    // A name server reads the fields in the same way (`ZoneRouteRPCHook.doAfterResponse`).
    let zone = text(Field::ZoneMode)
        .filter(|mode| mode.eq_ignore_ascii_case("true"))
        .and_then(|_| text(Field::ZoneName))
        .filter(|zone| !zone.trim().is_empty());
    let own = kind::uses_own_listeners(session, view);
    let body = route.encoded(&session.advertised, own, zone.as_deref());
    let response =
        RemotingCommand::response(ResponseCode::SUCCESS, view.opaque(), view.serialize_type());
    session.answer(&asked.incoming, response.with_body(body));
}
