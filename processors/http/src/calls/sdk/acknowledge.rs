//! Acknowledging messages.

use messaging::{Popper, now_millis};
use remoting_codec::message::Receipt;

use super::{errors, read_body};
use crate::call::Call;
use crate::sdk::answer::{Answer, done, refused};
use crate::sdk::document::{self, LONGEST_OF_HANDLES};
use crate::sdk::{Code, SdkError, handle};

/// How late a handle may be where the clock of its broker is not known: by how much clocks of well
/// kept machines may differ, and more.
const MARGIN: i64 = 60_000;

/// Acknowledges messages; each has an outcome of its own.
pub(super) async fn acknowledge(
    call: &Call<'_>,
    topic: &str,
    group: &str,
) -> Result<Answer, SdkError> {
    let (document, _held) = read_body(call, LONGEST_OF_HANDLES).await?;
    let handles = document::handles(&document)?;
    let clock = |broker: &str| {
        let ahead = call.configs().clocks().ahead(broker);
        now_millis().saturating_add(ahead.unwrap_or(-MARGIN))
    };
    let texts = handles.iter();
    let texts = texts.map(|handle| handle::message(handle, topic, group, clock));
    let texts: Vec<Result<String, SdkError>> = texts.collect();
    let parsed = texts.iter().map(|text| match text {
        Ok(text) => Receipt::parse(text).map_err(|_| {
            SdkError::new(Code::ReceiptHandleError, "the receipt handle is malformed")
        }),
        Err(error) => Err(error.clone()),
    });
    let parsed: Vec<_> = parsed.collect();
    let receipts = parsed.iter().filter_map(|parsed| parsed.as_ref().ok());
    let receipts: Vec<_> = receipts.copied().collect();
    let popper = Popper {
        group,
        topic,
        lite_topic: None,
    };
    let results = call.requests().acknowledge_all(&receipts, popper).await;
    let mut results = results.into_iter();
    let outcomes = parsed.into_iter().map(|parsed| {
        parsed?;
        let result = results.next().unwrap_or(Ok(()));
        result.map_err(errors::of_cluster)
    });
    let outcomes = handles.iter().map(|handle| &**handle).zip(outcomes);
    let outcomes: Vec<(&str, Result<(), SdkError>)> = outcomes.collect();
    let errors = outcomes.iter();
    let mut errors = errors.filter_map(|(handle, outcome)| {
        let error = outcome.as_ref().err()?;
        Some((*handle, error))
    });
    Ok(match errors.next() {
        None => done(),
        Some(first) => refused(std::iter::once(first).chain(errors)),
    })
}
