use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, BufStream, ReadBuf, duplex};
use tokio::time::timeout;

use super::*;
use crate::frame::Frame;

const LIMITS: FrameLimits = FrameLimits {
    frame: 1024 * 1024,
    header: 64 * 1024,
};

/// A handler that takes `room` frames at a time.
#[derive(Default)]
struct Taker {
    frames: RefCell<Vec<Vec<u8>>>,
    room: Cell<usize>,
}

impl FrameHandler for Taker {
    fn on_frame(&self, frame: Frame<'_>) -> Result<(), DecodeError> {
        self.frames.borrow_mut().push(frame.bytes().to_vec());
        self.room.set(self.room.get() - 1);
        Ok(())
    }

    fn is_ready(&self) -> bool {
        self.room.get() > 0
    }
}

fn frame(body: usize, fill: u8) -> Vec<u8> {
    let mut frame = (4 + body as u32).to_be_bytes().to_vec();
    frame.extend([0; 4]);
    frame.resize(8 + body, fill);
    frame
}

#[tokio::test]
async fn frames_arrive_whole_however_they_are_cut() {
    let sizes = [0, 1, 200, 3, 70_000, 5, 40_000, 0, 300_000, 9, 9];
    let sent: Vec<_> = sizes
        .iter()
        .zip(0..)
        .map(|(size, fill)| frame(*size, fill))
        .collect();
    let stream = sent.concat();
    for cut in [1, 3, 4, 7, 100, 4096, 65_536, 65_537, 200_000, stream.len()] {
        let (mut near, mut far) = duplex(cut);
        let taker = Taker::default();
        // One more, because the end of the stream is noticed only while the handler is ready.
        taker.room.set(sent.len() + 1);
        let buffers = Rc::new(Buffers::default());
        let outbox = Outbox::new(buffers.clone(), Arc::default());
        let write = async {
            for part in stream.chunks(cut) {
                far.write_all(part).await.unwrap();
                tokio::task::yield_now().await;
            }
            drop(far);
        };
        let (ended, ()) = tokio::join!(pump(&mut near, &outbox, &buffers, LIMITS, &taker), write);
        ended.unwrap();
        assert!(*taker.frames.borrow() == sent, "cut into {cut}");
    }
}

#[tokio::test]
async fn a_handler_that_is_not_ready_gets_the_rest_later() {
    let sent: Vec<_> = (0..100).map(|fill| frame(1_000, fill)).collect();
    let (mut near, mut far) = duplex(1 << 20);
    far.write_all(&sent.concat()).await.unwrap();
    drop(far);
    let taker = Taker::default();
    let buffers = Rc::new(Buffers::default());
    let outbox = Outbox::new(buffers.clone(), Arc::default());
    let make_room = async {
        while taker.frames.borrow().len() < sent.len() {
            taker.room.set(7);
            outbox.wake();
            tokio::task::yield_now().await;
        }
        taker.room.set(1);
        outbox.wake();
    };
    let (ended, ()) = tokio::join!(
        pump(&mut near, &outbox, &buffers, LIMITS, &taker),
        make_room
    );
    ended.unwrap();
    assert!(*taker.frames.borrow() == sent);
}

#[tokio::test]
async fn bytes_that_a_stream_keeps_back_are_flushed() {
    // As with TLS while the socket takes nothing: the stream accepts more than it forwards.
    let (near, mut far) = duplex(1_000);
    let mut near = BufStream::new(near);
    let buffers = Rc::new(Buffers::default());
    let outbox = Outbox::new(buffers.clone(), Arc::default());
    let taker = Taker::default();
    taker.room.set(1);
    let sent = frame(5_000, 7);
    outbox.push_bytes(&sent);
    let mut read = vec![0; sent.len()];
    let arrives = async {
        far.read_exact(&mut read).await.unwrap();
        outbox.flushed().await;
        outbox.close();
    };
    let (ended, ()) = tokio::join!(pump(&mut near, &outbox, &buffers, LIMITS, &taker), arrives);
    ended.unwrap();
    assert!(read == sent);
}

/// A peer that has sent something and disconnected. Its bytes can be read once writing has failed
/// and other tasks have run, as with a socket whose last bytes arrived after the runtime polled it.
struct Gone<'a>(&'a [u8], Rc<Cell<bool>>);

