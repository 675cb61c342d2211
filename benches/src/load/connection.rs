//! One connection of a load.

use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context as TaskContext, Poll};

use anyhow::{Context, Result, bail, ensure};
use remoting_codec::{CommandView, RemotingCommand};
use tokio::io::ReadBuf;
use tokio::time::Instant;

use super::stream::Stream;
use super::{Control, Load, MEASURE, STOP};
use crate::inbox::Inbox;
use crate::template::{FIRST_OPAQUE, Template};

/// Bytes that one read takes at most.
const READ_SIZE: usize = 256 * 1024;

/// Requests that a connection may have outstanding at most: an opaque is a turn and a place among
/// them.
const PLACES: usize = 1024;

/// Turns until opaques start again, so that all stay below the largest.
const TURNS: i32 = 1_000_000;

/// What the connections of a thread share.
pub(crate) struct Shared {
    control: Arc<Control>,
    read: RefCell<Vec<u8>>,
    /// In tenths of a microsecond.
    latencies: RefCell<Vec<u32>>,
    templates: Vec<RefCell<Vec<Template>>>,
    /// Bytes of a request's body: of each list's first, for all of a list are alike.
    bodies: Vec<usize>,
    least_body: usize,
}

impl Shared {
    pub(crate) fn new(control: Arc<Control>, load: &Load) -> Result<Self> {
        let templates = load.requests.iter().map(|list| {
            let templates: Result<Vec<_>> = list.iter().map(Template::new).collect();
            Ok(RefCell::new(templates?))
        });
        let bodies = load.requests.iter().map(|list| {
            let first = list.first();
            first.map_or(0, |request| request.body.len())
        });
        ensure!(load.outstanding <= PLACES, "too many requests outstanding");
        Ok(Self {
            control,
            read: RefCell::new(vec![0; READ_SIZE]),
            latencies: RefCell::default(),
            templates: templates.collect::<Result<_>>()?,
            bodies: bodies.collect(),
            least_body: load.least_body,
        })
    }

    pub(crate) fn control(&self) -> &Control {
        &self.control
    }

    /// Counts an answer to a request that was made at that moment.
    pub(crate) fn count(&self, bodies: usize, since: Instant, now: Instant, phase: u8) {
        let control = &self.control;
        control.answered.fetch_add(1, Ordering::Relaxed);
        control.bodies.fetch_add(bodies as u64, Ordering::Relaxed);
        if phase == MEASURE {
            let tenths = (now - since).as_nanos() / 100;
            let mut latencies = self.latencies.borrow_mut();
            latencies.push(u32::try_from(tenths).unwrap_or(u32::MAX));
        }
    }

    pub(crate) fn latencies(&self) -> Vec<u32> {
        self.latencies.take()
    }
}

/// A connection.
pub(crate) struct Connection {
    shared: Rc<Shared>,
    stream: Stream,
    inbox: Inbox,
    places: Vec<Place>,
    outstanding: usize,
    /// Which list of requests is this connection's, and which of it is next.
    list: usize,
    next: usize,
    /// The bytes that the socket did not take yet.
    unwritten: Vec<u8>,
}

/// A request that is outstanding.
#[derive(Clone, Copy)]
struct Place {
    opaque: i32,
    since: Instant,
}

impl Connection {
    pub(crate) async fn open(shared: &Rc<Shared>, load: &Load, nth: usize) -> Result<Self> {
        let address = load.addresses.get(nth % load.addresses.len().max(1));
        let address = address.context("a load needs an address")?;
        let mut stream = Stream::open(*address, load.tls.as_ref()).await?;
        if let Some(hello) = load.hello.get(nth % load.hello.len().max(1)) {
            say(&mut stream, hello).await?;
        }
        let place = Place {
            opaque: 0,
            since: Instant::now(),
        };
        Ok(Self {
            shared: shared.clone(),
            stream,
            inbox: Inbox::default(),
            places: vec![place; load.outstanding],
            outstanding: load.outstanding,
            list: nth % load.requests.len().max(1),
            // Connections that ask the same do not all ask it at the same time.
            next: nth,
            unwritten: Vec::new(),
        })
    }

    /// Keeps requests outstanding until it must stop, and then waits for the last answers.
    pub(crate) async fn run(mut self) -> Result<()> {
        let now = Instant::now();
        for place in 0..self.places.len() {
            let opaque = FIRST_OPAQUE + place as i32;
            self.request(place, opaque, now, true)?;
        }
        self.flush().await?;
        while self.outstanding > 0 {
            poll_fn(|cx| self.poll_read(cx)).await?;
            self.flush().await?;
        }
        Ok(())
    }

