//! Judging what arrived against what was sent.

use std::{
    collections::{BTreeMap, BTreeSet},
    thread,
    time::Duration,
};

use anyhow::{Result, ensure};

use crate::{
    java_client::{JavaClient, Received, Sent},
    wait::wait_until,
};

/// How long a message may take on a busy machine before it counts as lost: a client that has missed
/// something looks again after 20 or 30 s.
pub const DELIVERY_LIMIT: Duration = Duration::from_secs(60);

/// How long a duplicate may take to show up after everything has arrived: some times the way
/// through the cluster.
const SETTLE: Duration = Duration::from_millis(300);

/// Waits until each of these bodies has arrived at one of the consumers.
///
/// # Errors
/// When one does not arrive.
pub fn wait_arrived(consumers: &[&JavaClient], bodies: &[String]) -> Result<()> {
    wait_arrived_within(DELIVERY_LIMIT, consumers, bodies)
}

/// Like [`wait_arrived`], with a limit of its own.
///
/// # Errors
/// When one does not arrive.
pub fn wait_arrived_within(
    limit: Duration,
    consumers: &[&JavaClient],
    bodies: &[String],
) -> Result<()> {
    let missing = || -> Vec<String> {
        let arrived: BTreeSet<String> = consumers
            .iter()
            .flat_map(|consumer| consumer.received())
            .map(|message| message.body)
            .collect();
        bodies
            .iter()
            .filter(|body| !arrived.contains(*body))
            .cloned()
            .collect()
    };
    wait_until("every message to arrive", limit, || {
        Ok(missing().is_empty().then_some(()))
    })
    .map_err(|e| e.context(format!("missing: {:?}", missing())))
}

/// Waits until each of these bodies has arrived at the consumers together exactly once, unharmed,
/// and nothing else has.
///
/// # Errors
/// When a message is missing, is there twice, is not what was sent, or was not sent.
pub fn wait_exactly_once(consumers: &[&JavaClient], bodies: &[String]) -> Result<()> {
    wait_arrived(consumers, bodies)?;
    thread::sleep(SETTLE);
    let received: Vec<Received> = consumers
        .iter()
        .flat_map(|consumer| consumer.received())
        .collect();
    exactly_once(&received, bodies)
}

/// Waits until each body has arrived this often, each time with one more failure behind it, and not
/// more often.
///
/// # Errors
/// When that does not happen.
pub fn wait_tries(consumer: &JavaClient, bodies: &[String], tries: u32) -> Result<()> {
    let wanted: BTreeMap<String, Vec<u32>> = bodies
        .iter()
        .map(|body| (body.clone(), (0..tries).collect()))
        .collect();
    let tried = || {
        let mut tried: BTreeMap<String, Vec<u32>> = BTreeMap::new();
        for message in consumer.received() {
            let times = tried.entry(message.body).or_default();
            times.push(message.reconsume_times);
        }
        tried
    };
    let waited = wait_until("every message to be retried", 2 * DELIVERY_LIMIT, || {
        let tried = tried();
        let too_often = tried.values().any(|times| times.len() > tries as usize);
        ensure!(!too_often, "tried too often");
        Ok((tried == wanted).then_some(()))
    });
    waited.map_err(|e| e.context(format!("tried: {:?}", tried())))
}

/// Whether each of these bodies is there exactly once, unharmed, and nothing else is.
///
/// # Errors
/// When that is not so.
pub fn exactly_once(received: &[Received], bodies: &[String]) -> Result<()> {
    unharmed(received)?;
    let mut times: BTreeMap<&str, usize> = bodies.iter().map(|body| (body.as_str(), 0)).collect();
    for message in received {
        *times.entry(&message.body).or_insert(0) += 1;
    }
    let missing: Vec<_> = times.iter().filter(|(_, times)| **times == 0).collect();
    ensure!(missing.is_empty(), "did not arrive: {missing:?}");
    let twice: Vec<_> = times.iter().filter(|(_, times)| **times > 1).collect();
    ensure!(twice.is_empty(), "arrived more than once: {twice:?}");
    ensure!(
        times.len() == bodies.len(),
        "arrived without being sent: {times:?}"
    );
    Ok(())
}

/// Whether every body is what was sent.
///
/// # Errors
/// When one is not.
pub fn unharmed(received: &[Received]) -> Result<()> {
    let harmed: Vec<_> = received.iter().filter(|message| !message.intact).collect();
    ensure!(harmed.is_empty(), "arrived harmed: {harmed:?}");
    Ok(())
}

/// Whether messages of one queue arrived in the order of the queue, each once.
///
/// # Errors
/// When they did not.
pub fn in_queue_order(received: &[Received]) -> Result<()> {
    let mut last: BTreeMap<&str, &Received> = BTreeMap::new();
    for message in received {
        if let Some(before) = last.insert(&message.queue, message) {
            ensure!(
                before.offset < message.offset,
                "out of order: {before:?} before {message:?}"
            );
        }
    }
    Ok(())
}

/// The bodies of what was stored for queues of that broker.
#[must_use]
pub fn of_broker(sent: &[Sent], broker: &str) -> Vec<String> {
    let stored = |sent: &&Sent| {
        sent.queue
            .as_ref()
            .is_some_and(|queue| queue.split(':').next() == Some(broker))
    };
    sent.iter()
        .filter(stored)
        .map(|sent| sent.body.clone())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(body: &str, offset: i64, intact: bool) -> Received {
        Received {
            body: body.to_owned(),
            size: 1,
            intact,
            queue: "broker-a:0".to_owned(),
            offset,
            ..Received::default()
        }
    }

    #[test]
    fn what_is_missing_doubled_harmed_or_unknown_is_noticed() {
        let sent = ["a".to_owned(), "b".to_owned()];
        let (a, b) = (received("a", 0, true), received("b", 1, true));
        assert!(exactly_once(&[a.clone(), b.clone()], &sent).is_ok());
        assert!(exactly_once(std::slice::from_ref(&a), &sent).is_err());
        assert!(exactly_once(&[a.clone(), b.clone(), b.clone()], &sent).is_err());
        assert!(exactly_once(&[a.clone(), received("b", 1, false)], &sent).is_err());
        assert!(exactly_once(&[a, b, received("c", 2, true)], &sent).is_err());
    }

    #[test]
    fn queue_order_is_that_of_offsets() {
        let (a, b) = (received("a", 0, true), received("b", 1, true));
        assert!(in_queue_order(&[a.clone(), b.clone()]).is_ok());
        assert!(in_queue_order(&[b, a]).is_err());
    }
}