impl AsyncRead for Gone<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.1.get() {
            return Poll::Pending;
        }
        let (now, rest) = self.0.split_at(self.0.len().min(500));
        buffer.put_slice(now);
        self.0 = rest;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Gone<'_> {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn frames_sent_before_a_disconnect_are_passed_on() {
    let sent: Vec<_> = (0..20).map(|fill| frame(300, fill)).collect();
    let taker = Taker::default();
    taker.room.set(sent.len() + 1);
    let buffers = Rc::new(Buffers::default());
    let outbox = Outbox::new(buffers.clone(), Arc::default());
    outbox.push_bytes(&frame(5, 9));
    let said = sent.concat();
    let seen = Rc::new(Cell::new(false));
    let mut gone = Gone(&said, seen.clone());
    let others = async { seen.set(true) };
    let (ended, ()) = tokio::join!(pump(&mut gone, &outbox, &buffers, LIMITS, &taker), others);
    assert!(matches!(ended, Err(PumpError::Io(_))));
    assert!(*taker.frames.borrow() == sent);
    assert!(outbox.is_empty());
}

#[tokio::test]
async fn invalid_frames_end_the_connection() {
    let ended = |bytes: Vec<u8>| async move {
        let (mut near, mut far) = duplex(bytes.len());
        far.write_all(&bytes).await.unwrap();
        let taker = Taker::default();
        taker.room.set(8);
        let buffers = Rc::new(Buffers::default());
        let outbox = Outbox::new(buffers.clone(), Arc::default());
        pump(&mut near, &outbox, &buffers, LIMITS, &taker).await
    };
    // Behind a frame, it is a broken one.
    let behind = [frame(20, 1), vec![0xff; 8]].concat();
    let behind = ended(behind).await;
    assert!(matches!(behind, Err(PumpError::Protocol(_))));
    // What a connection begins with may be another protocol: nothing that was read is lost.
    for bytes in [
        &b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..],
        b"GET / HTTP/1.1\r\n",
    ] {
        match ended(bytes.to_vec()).await {
            Err(PumpError::NoFrame { read, .. }) => assert_eq!(read, bytes),
            other => panic!("{other:?}"),
        }
    }
}

/// Bytes that arrive one by one are not lost either.
#[tokio::test]
async fn the_first_bytes_of_another_protocol_may_come_in_pieces() {
    const BYTES: &[u8] = b"PRI * HTTP/2.0\r\n\r\n";
    let (mut near, mut far) = duplex(1);
    let taker = Taker::default();
    taker.room.set(8);
    let buffers = Rc::new(Buffers::default());
    let outbox = Outbox::new(buffers.clone(), Arc::default());
    let (ended, _) = tokio::join!(pump(&mut near, &outbox, &buffers, LIMITS, &taker), async {
        far.write_all(BYTES.get(..4).unwrap()).await.unwrap()
    });
    match ended {
        Err(PumpError::NoFrame { read, .. }) => assert_eq!(read, &BYTES[..4]),
        other => panic!("{other:?}"),
    }
}

/// A handler that takes every frame and waits for its turns.
struct Patient;

impl FrameHandler for Patient {
    fn on_frame(&self, _: Frame<'_>) -> Result<(), DecodeError> {
        Ok(())
    }

    fn waits_for_turns(&self) -> bool {
        true
    }
}

#[tokio::test]
async fn long_frames_are_read_and_written_in_turns() {
    const LENGTH: usize = 10 * TURN_BYTES as usize;
    let local = tokio::task::LocalSet::new();
    local
        .run_until(async {
            let (mut near, far) = duplex(2 * LENGTH);
            let (mut reading, mut writing) = tokio::io::split(far);
            let buffers = Rc::new(Buffers::default());
            let outbox = Outbox::new(buffers.clone(), Arc::default());
            outbox.push_bytes(&vec![7; LENGTH]);
            let sent = frame(LENGTH, 7);
            let count_turns = async {
                let (mut turns, mut written) = (0, 0);
                while written < LENGTH as u64 {
                    tokio::task::yield_now().await;
                    let now = outbox.bytes_written();
                    assert!(now - written <= TURN_BYTES, "{} in a turn", now - written);
                    (turns, written) = (turns + usize::from(now > written), now);
                }
                outbox.finish();
                turns
            };
            let peer = async {
                writing.write_all(&sent).await.unwrap();
                let mut read = Vec::new();
                reading.read_to_end(&mut read).await.unwrap();
                read.len()
            };
            let limits = FrameLimits {
                frame: 2 * LENGTH,
                ..LIMITS
            };
            let pumped = pump(&mut near, &outbox, &buffers, limits, &Patient);
            let (ended, turns, read) = tokio::join!(pumped, count_turns, peer);
            ended.unwrap();
            assert_eq!((turns, read), (10, LENGTH));
        })
        .await;
}

