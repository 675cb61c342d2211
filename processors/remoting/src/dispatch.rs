//! Dispatches each request to its processor.

use std::rc::Rc;

use messaging::{Ask, ErrorKind, MessagingError};
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
use crate::metrics::Limit;
use crate::produce::send;
use crate::relay;
use crate::session::Session;
use crate::session::request::{Asked, Incoming, Request};
use crate::table::{Field, Processor, Row, UNLISTED};
use crate::topic::create_topic;
use crate::topic::query_message;
use crate::topic::topic_route;

/// Serves a request, or starts the task that serves it.
pub(crate) fn dispatch(session: &Rc<Session>, incoming: &Incoming<'_>) {
    let view = incoming.view;
    if is_cut_short(view) {
        if let Err(error) = dispatch_whole(session, incoming) {
            session.refuse(incoming, &error.into());
        }
        return;
    }
    let row = Row::find(view.request_code()).unwrap_or(&UNLISTED);
    if let Err(error) = serve(session, row, incoming) {
        session.refuse(incoming, &error);
    }
}

/// Serves a request whose code does not fit into its binary header. No broker would recognise the
/// code, so the request is relayed with a JSON header.
fn dispatch_whole(session: &Rc<Session>, incoming: &Incoming<'_>) -> Result<(), DecodeError> {
    let whole = RemotingCommand {
        serialize_type: SerializeType::Json,
        ..RemotingCommand::decode(&incoming.frame.to_owned())?
    };
    let whole = whole.to_bytes();
    let incoming = Incoming {
        frame: Frame::of(&whole),
        view: &CommandView::decode(&whole)?,
        begun: incoming.begun,
    };
    dispatch(session, &incoming);
    Ok(())
}

/// Whether the code was truncated by its binary header and restored by the codec.
fn is_cut_short(view: &CommandView<'_>) -> bool {
    view.serialize_type() == SerializeType::RocketMq && view.code() > i32::from(i16::MAX)
}

fn serve(
    session: &Rc<Session>,
    row: &'static Row,
    incoming: &Incoming<'_>,
) -> Result<(), ProcessError> {
    let asked = &Asked::read(row, *incoming)?;
    admit(session, asked)?;
    if session.keeps(asked) {
        // The poll is answered when the client has no other requests outstanding.
        return Ok(());
    }
    match row.processor {
        Processor::Admin => admin_relay::process(session, asked),
        Processor::BatchAck => later(session, asked, batch_ack::process),
        Processor::ClientConfig => later(session, asked, client_config::process),
        Processor::Connections => later(session, asked, connections::process),
        Processor::ConsumerList => later(session, asked, consumer_list::process),
        Processor::CreateTopic => later(session, asked, create_topic::process),
        Processor::FromBroker => Err(ProcessError::FromBroker(row.code)),
        Processor::Heartbeat => later(session, asked, heartbeat::process),
        Processor::LockBatch => later(session, asked, lock_batch::process),
        Processor::Pop => pop::process(session, asked),
        Processor::Pull => pull::process(session, asked),
        Processor::QueryAssignment => later(session, asked, assignment::process),
        Processor::QueryMessage => later(session, asked, query_message::process),
        Processor::Receipt => receipt::process(session, asked),
        Processor::Relay => relay::process(session, asked),
        Processor::Send => send::process(session, asked),
        Processor::TopicRoute => topic_route::process(session, asked),
        Processor::Unregister => later(session, asked, unregister::process),
    }
}

/// Whether the client may make the request now; a refusal for too many polls is counted.
#[inline]
fn admit(session: &Session, asked: &Asked<'_>) -> Result<(), MessagingError> {
    let ask = Ask {
        code: asked.view().request_code(),
        topic: asked.value(Field::Topic),
        group: asked.value(Field::Group),
        bytes: asked.incoming.frame.bytes().len(),
        polls: session.polls(),
    };
    messaging::admit(session.caller(), &ask).inspect_err(|error| {
        if error.kind() == ErrorKind::Busy {
            session.metrics.limit(Limit::Outstanding);
        }
    })
}

/// Serves a request in a task of its own.
fn later<F>(
    session: &Rc<Session>,
    asked: &Asked<'_>,
    process: impl FnOnce(Rc<Session>, Request) -> F,
) -> Result<(), ProcessError>
where
    F: Future<Output = Result<(), ProcessError>> + 'static,
{
    session.spawn(asked.keep(), process);
    Ok(())
}
