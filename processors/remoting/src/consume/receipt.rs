//! ACK_MESSAGE (200051), CHANGE_MESSAGE_INVISIBLETIME (200053): relayed to the broker that the header
//! names or, for clients of 5.0, that the receipt does.

use std::rc::Rc;

use remoting_codec::{CommandView, Fields};
use remoting_transport::Frame;

use crate::error::ProcessError;
use crate::relay;
use crate::relay::choose;
use crate::session::Session;
use crate::session::request::Request;
use crate::table::{BROKER, Row, pop_field};

/// Where in a receipt (`ExtraInfoUtil` in the reference) the broker's name stands, its parts being
/// separated by spaces.
const BROKER_IN_RECEIPT: usize = 5;

pub(crate) fn process(
    session: &Rc<Session>,
    row: &'static Row,
    frame: &Frame<'_>,
    view: &CommandView<'_>,
) -> Result<(), ProcessError> {
    let fields = Fields::read(view.ext_fields(), row.fields)?;
    if let Some(broker) = choose::known_broker(session, &fields) {
        return relay::to_broker(session, &broker, row, frame, view);
    }
    session.spawn(Request::new(frame, row), |session, request| async move {
        let view = request.view()?;
        let fields = Fields::read(view.ext_fields(), request.row.fields)?;
        let receipt = fields
            .value(pop_field::EXTRA_INFO)
            .map(|receipt| receipt.text());
        let receipt = receipt.unwrap_or_default();
        let broker = match receipt.split(' ').nth(BROKER_IN_RECEIPT) {
            Some(name) if fields.value(BROKER).is_none() && session.broker.is_none() => {
                session.upstream.broker(name).await?
            }
            _ => choose::find_broker(&session, &request).await?,
        };
        relay::to_broker(&session, &broker, request.row, &request.frame(), &view)
    });
    Ok(())
}
