//! GET_CONSUMER_CONNECTION_LIST (203), GET_PRODUCER_CONNECTION_LIST (204): relayed to every broker,
//! and the answers joined. Only brokers know the clients of all replicas, and each broker knows
//! only those that use it.

use std::rc::Rc;

use remoting_codec::body::ConnectionList;
use remoting_codec::{RemotingCommand, ResponseCode, UpstreamView};

use route_cache::UpstreamError;

use crate::error::ProcessError;
use crate::relay;
use crate::relay::fan_out::ask_all;
use crate::session::Session;
use crate::session::bodies;
use crate::session::request::Request;

pub(crate) async fn process(session: Rc<Session>, request: Request) -> Result<(), ProcessError> {
    let view = request.view()?;
    let incoming = request.incoming(&view);
    if let Some(name) = session.caller().broker() {
        let broker = session.upstream.broker(name).await?;
        return relay::to_broker(&session, &broker, request.row, &incoming);
    }
    if view.is_oneway() {
        // A one-way request: no broker would answer it, and the client waits for no answer.
        return Ok(());
    }
    let brokers = session.upstream.all_brokers().await;
    let turns = session.queries.borrow().turns();
    let _turn = turns.acquire().await;
    let (answers, _held) = ask_all(&session, &request, brokers).await;
    let mut joined: Option<ConnectionList> = None;
    let mut refusal = None;
    for frame in answers.into_iter().flatten() {
        let answered = UpstreamView::decode_answer(&frame)?;
        if !answered.is_success() {
            refusal = Some(frame);
            continue;
        }
        let body = answered.body_range();
        let list = bodies::of_frame(
            frame.clone(),
            body,
            "list of connections",
            ConnectionList::decode,
        )
        .await?;
        match &mut joined {
            Some(joined) => joined.join(list),
            None => joined = Some(list),
        }
    }
    let (opaque, serialize_type) = (view.opaque(), view.serialize_type());
    match (joined, refusal) {
        (Some(joined), _) => {
            let success = RemotingCommand::response(ResponseCode::SUCCESS, opaque, serialize_type);
            session.answer(&incoming, success.with_body(joined.encode()));
            Ok(())
        }
        (None, Some(frame)) => session.pass_on(&incoming, &frame),
        (None, None) => Err(UpstreamError::NoBroker("at all".into()).into()),
    }
}
