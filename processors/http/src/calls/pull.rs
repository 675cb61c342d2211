//! Pulling messages.

use http::header::{CACHE_CONTROL, HeaderMap};
use http::{HeaderValue, Response, StatusCode};
use http_server::Reply;
use messaging::{ErrorKind, LONG, Popped, Receive, Rounds};
use tokio::time::Instant;

use super::Outcome;
use super::rendered::{Taken, Wanted, take};
use crate::answer::{self, Answer};
use crate::call::Call;
use crate::json::{Problem, Pull};
use crate::render;

/// The id by which brokers keep subscriptions to lite topics: nobody subscribes by HTTP.
pub(super) const NO_CLIENT: &str = "";

/// Pulls messages: those that there are, or will be in time.
pub(super) async fn pull(call: &Call<'_>, topic: &str, group: &str) -> Outcome {
    let (body, held) = call.body(LONG).await?;
    let pull = Pull::read(call.head.uri.query(), &body)?;
    drop((body, held));
    let filter = pull.filter.clone();
    let wanted = Wanted::find(call, (topic, group), filter, pull.invisible).await?;
    let until = Instant::now() + pull.wait;
    let topic = wanted.consumer.topic();
    let rounds = Rounds::begin(call.requests(), topic, until).await;
    let mut rounds = rounds.map_err(render::read)?;
    let receive = Receive {
        client_id: NO_CLIENT,
        batch: i32::try_from(pull.max).unwrap_or(1),
        invisible: wanted.invisible,
        wait: pull.wait,
        filter: wanted.filter(),
        attempt_id: pull.attempt_id.as_deref(),
        deadline: None,
    };
    loop {
        let popped = rounds
            .next(call.requests(), &wanted.consumer, &receive)
            .await;
        let popped = match popped {
            Ok(Some(popped)) => popped,
            Ok(None) => return Ok(nothing(call, &pull)),
            Err(error) if error.kind() == ErrorKind::GivenUp => return Ok(nothing(call, &pull)),
            Err(error) => return Err(render::read(error)),
        };
        let answered = match pull.is_single {
            true => single(call, &wanted, popped).await?,
            false => several(call, &wanted, popped).await?,
        };
        if let Some(answer) = answered {
            return Ok(answer);
        }
        // The filter has let none pass: others are asked for while there is time.
    }
}

fn nothing(call: &Call<'_>, pull: &Pull) -> Answer {
    const NONE: &str = r#"{"messages":[]}"#;
    match pull.is_single {
        true => answer::empty(StatusCode::NO_CONTENT),
        false => answer::whole(StatusCode::OK, "application/json", NONE, call.account()),
    }
}

/// A message as it is, with its metadata in headers; `None` if there is none.
async fn single(
    call: &Call<'_>,
    wanted: &Wanted,
    popped: Popped,
) -> Result<Option<Answer>, Problem> {
    let connection = call.connection;
    let mut found: Option<(HeaderMap, Vec<u8>)> = None;
    let taken = take(connection, wanted, popped, |delivered, _| {
        if found.is_some() {
            // One that was not asked for is not written.
            return Ok(usize::MAX);
        }
        let body = delivered.body.bytes.to_vec();
        let length = body.len();
        found = Some((delivered.headers(), body));
        Ok(length)
    });
    let taken = taken.await.map_err(render::read)?;
    let Some((headers, body)) = found else {
        return Ok(None);
    };
    let metrics = &connection.server.metrics;
    let chunk = taken.into_chunk(body, metrics, call.account());
    let mut answer = Response::new(Reply::one(chunk, None));
    *answer.headers_mut() = headers;
    let no_store = HeaderValue::from_static("no-store");
    answer.headers_mut().insert(CACHE_CONTROL, no_store);
    Ok(Some(answer))
}

/// Messages as one document; `None` if there are none.
async fn several(
    call: &Call<'_>,
    wanted: &Wanted,
    popped: Popped,
) -> Result<Option<Answer>, Problem> {
    let connection = call.connection;
    let mut body = br#"{"messages":["#.to_vec();
    let mut is_first = true;
    let taken = take(connection, wanted, popped, |delivered, _| {
        if !std::mem::take(&mut is_first) {
            body.push(b',');
        }
        serde_json::to_writer(&mut body, delivered)?;
        Ok(body.len())
    });
    let mut taken: Taken = taken.await.map_err(render::read)?;
    if taken.is_empty() {
        return Ok(None);
    }
    body.extend_from_slice(b"]}");
    let (body, is_gzip) = answer::encoded(call, body.into()).await;
    // A document that is cut off cannot be read: its messages are delivered together, or not.
    taken.deliver_together(body.len());
    let metrics = &connection.server.metrics;
    let chunk = taken.into_chunk(body, metrics, call.account());
    let mut answer = answer::of_chunk(StatusCode::OK, answer::JSON, chunk);
    answer::note_encoding(&mut answer, is_gzip);
    Ok(Some(answer))
}
