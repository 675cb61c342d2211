//! QUERY_MESSAGE (12): relayed to every broker of the topic, and the answers distributed or joined.
//!
//! A client sends the same request to every broker of the topic, without naming the broker, and
//! joins the answers. All these requests arrive at Remora's one address. Nothing shows which
//! request is for which broker, nor which of two threads sent it.
//!
//! So equal requests that arrive together are answered together. If their number equals the number
//! of brokers, one thread has sent one to each broker, and each request gets one broker's answer.
//! Otherwise several threads have asked, or one has asked once. Then each request gets the joined
//! answers of all brokers: the client may find a message more than once, but it misses none.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::rc::Rc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use remoting_codec::{
    CommandView, Opaque, RemotingCommand, ResponseCode, SerializeType, UpstreamView,
};
use remoting_transport::Held;
use route_cache::{Broker, UpstreamError};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::error::ProcessError;
use crate::relay;
use crate::relay::choose;
use crate::session::Session;
use crate::session::questions::Answer;
use crate::session::request::Request;
use crate::table::Field;

/// Equal requests belong together if the time between two of them is at most this. A client sends
/// them in direct succession.
const PAUSE: Duration = Duration::from_millis(50);

/// The longest time for which equal requests are collected.
const TOGETHER_MAX: Duration = Duration::from_secs(1);

/// The most queries of one client that are collected at a time; each further one is answered alone.
const QUESTIONS_MAX: usize = 64;

/// The ext fields of an answer that hold how far the broker has indexed its messages.
const INDEXED: [&str; 2] = ["indexLastUpdateTimestamp", "indexLastUpdatePhyoffset"];

impl From<Result<Bytes, UpstreamError>> for Answer {
    fn from(answer: Result<Bytes, UpstreamError>) -> Self {
        answer.map_or_else(Self::Failed, Self::Frame)
    }
}

pub(crate) async fn process(session: Rc<Session>, request: Request) -> Result<(), ProcessError> {
    let view = request.view()?;
    let asked = request.asked(&view)?;
    if session.caller().broker().is_some() || asked.value(Field::Broker).is_some() {
        let broker = choose::find_broker(&session, &asked).await?;
        return relay::to_broker(&session, &broker, asked.row, &asked.incoming);
    }
    if view.is_oneway() {
        // A one-way request: no broker would answer it, and the client waits for no answer.
        return Ok(());
    }
    let route = session.caller().route(&asked.text(Field::Topic)).await?;
    let mut brokers = Vec::new();
    for data in route.brokers() {
        brokers.push(session.upstream.broker(&data.broker_name).await?);
    }
    if let [only] = &*brokers {
        return relay::to_broker(&session, only, asked.row, &asked.incoming);
    }
    match answer(&session, &request, &view, brokers).await? {
        Answer::Frame(frame) => session.pass_on(&asked.incoming, &frame),
        Answer::Joined(joined) => {
            session.answer(&asked.incoming, joined);
            Ok(())
        }
        Answer::Failed(error) => Err(error.into()),
    }
}

/// The answer to this request: found by this task, or by the task of the first equal request.
async fn answer(
    session: &Session,
    request: &Request,
    view: &CommandView<'_>,
    brokers: Vec<Rc<Broker>>,
) -> Result<Answer, ProcessError> {
    let limit = session.upstream.config().frame_limit / 2;
    let question = question(view);
    let (sender, answer) = oneshot::channel();
    let is_first = {
        let queries = &mut session.queries.borrow_mut().together;
        let has_room = queries.len() < QUESTIONS_MAX;
        match queries.get_mut(&question) {
            Some(askers) => {
                askers.push(sender);
                false
            }
            None => {
                if has_room {
                    queries.insert(question, vec![sender]);
                }
                true
            }
        }
    };
    if is_first {
        let turns = session.queries.borrow().turns();
        let asking = async {
            let _turn = turns.acquire().await;
            ask_each(session, request, brokers).await
        };
        let ((answers, _held), askers) = tokio::join!(asking, together(session, question));
        if askers.len() != answers.len() {
            let joined = join(&answers, limit)?;
            for asker in askers {
                let _ = asker.send(joined.clone());
            }
            return Ok(joined);
        }
        for (asker, answer) in askers.into_iter().zip(answers) {
            let _ = asker.send(answer.into());
        }
    }
    Ok(answer.await.map_err(|_| UpstreamError::FirstFailed)?)
}

/// A hash of all ext fields, by which equal requests are recognised.
fn question(view: &CommandView<'_>) -> u64 {
    let mut hasher = DefaultHasher::new();
    view.ext_fields().visit(|name, value| {
        name.hash(&mut hasher);
        value.text().hash(&mut hasher);
    });
    hasher.finish()
}

/// The requests with this hash, once no more of them arrive.
async fn together(session: &Session, question: u64) -> Vec<oneshot::Sender<Answer>> {
    let begun = Instant::now();
    let mut before = 0;
    loop {
        sleep(PAUSE).await;
        let queries = &mut session.queries.borrow_mut().together;
        let count = queries.get(&question).map_or(0, Vec::len);
        if count == before || begun.elapsed() >= TOGETHER_MAX {
            return queries.remove(&question).unwrap_or_default();
        }
        before = count;
    }
}

