//! Messages as server-sent events.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName};
use http::{HeaderValue, Response};
use http_server::{Chunk, Part, Reply};
use messaging::{ErrorKind, MessagingError, Popped, Receive, Rounds};
use tokio::sync::mpsc::{self, Sender};
use tokio::time::{Instant, sleep_until};

use super::Outcome;
use super::outstanding::Outstanding;
use super::pull::NO_CLIENT;
use super::rendered::{Wanted, take};
use crate::call::Call;
use crate::client::Connection;
use crate::json::{COMMENT, Events, Name, Problem, Word, ended, message_event, opening};
use crate::render;

/// How often something is written to a stream, at least.
const COMMENT_EVERY: Duration = Duration::from_secs(15);

/// Most messages of one POP.
const BATCH_MAX: usize = 32;

/// Tells nginx, and those that took that up, not to hold the stream back.
const UNBUFFERED: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Streams messages until the client leaves, or must.
pub(super) async fn events(call: &Call<'_>, topic: &str, group: &str) -> Outcome {
    let asked = Events::read(call.head.uri.query())?;
    let mut wanted = Wanted::find(call, (topic, group), asked.filter, asked.invisible).await?;
    let outstanding = Outstanding::open();
    wanted.stream = outstanding.id();
    let (sender, chunks) = mpsc::channel(1);
    let stream = Stream {
        connection: call.connection.clone(),
        wanted,
        max: usize::try_from(asked.max).unwrap_or(1),
        outstanding,
        sender,
        written: Instant::now(),
    };
    tokio::task::spawn_local(stream.run());
    let mut answer = Response::new(Reply::stream(chunks, None));
    let headers = answer.headers_mut();
    let events = HeaderValue::from_static("text/event-stream");
    headers.insert(CONTENT_TYPE, events);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(UNBUFFERED, HeaderValue::from_static("no"));
    Ok(answer)
}

/// A stream, which ends with its client's connection.
struct Stream {
    connection: Rc<Connection>,
    wanted: Wanted,
    /// How many messages may be outstanding.
    max: usize,
    outstanding: Arc<Outstanding>,
    sender: Sender<Part>,
    /// When something was written last.
    written: Instant,
}

/// The client has left: nothing more can be written.
struct Gone;

impl Stream {
    async fn run(mut self) {
        // An error is that the client has left, which needs no answer.
        let _ = self.serve().await;
    }

    async fn serve(&mut self) -> Result<(), Gone> {
        self.write(opening()).await?;
        loop {
            if self.connection.must_hurry() {
                let detail = "the replica shuts down: connect again";
                let problem = Problem::new(Word::Draining, detail).after(1);
                return self.write(ended(&problem)).await;
            }
            let (count, next) = self.outstanding.count(Instant::now());
            let comment = self.written + COMMENT_EVERY;
            let room = self.max.saturating_sub(count);
            if room == 0 {
                self.wait(next.unwrap_or(comment).min(comment)).await?;
            } else {
                match self.receive(room, comment).await? {
                    Ok(Some(popped)) => self.deliver(popped).await?,
                    Ok(None) => {}
                    Err(error) if error.kind() == ErrorKind::GivenUp => continue,
                    Err(error) => return self.write(ended(&render::read(error))).await,
                }
            }
            if Instant::now() >= self.written + COMMENT_EVERY {
                self.write(COMMENT.to_vec()).await?;
            }
        }
    }

    /// Waits until a message was settled, or for that time.
    async fn wait(&self, until: Instant) -> Result<(), Gone> {
        tokio::select! {
            () = self.sender.closed() => Err(Gone),
            () = self.connection.changed() => Ok(()),
            () = self.outstanding.changed() => Ok(()),
            () = sleep_until(until) => Ok(()),
        }
    }

    /// Receives messages until that time.
    async fn receive(
        &self,
        room: usize,
        until: Instant,
    ) -> Result<Result<Option<Popped>, MessagingError>, Gone> {
        let wanted = &self.wanted;
        let receive = Receive {
            client_id: NO_CLIENT,
            batch: i32::try_from(room.min(BATCH_MAX)).unwrap_or(1),
            invisible: wanted.invisible,
            wait: until.saturating_duration_since(Instant::now()),
            filter: wanted.filter(),
            attempt_id: None,
            deadline: None,
        };
        let requests = &self.connection.requests;
        let received = async {
            let topic = wanted.consumer.topic();
            let mut rounds = Rounds::begin(requests, topic, until).await?;
            rounds.next(requests, &wanted.consumer, &receive).await
        };
        tokio::select! {
            () = self.sender.closed() => Err(Gone),
            received = received => Ok(received),
        }
    }

    async fn deliver(&mut self, popped: Popped) -> Result<(), Gone> {
        let wanted = &self.wanted;
        let mut events = Vec::new();
        let until = Instant::now() + wanted.invisible;
        let taken = take(&self.connection, wanted, popped, |delivered, handle| {
            let (Name::Handle(name) | Name::Transaction(name)) = &delivered.name;
            message_event(&mut events, name, delivered)?;
            // From its first byte on, the client may settle it.
            self.outstanding.add(handle, until);
            Ok(events.len())
        });
        let taken = match taken.await {
            Ok(taken) if taken.is_empty() => return Ok(()),
            Ok(taken) => taken,
            Err(error) => return self.write(ended(&render::read(error))).await,
        };
        let metrics = &self.connection.server.metrics;
        let account = self.connection.account();
        let chunk = taken.into_chunk(events, metrics, account);
        self.send(chunk).await
    }

    async fn write(&mut self, bytes: Vec<u8>) -> Result<(), Gone> {
        let chunk = Chunk::new(bytes.into(), self.connection.account());
        self.send(chunk).await
    }

    async fn send(&mut self, chunk: Chunk) -> Result<(), Gone> {
        let sent = self.sender.send(Box::new(Ok(chunk))).await;
        sent.map_err(|_| Gone)?;
        self.written = Instant::now();
        Ok(())
    }
}
