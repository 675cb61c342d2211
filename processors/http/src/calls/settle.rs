//! Settling messages that were pulled.

use std::time::Duration;

use futures_util::future::join;
use futures_util::stream::{self, StreamExt as _};
use http::StatusCode;
use messaging::{ErrorKind, MessagingError, Part, Popper};
use remoting_codec::message::Receipt;

use super::outstanding;
use super::{Outcome, body, group_of, no_query, read, topic_of};
use crate::answer;
use crate::call::Call;
use crate::json::{Action, Handle, Problem, Results, Settled, Settlement, Word, read_settlement};
use crate::render;

/// How many messages of a request are settled at the same time.
const AT_A_TIME: usize = 32;

/// The shortest invisible time: that of a message that is delivered again at once.
const SHORTEST: Duration = Duration::from_millis(1);

/// Settles messages; each has a result of its own.
pub(super) async fn settle(call: &Call<'_>, topic: &str, group: &str) -> Outcome {
    let (topic, group) = (topic_of(call, topic)?, group_of(call, group)?);
    no_query(call)?;
    let (body, _held) = body(call).await?;
    let settlements = read(body, |body| read_settlement(body)).await?;
    let handles = settlements.iter().map(|settlement| {
        let handle = Handle::decode(&settlement.handle, &topic, &group)?;
        check_time(call, &handle.receipt())?;
        Ok(handle)
    });
    let handles: Vec<Result<Handle, Problem>> = handles.collect();
    let asked = settlements.iter().zip(&handles);
    // A broker gets one request for all acknowledgements of messages of queues.
    let together = asked.clone().filter_map(|(settlement, handle)| {
        let handle = handle.as_ref().ok()?;
        is_plain(settlement, handle).then_some(handle)
    });
    let together: Vec<_> = together.collect();
    let popper = Popper {
        group: &group,
        topic: &topic,
        lite_topic: None,
    };
    let receipts: Vec<_> = together.iter().map(|handle| handle.receipt()).collect();
    let acknowledged = call.requests().acknowledge_all(&receipts, popper);
    let singly = asked.map(async |(settlement, handle)| match handle {
        Err(problem) => Some(Err(problem.clone())),
        Ok(handle) if is_plain(settlement, handle) => None,
        Ok(handle) => Some(one(call, &topic, &group, (handle, settlement.action)).await),
    });
    let singly = stream::iter(singly).buffered(AT_A_TIME).collect::<Vec<_>>();
    let (acknowledged, singly) = join(acknowledged, singly).await;
    for (handle, _) in together
        .iter()
        .zip(&acknowledged)
        .filter(|(_, done)| done.is_ok())
    {
        outstanding::settled(handle, None);
    }
    let mut acknowledged = acknowledged.into_iter();
    let mut next = || {
        let done = acknowledged.next().unwrap_or(Ok(()));
        done.map(|()| None).map_err(of_receipt)
    };
    let results = singly
        .into_iter()
        .map(|result| result.unwrap_or_else(&mut next));
    let results: Vec<_> = results.collect();
    let settled = settlements.into_iter().zip(results);
    let settled = settled.map(|(settlement, result)| Settled { settlement, result });
    let results = Results {
        results: settled.collect(),
    };
    super::results(call, &results).await
}

/// Whether it is the acknowledgement of a message of a queue.
fn is_plain(settlement: &Settlement, handle: &Handle) -> bool {
    matches!(settlement.action, Action::Ack) && handle.lite_topic().is_none()
}

/// Acknowledges one message.
pub(super) async fn acknowledge(
    call: &Call<'_>,
    topic: &str,
    group: &str,
    handle: &str,
) -> Outcome {
    let (topic, group) = (topic_of(call, topic)?, group_of(call, group)?);
    no_query(call)?;
    let handle = Handle::decode(handle, &topic, &group)?;
    check_time(call, &handle.receipt())?;
    one(call, &topic, &group, (&handle, Action::Ack)).await?;
    Ok(answer::empty(StatusCode::NO_CONTENT))
}

/// Settles one message. A message that was extended has a new handle.
async fn one(
    call: &Call<'_>,
    topic: &str,
    group: &str,
    (handle, action): (&Handle, Action),
) -> Result<Option<String>, Problem> {
    let receipt = handle.receipt();
    let requests = call.requests();
    let popper = Popper {
        group,
        topic,
        lite_topic: handle.lite_topic(),
    };
    let change = async |invisible: Duration, suspend| {
        let invisible = invisible.max(SHORTEST);
        requests
            .change_invisible(&receipt, popper, invisible, suspend)
            .await
    };
    let changed = match action {
        Action::Ack => requests.acknowledge(&receipt, popper).await.map(|()| None),
        Action::Nack(delay) => change(delay, false).await.map(|_| None),
        Action::Extend(invisible) => change(invisible, true).await.map(Some),
        Action::DeadLetter => {
            let done = requests.dead_letter(&receipt, popper, "").await;
            done.map(|()| None)
        }
    };
    let changed = changed.map_err(of_receipt)?;
    let extended = changed.map(|receipt| {
        let receipt = Receipt::parse(&receipt).ok();
        receipt.map_or_else(|| handle.clone(), |receipt| handle.with_receipt(&receipt))
    });
    outstanding::settled(handle, extended.as_ref());
    Ok(extended.map(|handle| handle.encode()))
}

/// Refuses a handle that has expired by its broker's clock: the broker would answer SUCCESS and do
/// nothing. If that clock is not known, it is not looked at.
fn check_time(call: &Call<'_>, receipt: &Receipt<'_>) -> Result<(), Problem> {
    let Some(late) = call.configs().clocks().late(receipt) else {
        return Ok(());
    };
    let detail = format!(
        "the invisible time was over {late} ms ago: the message is delivered again; ask for a \
         longer one"
    );
    Err(Problem::new(Word::Expired, detail))
}

/// A receipt that cannot be changed any more is one that has expired.
fn of_receipt(error: MessagingError) -> Problem {
    match error.kind() {
        ErrorKind::Illegal(Part::ReceiptHandle) => {
            Problem::new(Word::Expired, error.text().to_string())
        }
        _ => render::change(error),
    }
}