/// A handler with long answers that takes no frame while many bytes wait to be written.
struct Answerer<'a>(&'a Outbox);

impl FrameHandler for Answerer<'_> {
    fn on_frame(&self, _: Frame<'_>) -> Result<(), DecodeError> {
        self.0.push_bytes(&[7; 1_000]);
        Ok(())
    }

    fn is_ready(&self) -> bool {
        self.0.len() < 5_000
    }
}

#[tokio::test]
async fn answers_are_written_while_the_handler_is_not_ready() {
    let (mut near, mut far) = duplex(1 << 20);
    // They arrive with one read, and are buffered while the handler is not ready.
    far.write_all(&frame(8, 7).repeat(100)).await.unwrap();
    let buffers = Rc::new(Buffers::default());
    let outbox = Outbox::new(buffers.clone(), Arc::default());
    let answered = async {
        let mut read = vec![0; 100_000];
        far.read_exact(&mut read).await.unwrap();
        outbox.close();
    };
    let answerer = Answerer(&outbox);
    let pumped = async {
        tokio::join!(
            pump(&mut near, &outbox, &buffers, LIMITS, &answerer),
            answered
        )
    };
    let (ended, ()) = timeout(Duration::from_secs(5), pumped).await.unwrap();
    ended.unwrap();
}

/// A handler that records the heads of frames that are too long.
#[derive(Default)]
struct Passing {
    frames: RefCell<Vec<Vec<u8>>>,
    long: RefCell<Vec<(Vec<u8>, u64)>>,
}

impl FrameHandler for Passing {
    fn on_frame(&self, frame: Frame<'_>) -> Result<(), DecodeError> {
        self.frames.borrow_mut().push(frame.bytes().to_vec());
        Ok(())
    }

    fn skips_long_frames(&self) -> bool {
        true
    }

    fn on_long_frame(&self, head: &[u8], length: u64) -> Result<(), DecodeError> {
        self.long.borrow_mut().push((head.to_vec(), length));
        Ok(())
    }
}

fn with_header(header: usize, body: usize) -> Vec<u8> {
    let length = 4 + header as u32 + body as u32;
    let mut frame = [length.to_be_bytes(), (header as u32).to_be_bytes()].concat();
    frame.resize(8 + header, b'h');
    frame.resize(8 + header + body, b'b');
    frame
}

#[tokio::test]
async fn frames_that_are_too_long_are_skipped() {
    let long = [
        with_header(0, 2_000_000),
        with_header(30, 1_500_000),
        with_header(60_000, 1_000_000),
    ];
    let short = [frame(5, 1), frame(100_000, 2), frame(0, 3), frame(70, 4)];
    let stream = [
        &*short[0], &*long[0], &*short[1], &*long[1], &*long[2], &*short[2], &*short[3],
    ]
    .concat();
    for cut in [1_000, 65_536, 65_537, 200_001, stream.len()] {
        let (mut near, mut far) = duplex(cut);
        let passing = Passing::default();
        let buffers = Rc::new(Buffers::default());
        let outbox = Outbox::new(buffers.clone(), Arc::default());
        let write = async {
            for part in stream.chunks(cut) {
                far.write_all(part).await.unwrap();
            }
            far.shutdown().await.unwrap();
        };
        let pumped = pump(&mut near, &outbox, &buffers, LIMITS, &passing);
        let (ended, ()) = tokio::join!(pumped, write);
        ended.unwrap();
        assert!(*passing.frames.borrow() == short, "{cut}");
        let heads: Vec<_> = long
            .iter()
            .zip([8, 38, 60_008])
            .map(|(frame, head)| (frame[..head].to_vec(), frame.len() as u64))
            .collect();
        assert!(*passing.long.borrow() == heads, "{cut}");
        assert_eq!(outbox.account().held(), 0);
    }
}
