use std::time::Duration;

use super::*;
use crate::peer::Peer;

fn call() -> (Completion, oneshot::Receiver<Result<Bytes, UpstreamError>>) {
    let (sender, receiver) = oneshot::channel();
    (Completion::Call(sender), receiver)
}

#[test]
fn a_late_answer_reaches_no_other_request() {
    let clock = Clock::default();
    let mut pending = Pending::default();
    let deadline = clock.after(Duration::ZERO);
    let late = pending.insert(deadline, Instant::now(), call().0).unwrap();
    clock.tick();
    assert_eq!(pending.remove_expired(&clock).len(), 1);
    assert_eq!((pending.len(), pending.abandoned()), (0, 1));
    // However many requests follow, none gets the opaque of the late one.
    for _ in 0..10_000 {
        let opaque = pending.insert(deadline, Instant::now(), call().0).unwrap();
        assert_ne!(opaque, late);
        assert!(pending.remove(opaque).is_some());
        assert!(pending.remove(opaque).is_none());
    }
    assert!(pending.remove(late).is_none());
    assert_eq!((pending.len(), pending.abandoned()), (0, 0));
}

#[test]
fn a_closed_table_keeps_only_requests_with_a_wanted_answer() {
    let clock = Clock::default();
    let mut pending = Pending::default();
    let awaited = pending
        .insert(
            clock.after(Duration::from_secs(9)),
            Instant::now(),
            call().0,
        )
        .unwrap();
    for _ in 0..10_000 {
        let deadline = clock.after(Duration::ZERO);
        pending.insert(deadline, Instant::now(), call().0).unwrap();
    }
    clock.tick();
    assert_eq!(pending.remove_expired(&clock).len(), 10_000);
    pending.forget_abandoned();
    assert_eq!((pending.len(), pending.abandoned()), (1, 0));
    assert_eq!(pending.slots.len(), 1);
    assert!(pending.remove(awaited).is_some() && pending.is_done());
}

#[test]
fn a_large_table_is_checked_in_parts() {
    let clock = Clock::default();
    let mut pending = Pending::default();
    let deadline = clock.after(Duration::ZERO);
    for _ in 0..2 * SCAN_MAX + 5 {
        pending.insert(deadline, Instant::now(), call().0).unwrap();
    }
    clock.tick();
    let parts: Vec<_> = (0..4)
        .map(|_| pending.remove_expired(&clock).len())
        .collect();
    assert_eq!(parts, [SCAN_MAX, SCAN_MAX, 5, 0]);
}

#[test]
fn an_answer_without_a_request_is_not_found() {
    let mut pending = Pending::default();
    pending.insert(
        Clock::default().after(Duration::ZERO),
        Instant::now(),
        call().0,
    );
    for opaque in [0, -1, i32::MIN, i32::MAX, 1, 2 << 20] {
        assert!(pending.remove(UpstreamOpaque(opaque)).is_none());
    }
    assert_eq!(pending.len(), 1);
}

#[test]
fn the_end_tells_everybody() {
    let clock = Clock::default();
    let mut pending = Pending::default();
    let (completion, mut receiver) = call();
    pending.insert(
        clock.after(Duration::from_secs(1)),
        Instant::now(),
        completion,
    );
    for completion in pending.remove_all() {
        completion.fail(UpstreamError::Closed(Peer::Broker("broker-a".into())));
    }
    assert!(matches!(
        receiver.try_recv(),
        Ok(Err(UpstreamError::Closed(_)))
    ));
}