/// Each broker's answer, in the order of the brokers, and the memory of all of them, charged to the
/// client.
async fn ask_each(
    session: &Session,
    request: &Request,
    brokers: Vec<Rc<Broker>>,
) -> (Vec<Result<Bytes, UpstreamError>>, Vec<Held>) {
    let time = session.settings.policy.time(request.row.patience);
    let mut asking = JoinSet::new();
    for (nth, broker) in brokers.into_iter().enumerate() {
        let (class, frame) = (request.row.class, request.bytes());
        let account = session.account().clone();
        asking.spawn_local(async move {
            let answer = match broker.connection(class, false) {
                Ok(connection) => connection.call(frame, time).await,
                Err(error) => Err(error),
            };
            let held = account.hold(answer.as_ref().map_or(0, Bytes::len));
            (nth, answer, held)
        });
    }
    let mut answers = asking.join_all().await;
    answers.sort_by_key(|(nth, ..)| *nth);
    let answers = answers.into_iter();
    answers.map(|(_, answer, held)| (answer, held)).unzip()
}

/// All messages that were found. If there are none, the response of a broker, or the error that
/// prevented one.
fn join(answers: &[Result<Bytes, UpstreamError>], limit: usize) -> Result<Answer, ProcessError> {
    let mut found = BytesMut::new();
    let mut indexed = [0; INDEXED.len()];
    let mut is_found = false;
    let mut nothing = None;
    for answer in answers {
        let frame = match answer {
            Ok(frame) => frame,
            Err(error) => {
                nothing = Some(Answer::Failed(error.clone()));
                continue;
            }
        };
        let view = UpstreamView::decode_answer(frame)?;
        if !view.is_success() {
            nothing = nothing.or_else(|| Some(Answer::Frame(frame.clone())));
            continue;
        }
        is_found = true;
        for (name, latest) in INDEXED.iter().zip(&mut indexed) {
            let value = view.ext_fields().value(name).and_then(|value| value.long());
            *latest = value.unwrap_or_default().max(*latest);
        }
        let room = limit.saturating_sub(found.len());
        found.extend_from_slice(whole_messages(view.body(), room));
    }
    if !is_found {
        let none = || UpstreamError::NoBroker("of the topic".into());
        return Ok(nothing.unwrap_or_else(|| Answer::Failed(none())));
    }
    // Each request's own opaque and header format are set when its answer is written.
    let mut joined = RemotingCommand::response(
        ResponseCode::SUCCESS,
        Opaque::default(),
        SerializeType::Json,
    );
    for (name, latest) in INDEXED.iter().zip(indexed) {
        joined = joined.with_field(*name, latest.to_string());
    }
    Ok(Answer::Joined(joined.with_body(found.freeze())))
}

/// The first messages of a body that fit into `room` bytes. Each message starts with its length.
fn whole_messages(body: &[u8], room: usize) -> &[u8] {
    let mut end = 0;
    while let Some(length) = body.get(end..).and_then(|rest| rest.first_chunk::<4>()) {
        let length = u32::from_be_bytes(*length) as usize;
        let next = end.saturating_add(length);
        if length < 4 || next > body.len() || next > room {
            break;
        }
        end = next;
    }
    body.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use route_cache::Peer;

    use super::*;

    fn message(text: &str) -> Vec<u8> {
        let length = u32::try_from(4 + text.len()).unwrap();
        [&length.to_be_bytes(), text.as_bytes()].concat()
    }

    fn answer(code: ResponseCode, indexed: &'static str, body: Vec<u8>) -> Bytes {
        RemotingCommand::response(code, 1, SerializeType::Json)
            .with_field(INDEXED[0], indexed)
            .with_body(body)
            .to_bytes()
    }

    #[test]
    fn found_messages_are_joined_and_bounded() {
        let lost = || Err(UpstreamError::Timeout(Peer::Broker("b".into())));
        let a = answer(
            ResponseCode::SUCCESS,
            "7",
            [message("a1"), message("a2")].concat(),
        );
        let none = answer(ResponseCode(22), "9", Vec::new());
        let c = answer(ResponseCode::SUCCESS, "5", message("c"));
        let all = [Ok(a), lost(), Ok(none.clone()), Ok(c)];
        let Answer::Joined(joined) = join(&all, 1000).unwrap() else {
            panic!("something was found");
        };
        let found = [message("a1"), message("a2"), message("c")].concat();
        assert_eq!(joined.body, found);
        assert_eq!(joined.field(INDEXED[0]), Some("7"));
        let Answer::Joined(joined) = join(&all, 11).unwrap() else {
            panic!("something was found");
        };
        assert_eq!(joined.body, [message("a1"), message("c")].concat());
        let Answer::Frame(frame) = join(&[Ok(none.clone())], 1000).unwrap() else {
            panic!("a broker has answered");
        };
        assert_eq!(frame, none);
        // An unreachable broker does not mean that there is no message.
        let failed = join(&[Ok(none), lost()], 1000).unwrap();
        assert!(matches!(failed, Answer::Failed(_)), "{failed:?}");
    }
}
