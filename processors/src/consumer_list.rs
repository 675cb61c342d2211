//! GET_CONSUMER_LIST_BY_GROUP (38): relayed to a broker that knows the group.
//!
//! The request names no broker. Any broker of the group's topics knows all members; that it is the
//! same one for all members, whatever replica they are connected to, keeps their views alike while a
//! member comes or goes.

use std::rc::Rc;

use remoting_codec::Fields;

use crate::error::ProcessError;
use crate::relay;
use crate::request::Request;
use crate::session::Session;

/// Topic of a group's retries, which lives wherever the group is known.
const RETRY_PREFIX: &str = "%RETRY%";

pub(crate) async fn process(session: Rc<Session>, request: Request) -> Result<(), ProcessError> {
    let view = request.view()?;
    let fields = Fields::read(view.ext_fields(), request.row.fields)?;
    let group = fields
        .value(0)
        .map(|group| group.text())
        .unwrap_or_default();
    let time = session.settings.time(request.row.patience);
    let connection = {
        let membership = session.membership.borrow();
        let member = membership.consumer(&group).is_some();
        let mut lanes = membership.lanes().iter();
        lanes.find_map(|lane| lane.registered().filter(|_| member))
    };
    if let Some(connection) = connection {
        return relay::on_connection(&session, &connection, &request.frame(), &view, time);
    }
    let topic = format!("{RETRY_PREFIX}{group}");
    let route = session.upstream.routes().route(&topic).await;
    let first = route.ok().and_then(|route| {
        let first = route.brokers().first()?;
        session.upstream.known_broker(&first.broker_name)
    });
    let broker = first.ok_or_else(|| ProcessError::NoConsumer(group.into_owned()))?;
    relay::to_broker(&session, &broker, request.row, &request.frame(), &view)
}
