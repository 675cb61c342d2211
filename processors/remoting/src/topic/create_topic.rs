//! UPDATE_AND_CREATE_TOPIC (17): relayed to every broker of the route.
//!
//! `createTopic` of the client asks every master of a known topic's route the same, without naming it.
//! Behind one address all of them arrive here; each takes effect on all, which is the same in the end.

use std::rc::Rc;

use remoting_codec::{CommandView, Fields, ResponseCode};
use route_cache::UpstreamError;

use crate::error::ProcessError;
use crate::relay;
use crate::relay::choose;
use crate::relay::fan_out::ask_all;
use crate::session::Session;
use crate::session::request::Request;
use crate::table::{BROKER, TOPIC};

/// Place of `defaultTopic`: the topic whose brokers are meant.
const KEY_TOPIC: usize = 2;

pub(crate) async fn process(session: Rc<Session>, request: Request) -> Result<(), ProcessError> {
    let view = request.view()?;
    let fields = Fields::read(view.ext_fields(), request.row.fields)?;
    let text = |place| fields.value(place).map(|value| value.text());
    let mut brokers = Vec::new();
    let key = text(KEY_TOPIC).unwrap_or_default();
    if session.broker.is_some() || fields.value(BROKER).is_some() {
        brokers.push(choose::find_broker(&session, &request).await?);
    } else if let Ok(route) = session.route(&key).await {
        for data in route.brokers() {
            brokers.push(session.upstream.broker(&data.broker_name).await?);
        }
    } else {
        brokers = session.upstream.all_brokers().await;
    }
    if view.is_oneway() {
        for broker in brokers {
            relay::to_broker(&session, &broker, request.row, &request.frame(), &view)?;
        }
        return Ok(());
    }
    let (answers, _held) = ask_all(&session, &request, brokers).await;
    // Whatever has come of it: the next client gets the route as name servers know it now.
    session
        .upstream
        .routes()
        .changed(&text(TOPIC).unwrap_or_default());
    let mut success = None;
    for answer in answers {
        let frame = answer?;
        let answered = CommandView::decode(&frame)?;
        if answered.code() != ResponseCode::SUCCESS.0 {
            session.pass_on(&view, &frame)?;
            return Ok(());
        }
        success = Some(frame);
    }
    let frame = success.ok_or_else(|| UpstreamError::NoBroker(key.as_ref().into()))?;
    session.pass_on(&view, &frame)
}
