//! From a request to its processor.

use std::rc::Rc;

use remoting_codec::CommandView;
use route_cache::transport::Frame;

use crate::error::ProcessError;
use crate::request::Request;
use crate::session::Session;
use crate::table::{Processor, Row};
use crate::{
    client_config, consumer_list, heartbeat, lock_batch, pull, relay, send, topic_route, unregister,
};

/// Serves a request, or begins to.
pub(crate) fn dispatch(session: &Rc<Session>, frame: &Frame<'_>, view: &CommandView<'_>) {
    let code = view.request_code();
    let served = match Row::find(code) {
        Some(row) => serve(session, row, frame, view),
        None => Err(ProcessError::Unsupported(code)),
    };
    if let Err(error) = served {
        session.refuse(view, &error);
    }
}

fn serve(
    session: &Rc<Session>,
    row: &'static Row,
    frame: &Frame<'_>,
    view: &CommandView<'_>,
) -> Result<(), ProcessError> {
    match row.processor {
        Processor::Relay => return relay::process(session, row, frame, view),
        Processor::Send => return send::process(session, row, frame, view),
        Processor::Pull => return pull::process(session, row, frame, view),
        Processor::FromBroker => return Err(ProcessError::FromBroker(row.code)),
        _ => {}
    }
    let request = Request::new(frame, row);
    match row.processor {
        Processor::ClientConfig => session.spawn(request, client_config::process),
        Processor::ConsumerList => session.spawn(request, consumer_list::process),
        Processor::Heartbeat => session.spawn(request, heartbeat::process),
        Processor::LockBatch => session.spawn(request, lock_batch::process),
        Processor::TopicRoute => session.spawn(request, topic_route::process),
        Processor::Unregister => session.spawn(request, unregister::process),
        Processor::FromBroker | Processor::Pull | Processor::Relay | Processor::Send => {}
    }
    Ok(())
}
