//! What a request and its answer cost through both connections of a relay, without sockets and
//! dispatch: frames found, read, put under another opaque into the other connection's outbox, and
//! written.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a bench that cannot continue panics, as a test does"
)]

use std::hint::black_box;
use std::rc::Rc;
use std::sync::Arc;

use benches::requests::send;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use remoting_codec::{
    CommandView, DecodeError, FieldKind, FieldSpec, Fields, FrameLimits, Opaque, RemotingCommand,
    ResponseCode, SerializeType,
};
use remoting_transport::{Buffers, Frame, FrameHandler, Outbox, pump};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::runtime::Builder;
use tokio::task::LocalSet;

/// Room of a connection in memory.
const ROOM: usize = 1024 * 1024;

static FIELDS: &[FieldSpec] = &[
    FieldSpec::optional("n", FieldKind::Text),
    FieldSpec::required("b", FieldKind::Text),
    FieldSpec::required("e", FieldKind::Int),
];

/// Puts what arrives into the other side's outbox.
struct Relay {
    to: Rc<Outbox>,
}

impl FrameHandler for Relay {
    fn on_frame(&self, frame: Frame<'_>) -> Result<(), DecodeError> {
        let view = CommandView::decode(frame.bytes())?;
        if !view.is_response() {
            let _ = black_box(Fields::read(view.ext_fields(), FIELDS));
        }
        self.to
            .push_relayed(&frame, &view, Opaque(view.opaque().0 ^ 1));
        Ok(())
    }
}

/// One side of the relay, in a task of its own; answers the requests of the other side.
fn side(buffers: &Rc<Buffers>, own: &Rc<Outbox>, other: &Rc<Outbox>) -> DuplexStream {
    let (mut near, far) = duplex(ROOM);
    let (buffers, own) = (buffers.clone(), own.clone());
    let relay = Relay { to: other.clone() };
    tokio::task::spawn_local(async move {
        pump(&mut near, &own, &buffers, FrameLimits::default(), &relay).await
    });
    far
}

fn relay(criterion: &mut Criterion) {
    let request = send("broker-a", "BenchmarkTest", 2, 128, SerializeType::Json).to_bytes();
    let answer = RemotingCommand::response(ResponseCode::SUCCESS, 0, SerializeType::Json)
        .with_field("msgId", "7F00000100002A9F0000000000012345")
        .with_field("queueId", "2")
        .with_field("queueOffset", "12345")
        .to_bytes();
    let mut group = criterion.benchmark_group("relay");
    for together in [1, 32] {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let all = LocalSet::new();
        let (mut client, mut broker) = all.block_on(&runtime, async {
            let buffers = Rc::<Buffers>::default();
            let to_client = Rc::new(Outbox::new(buffers.clone(), Arc::default()));
            let to_broker = Rc::new(Outbox::new(buffers.clone(), Arc::default()));
            (
                side(&buffers, &to_client, &to_broker),
                side(&buffers, &to_broker, &to_client),
            )
        });
        let (requests, answers) = (request.repeat(together), answer.repeat(together));
        let mut buffer = vec![0; requests.len().max(answers.len())];
        group.throughput(Throughput::Elements(together as u64));
        group.bench_function(
            format!("{together} requests and their answers"),
            |bencher| {
                bencher.iter(|| {
                    all.block_on(&runtime, async {
                        client.write_all(&requests).await.unwrap();
                        let room = &mut buffer[..requests.len()];
                        broker.read_exact(room).await.unwrap();
                        broker.write_all(&answers).await.unwrap();
                        let room = &mut buffer[..answers.len()];
                        client.read_exact(room).await.unwrap();
                    });
                });
            },
        );
    }
}

criterion_group!(benches, relay);
criterion_main!(benches);
