//! From a request to its processor.

use std::rc::Rc;

use remoting_codec::{CommandView, DecodeError, RemotingCommand, SerializeType};
use remoting_transport::Frame;

use crate::admin_relay;
use crate::consume::assignment;
use crate::consume::batch_ack;
use crate::consume::consumer_list;
use crate::consume::lock_batch;
use crate::consume::pop;
use crate::consume::pull;
use crate::consume::receipt;
use crate::error::ProcessError;
use crate::member::client_config;
use crate::member::connections;
use crate::member::heartbeat;
use crate::member::unregister;
use crate::produce::send;
use crate::relay;
use crate::session::Session;
use crate::session::request::Request;
use crate::table::{Processor, Row};
use crate::topic::create_topic;
use crate::topic::query_message;
use crate::topic::topic_route;

/// Serves a request, or begins to.
pub(crate) fn dispatch(session: &Rc<Session>, frame: &Frame<'_>, view: &CommandView<'_>) {
    if is_cut_short(view) {
        if let Err(error) = dispatch_whole(session, frame) {
            session.refuse(view, &error.into());
        }
        return;
    }
    let served = match Row::find(view.request_code()) {
        Some(row) => serve(session, row, frame, view),
        None => admin_relay::process(session, frame, view),
    };
    if let Err(error) = served {
        session.refuse(view, &error);
    }
}

/// Serves a request whose code does not fit into the header that it came in: no broker would know it,
/// so it goes on with a header of the other kind.
fn dispatch_whole(session: &Rc<Session>, frame: &Frame<'_>) -> Result<(), DecodeError> {
    let whole = RemotingCommand {
        serialize_type: SerializeType::Json,
        ..RemotingCommand::decode(&frame.to_owned())?
    };
    let whole = whole.to_bytes();
    let view = CommandView::decode(&whole)?;
    dispatch(session, &Frame::of(&whole), &view);
    Ok(())
}

/// Whether the code was cut short by its binary header and made whole by the codec.
fn is_cut_short(view: &CommandView<'_>) -> bool {
    view.serialize_type() == SerializeType::RocketMq && view.code() > i32::from(i16::MAX)
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
        Processor::Pop => return pop::process(session, row, frame, view),
        Processor::Receipt => return receipt::process(session, row, frame, view),
        Processor::TopicRoute => return topic_route::process(session, row, frame, view),
        Processor::FromBroker => return Err(ProcessError::FromBroker(row.code)),
        _ => {}
    }
    let request = Request::new(frame, row);
    match row.processor {
        Processor::BatchAck => session.spawn(request, batch_ack::process),
        Processor::ClientConfig => session.spawn(request, client_config::process),
        Processor::Connections => session.spawn(request, connections::process),
        Processor::ConsumerList => session.spawn(request, consumer_list::process),
        Processor::CreateTopic => session.spawn(request, create_topic::process),
        Processor::Heartbeat => session.spawn(request, heartbeat::process),
        Processor::LockBatch => session.spawn(request, lock_batch::process),
        Processor::QueryAssignment => session.spawn(request, assignment::process),
        Processor::QueryMessage => session.spawn(request, query_message::process),
        Processor::Unregister => session.spawn(request, unregister::process),
        Processor::FromBroker
        | Processor::Pop
        | Processor::Pull
        | Processor::Receipt
        | Processor::Relay
        | Processor::Send
        | Processor::TopicRoute => {}
    }
    Ok(())
}