    /// Reads once, and asks again for every answer.
    fn poll_read(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<()>> {
        let shared = self.shared.clone();
        let mut read = shared.read.borrow_mut();
        let mut buffer = ReadBuf::new(&mut read);
        match self.stream.poll_read(cx, &mut buffer) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(done) => done?,
        }
        let bytes = buffer.filled();
        if bytes.is_empty() {
            return Poll::Ready(Err(anyhow::anyhow!("the connection was closed")));
        }
        let now = Instant::now();
        let mut inbox = std::mem::take(&mut self.inbox);
        let mut answered = Vec::new();
        let taken = inbox.take_in(bytes, |frame| {
            answered.push(self.check(frame)?);
            Ok(())
        });
        self.inbox = inbox;
        let phase = shared.control.phase.load(Ordering::Relaxed);
        let alone = answered.len() == 1;
        for (place, opaque, body) in answered {
            self.record(place, body, now, phase);
            if phase == STOP {
                self.outstanding -= 1;
                continue;
            }
            let turn = (opaque - FIRST_OPAQUE) / PLACES as i32 + 1;
            let opaque = FIRST_OPAQUE + (turn % TURNS) * PLACES as i32 + place as i32;
            self.request(place, opaque, now, !alone)?;
        }
        Poll::Ready(taken)
    }

    /// Whose answer a frame is: its place, its opaque, and how long its body is.
    fn check(&self, frame: &[u8]) -> Result<(usize, i32, usize)> {
        let view = CommandView::decode(frame)?;
        let opaque = view.opaque().0;
        let place = (opaque.wrapping_sub(FIRST_OPAQUE) as usize) % PLACES;
        let known = self.places.get(place);
        ensure!(
            view.is_response() && known.is_some_and(|known| known.opaque == opaque),
            "an answer to no request arrived: code {}, opaque {opaque}",
            view.code()
        );
        if view.code() != 0 {
            bail!("answered with code {}: {}", view.code(), view.remark());
        }
        let body = view.body().len();
        ensure!(
            body >= self.shared.least_body,
            "an answer has a body of {body} bytes only"
        );
        Ok((place, opaque, body))
    }

    fn record(&self, place: usize, body: usize, now: Instant, phase: u8) {
        let sent = self.shared.bodies.get(self.list).copied();
        let bodies = body + sent.unwrap_or_default();
        if let Some(place) = self.places.get(place) {
            self.shared.count(bodies, place.since, now, phase);
        }
    }

    /// Sends the next request, or has it wait for [`Self::flush`].
    fn request(&mut self, place: usize, opaque: i32, now: Instant, wait: bool) -> Result<()> {
        let shared = self.shared.clone();
        let list = shared.templates.get(self.list);
        let mut list = list.context("a load needs requests")?.borrow_mut();
        let nth = self.next % list.len().max(1);
        self.next += 1;
        let template = list.get_mut(nth).context("a load needs requests")?;
        let frame = template.under(opaque);
        if let Some(place) = self.places.get_mut(place) {
            *place = Place { opaque, since: now };
        }
        let written = if wait || !self.unwritten.is_empty() {
            0
        } else {
            self.stream.try_write(frame)?
        };
        self.unwritten
            .extend_from_slice(frame.get(written..).unwrap_or_default());
        Ok(())
    }

    async fn flush(&mut self) -> Result<()> {
        if !self.unwritten.is_empty() {
            self.stream.write_all(&self.unwritten).await?;
            self.unwritten.clear();
        }
        Ok(())
    }
}

/// Sends the requests before the load, and waits for the answers.
async fn say(stream: &mut Stream, hello: &[RemotingCommand]) -> Result<()> {
    let mut buffer = vec![0; 4096];
    for request in hello {
        stream.write_all(&request.to_bytes()).await?;
        let mut inbox = Inbox::default();
        let mut answered = false;
        while !answered {
            let read = stream.read(&mut buffer).await?;
            ensure!(read > 0, "the connection was closed");
            inbox.take_in(buffer.get(..read).unwrap_or_default(), |frame| {
                let view = CommandView::decode(frame)?;
                // Brokers send requests too.
                if view.is_response() {
                    ensure!(view.code() == 0, "hello was answered with {}", view.code());
                    answered = true;
                }
                Ok(())
            })?;
        }
    }
    Ok(())
}
