//! QUERY_ASSIGNMENT (400): relayed to a broker that knows the group, because the broker divides the
//! topic's queues among the members that it knows.

use std::rc::Rc;

use remoting_codec::body::AssignmentQuery;

use crate::error::ProcessError;
use crate::relay;
use crate::session::Session;
use crate::session::bodies;
use crate::session::request::Request;

pub(crate) async fn process(session: Rc<Session>, request: Request) -> Result<(), ProcessError> {
    let view = request.view()?;
    let query =
        bodies::of_request(&request, "query of an assignment", AssignmentQuery::decode).await?;
    let member = session.member.consumer(&query.consumer_group);
    let topics = std::iter::once(query.topic.as_str());
    if member.is_some()
        && let Some(connection) = session.member.lane_of_topics(topics).await
    {
        let time = session.settings.policy.time(request.row.patience);
        return relay::on_connection(&session, &connection, &request.incoming(&view), time);
    }
    let broker = session.caller().any_broker(&query.topic).await?;
    relay::to_broker(&session, &broker, request.row, &request.incoming(&view))
}
