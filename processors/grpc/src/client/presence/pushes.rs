//! What brokers send to a client on its lanes, as commands on its Telemetry stream.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use bytes::Bytes;
use messaging::token::TransactionToken;
use messaging::{Asker, running_info};
use remoting_codec::headers::{CheckTransactionStateRequest, Header as _};
use remoting_codec::message::StoredMessage;
use remoting_codec::{RequestCode, ResponseCode, UpstreamView};
use remoting_transport::Frame;
use route_cache::Connection;
use tokio::time::Instant;

use super::Present;
use super::answers::verified;
use crate::convert::{Received, received};
use crate::proto::{
    Command, Message, PrintThreadStackTraceCommand, RecoverOrphanedTransactionCommand, Status,
    TelemetryCommand, VerifyMessageCommand,
};

/// Most questions that may wait for one client. Of more, the oldest is dropped, and its broker
/// stops waiting by its own timeout.
const WAITING_MAX: usize = 64;

/// The field of GET_CONSUMER_RUNNING_INFO that asks for the client's threads.
const JSTACK: &str = "jstackEnable";

/// The questions of brokers that wait for the client's answer.
#[derive(Debug, Default)]
pub(super) struct Questions {
    last: Cell<u64>,
    waiting: RefCell<VecDeque<Question>>,
}

#[derive(Debug)]
struct Question {
    nonce: String,
    since: Instant,
    asker: Asker,
}

impl Questions {
    /// A number that no other question of the client has.
    pub(super) fn next_nonce(&self) -> String {
        self.last.set(self.last.get() + 1);
        self.last.get().to_string()
    }

    fn add(&self, nonce: String, asker: Asker) {
        let mut waiting = self.waiting.borrow_mut();
        if waiting.len() == WAITING_MAX {
            waiting.pop_front();
        }
        let since = Instant::now();
        waiting.push_back(Question {
            nonce,
            since,
            asker,
        });
    }

    fn take(&self, nonce: &str) -> Option<Question> {
        let mut waiting = self.waiting.borrow_mut();
        let at = waiting
            .iter()
            .position(|question| question.nonce == nonce)?;
        waiting.remove(at)
    }
}

/// Takes what a broker has sent.
pub(super) fn on_push(
    present: &Present,
    from: &Rc<Connection>,
    frame: &Frame<'_>,
    view: &UpstreamView<'_>,
) {
    let asker = Asker::of(from, view);
    match view.request_code() {
        RequestCode::CHECK_TRANSACTION_STATE => on_check(present, from, frame, view),
        RequestCode::CONSUME_MESSAGE_DIRECTLY => on_verify(present, frame, view, asker),
        RequestCode::GET_CONSUMER_RUNNING_INFO => on_running_info(present, view, asker),
        RequestCode::NOTIFY_UNSUBSCRIBE_LITE => super::lite::on_unsubscribed(present, view),
        // Assignments do not change with the members of a group.
        RequestCode::NOTIFY_CONSUMER_IDS_CHANGED => {}
        _ => {
            if let (Some(asker), Some(connection)) = (asker, present.connection()) {
                let remark = "a client of the gRPC protocol cannot do this";
                asker.refuse(remark, connection.account());
            }
        }
    }
}

/// The message in a frame's body.
fn message_in(present: &Present, frame: &Frame<'_>, view: &UpstreamView<'_>) -> Option<Message> {
    let frame = frame.to_owned();
    let body = frame.get(view.body_range())?;
    let message = StoredMessage::decode(body).ok()?;
    let (group, names) = (present.group(), present.names());
    let of = Received {
        names,
        group: &group,
        ..Received::default()
    };
    let body = frame.slice_ref(message.body);
    Some(received(&message, body, of))
}

/// A broker asks what becomes of a transaction. The client answers with an EndTransaction, whose
/// token says that it was asked. If it does not get the question, the broker asks again.
fn on_check(present: &Present, from: &Connection, frame: &Frame<'_>, view: &UpstreamView<'_>) {
    let Ok(question) = CheckTransactionStateRequest::read(view.ext_fields()) else {
        return;
    };
    let Some(broker) = from.broker_name() else {
        return;
    };
    let transaction_id = TransactionToken::of_check(&question, broker).encode();
    let Some(message) = message_in(present, frame, view) else {
        return;
    };
    present.send(TelemetryCommand {
        status: None,
        command: Some(Command::RecoverOrphanedTransaction(
            RecoverOrphanedTransactionCommand {
                message: Some(message),
                transaction_id,
            },
        )),
    });
}

/// An operator has a consumer consume a message.
fn on_verify(present: &Present, frame: &Frame<'_>, view: &UpstreamView<'_>, asker: Option<Asker>) {
    let (Some(asker), Some(connection)) = (asker, present.connection()) else {
        return;
    };
    let Some(message) = message_in(present, frame, view) else {
        return asker.refuse("the message cannot be read", connection.account());
    };
    let nonce = present.questions.next_nonce();
    let command = VerifyMessageCommand {
        nonce: nonce.clone(),
        message: Some(message),
    };
    let is_sent = present.send(TelemetryCommand {
        status: None,
        command: Some(Command::VerifyMessage(command)),
    });
    match is_sent {
        true => present.questions.add(nonce, asker),
        false => asker.refuse(
            "the client does not read its commands",
            connection.account(),
        ),
    }
}

/// An operator asks about a consumer, and perhaps for its threads.
fn on_running_info(present: &Present, view: &UpstreamView<'_>, asker: Option<Asker>) {
    let (Some(asker), Some(connection)) = (asker, present.connection()) else {
        return;
    };
    let wants_stack = view.ext_fields().value(JSTACK);
    if !wants_stack.is_some_and(|value| value.is_true()) {
        return present.answer_running_info(&asker, None, &connection);
    }
    let nonce = present.questions.next_nonce();
    let command = PrintThreadStackTraceCommand {
        nonce: nonce.clone(),
    };
    let is_sent = present.send(TelemetryCommand {
        status: None,
        command: Some(Command::PrintThreadStackTrace(command)),
    });
    match is_sent {
        true => present.questions.add(nonce, asker),
        false => asker.refuse(
            "the client does not read its commands",
            connection.account(),
        ),
    }
}

impl Present {
    fn answer_running_info(
        &self,
        asker: &Asker,
        stack: Option<&str>,
        connection: &crate::client::Connection,
    ) {
        let body = running_info("grpc", &self.version, self.consume_type(), stack);
        asker.answer(ResponseCode::SUCCESS, None, body, connection.account());
    }

    /// The client has sent its threads.
    pub(super) fn on_stack(&self, nonce: &str, stack: &str) {
        if let (Some(question), Some(connection)) = (self.questions.take(nonce), self.connection())
        {
            self.answer_running_info(&question.asker, Some(stack), &connection);
        }
    }

    /// The client has consumed a message that it was asked to.
    pub(super) fn on_verified(&self, nonce: &str, status: &Status) {
        if let (Some(question), Some(connection)) = (self.questions.take(nonce), self.connection())
        {
            let body = verified(status, question.since.elapsed());
            let (code, account) = (ResponseCode::SUCCESS, connection.account());
            question
                .asker
                .answer(code, None, Bytes::from(body), account);
        }
    }
}
