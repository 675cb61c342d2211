//! GET_CONSUMER_LIST_BY_GROUP (38), and requests to a member of a group (307, 309): relayed to a
//! broker that knows the group.
//!
//! The request names no broker. Every broker of the group's topics knows all members. Other brokers
//! may not: a broker that a member only sends to knows that member alone. All members must get the
//! list from the same broker, whatever replica they are connected to, so that their views stay
//! alike while a member connects or leaves.

use std::rc::Rc;

use bytes::Bytes;
use remoting_codec::body::ConsumerList;
use remoting_codec::message::RETRY_PREFIX;
use remoting_codec::{RemotingCommand, RequestCode, UpstreamView};

use crate::error::ProcessError;
use crate::relay;
use crate::session::Session;
use crate::session::bodies;
use crate::session::request::{Incoming, Request};
use crate::table::Field;

pub(crate) async fn process(session: Rc<Session>, request: Request) -> Result<(), ProcessError> {
    let view = request.view()?;
    let asked = request.asked(&view)?;
    let group = asked.text(Field::Group);
    let time = session.settings.policy.time(request.row.patience);
    let topics = session.member.topics(&group);
    if let Some(topics) = topics
        && let Some(connection) = session.member.lane_of_topics(topics.iter()).await
    {
        if request.row.code == RequestCode::GET_CONSUMER_LIST_BY_GROUP {
            let answer = connection.call(request.bytes(), time).await?;
            return each_once(&session, &asked.incoming, &answer).await;
        }
        return relay::on_connection(&session, &connection, &asked.incoming, time);
    }
    // The group's retry topic exists wherever the group is known.
    let topic = format!("{RETRY_PREFIX}{group}");
    let broker = session.caller().any_broker(&topic).await;
    let broker = broker.map_err(|_| ProcessError::NoConsumer(group.into_owned()))?;
    relay::to_broker(&session, &broker, asked.row, &asked.incoming)
}

/// Answers with each member once. Members divide the queues by the list, each by the first index of
/// its own id. A broker lists a client once per connection, and keeps a connection that died
/// without a close for 120 s (`ClientHousekeepingService` in the reference). Until then, the queues
/// of the client's second entry would be assigned to no client.
async fn each_once(
    session: &Session,
    incoming: &Incoming<'_>,
    answer: &Bytes,
) -> Result<(), ProcessError> {
    let answered = UpstreamView::decode_answer(answer)?;
    let (frame, body) = (answer.clone(), answered.body_range());
    let read = bodies::of_frame(frame, body, "list of members", ConsumerList::decode);
    let Ok(mut members) = read.await else {
        return session.pass_on(incoming, answer);
    };
    if !members.dedup() {
        return session.pass_on(incoming, answer);
    }
    let response = RemotingCommand::decode(answer)?.with_body(members.encode());
    session.pass_on(incoming, &response.to_bytes())
}
