//! UPDATE_AND_CREATE_TOPIC (17): relayed to every broker of the route.
//!
//! `createTopic` of the client sends the same request to every master of a known topic's route,
//! without naming the master. All these requests arrive at Remora's one address. Each is relayed to
//! all masters, so the result is the same.

use std::rc::Rc;

use remoting_codec::UpstreamView;
use route_cache::UpstreamError;

use crate::error::ProcessError;
use crate::relay;
use crate::relay::choose;
use crate::relay::fan_out::ask_all;
use crate::session::Session;
use crate::session::request::Request;
use crate::table::Field;

pub(crate) async fn process(session: Rc<Session>, request: Request) -> Result<(), ProcessError> {
    let view = request.view()?;
    let asked = request.asked(&view)?;
    let mut brokers = Vec::new();
    let key = asked.text(Field::DefaultTopic);
    if session.caller().broker().is_some() || asked.value(Field::Broker).is_some() {
        brokers.push(choose::find_broker(&session, &asked).await?);
    } else if let Ok(route) = session.caller().route(&key).await {
        for data in route.brokers() {
            brokers.push(session.upstream.broker(&data.broker_name).await?);
        }
    } else {
        brokers = session.upstream.all_brokers().await;
    }
    if view.is_oneway() {
        for broker in brokers {
            relay::to_broker(&session, &broker, asked.row, &asked.incoming)?;
        }
        return Ok(());
    }
    let (answers, _held) = ask_all(&session, &request, brokers).await;
    // Whatever the result, the next client gets the route as name servers have it now.
    session.upstream.routes().changed(&asked.text(Field::Topic));
    let mut success = None;
    for answer in answers {
        let frame = answer?;
        let answered = UpstreamView::decode_answer(&frame)?;
        if !answered.is_success() {
            session.pass_on(&asked.incoming, &frame)?;
            return Ok(());
        }
        success = Some(frame);
    }
    let frame = success.ok_or_else(|| UpstreamError::NoBroker(key.as_ref().into()))?;
    session.pass_on(&asked.incoming, &frame)
}
