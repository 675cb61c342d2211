use std::time::Duration;

use remoting_codec::RequestCode;

use tokio::io::{AsyncReadExt, duplex};
use tokio::time::timeout;

use super::*;

const MOMENT: Duration = Duration::from_millis(10);

#[tokio::test]
async fn a_connection_that_is_never_idle_frees_memory() {
    let outbox = Outbox::new(Rc::default(), Arc::default());
    let (mut near, mut far) = duplex(10_000);
    let mut read = vec![0; 10_000];
    outbox.push_bytes(&[7; 20_000]);
    for _ in 0..1_000 {
        outbox.push_bytes(&[7; 10_000]);
        let write = poll_fn(|cx| outbox.poll_write(cx, &mut near, &mut { usize::MAX }));
        tokio::select! {
            biased;
            read = far.read_exact(&mut read) => assert!(read.is_ok()),
            _ = write => panic!("everything is written"),
        }
        assert!(!outbox.is_empty());
    }
    let inner = outbox.inner.borrow();
    let held: usize = inner.pieces.iter().map(|piece| piece.bytes().len()).sum();
    assert!(
        held <= 3 * PIECE_MAX,
        "{held} bytes are held for {}",
        inner.len
    );
}

#[tokio::test]
async fn flushed_waits_only_for_earlier_frames() {
    let outbox = Outbox::new(Rc::default(), Arc::default());
    let (mut near, _far) = duplex(100);
    outbox.push_bytes(&[1; 50]);
    let mut flushed = Box::pin(outbox.flushed());
    assert!(timeout(MOMENT, flushed.as_mut()).await.is_err());
    outbox.push_bytes(&[1; 100]);
    poll_fn(|cx| Poll::Ready(outbox.poll_write(cx, &mut near, &mut { usize::MAX })))
        .await
        .is_ready();
    assert!(!outbox.is_empty());
    assert!(timeout(MOMENT, flushed.as_mut()).await.is_ok());
}

#[tokio::test]
async fn waiting_frames_are_charged_to_their_origin_until_written() {
    let buffers = Rc::<Buffers>::default();
    let outbox = Outbox::new(buffers.clone(), Arc::default());
    let sender = buffers.account();
    let body = vec![7; 100_000];
    let frame = RemotingCommand::request(RequestCode::SEND_MESSAGE)
        .with_body(body)
        .to_bytes();
    let view = CommandView::decode(&frame).unwrap();
    for _ in 0..10 {
        outbox.push_forwarded(&Frame::of(&frame), &view, Opaque(1), &sender);
    }
    let in_all = outbox.len();
    assert_eq!(sender.held() + outbox.account().held(), in_all);
    assert_eq!(sender.held(), sender.forwarded());
    assert!(sender.held() > 800_000);
    let (mut near, mut far) = duplex(64 * 1024);
    let mut read = vec![0; in_all];
    let write = poll_fn(|cx| outbox.poll_write(cx, &mut near, &mut { usize::MAX }));
    let (written, read) = tokio::join!(write, far.read_exact(&mut read));
    assert!(written.is_ok() && read.is_ok());
    assert_eq!((sender.held(), outbox.account().held()), (0, 0));
    for _ in 0..10 {
        outbox.push_forwarded(&Frame::of(&frame), &view, Opaque(1), &sender);
    }
    outbox.close();
    assert_eq!((sender.held(), outbox.account().held()), (0, 0));
}

#[tokio::test]
async fn frames_that_are_written_in_parts_are_charged_once() {
    let buffers = Rc::<Buffers>::default();
    let outbox = Outbox::new(buffers.clone(), Arc::default());
    let sender = buffers.account();
    let (mut near, mut far) = duplex(1 << 20);
    let frame = RemotingCommand::request(RequestCode::SEND_MESSAGE)
        .with_body(vec![7; 100_000])
        .to_bytes();
    let view = CommandView::decode(&frame).unwrap();
    let mut read = vec![0; 1 << 20];
    for room in [150_000, 101_000, 7, 199_999, 60_000] {
        outbox.push_forwarded(&Frame::of(&frame), &view, Opaque(1), &sender);
        outbox.push_forwarded(&Frame::of(&frame), &view, Opaque(1), &sender);
        for mut room in [room, usize::MAX] {
            poll_fn(|cx| Poll::Ready(outbox.poll_write(cx, &mut near, &mut room)))
                .await
                .is_ready();
            let _ = far.read(&mut read).await;
            let all = sender.held() + outbox.account().held();
            assert!(all >= outbox.len(), "{all} of {}", outbox.len());
            assert!(
                all <= outbox.len() + frame.len(),
                "{all} of {}",
                outbox.len()
            );
            // Frames of other connections are charged when they are put in, although the first
            // frame is half written.
            outbox.push_bytes(&[7; 60_000]);
        }
        while !outbox.is_empty() {
            let mut room = usize::MAX;
            let write = poll_fn(|cx| outbox.poll_write(cx, &mut near, &mut room));
            let read = far.read(&mut read);
            let _ = tokio::join!(write, read);
        }
        assert_eq!((sender.held(), outbox.account().held()), (0, 0), "{room}");
    }
}
