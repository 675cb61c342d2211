//! Lite topics: many within one topic, to which a client subscribes one by one. Brokers keep the
//! subscriptions by the client's id; clients repeat them every 30 s.

use messaging::check;
use remoting_codec::UpstreamView;
use remoting_codec::body::{LiteAction, LiteOffset, LiteOffsetType, LiteSubscription};
use remoting_codec::headers::{Header as _, NotifyUnsubscribeLiteRequest};

use route_cache::Broker;

use super::Present;
use crate::client::Call;
use crate::error::CallError;
use crate::proto::{
    Code, Command, LiteSubscriptionAction, NotifyUnsubscribeLiteCommand, OffsetOption, OffsetType,
    Status, SyncLiteSubscriptionRequest, SyncLiteSubscriptionResponse, TelemetryCommand,
};

/// Changes which lite topics a client wants (`ClientActivity.syncLiteSubscription`). Without a
/// Telemetry stream on this connection, brokers cannot say when they end one by themselves.
pub(crate) async fn sync_lite(
    call: &Call<'_>,
    request: SyncLiteSubscriptionRequest,
) -> Result<SyncLiteSubscriptionResponse, CallError> {
    let topic = call.names.topic(request.topic.as_ref())?;
    let group = call.names.group(request.group.as_ref())?;
    let action = action(request.action)?;
    for lite_topic in &request.lite_topic_set {
        check::lite_topic(lite_topic, &call.connection.settings.limits)?;
    }
    let is_added = action == LiteAction::PartialAdd;
    let change = LiteSubscription {
        action,
        client_id: call.client_id,
        group: &group,
        topic: &topic,
        lite_topic_set: &request.lite_topic_set,
        // Where a subscription starts matters once: not when it is repeated.
        offset_option: request.offset_option.and_then(offset).filter(|_| is_added),
        version: request.version.unwrap_or_default(),
    };
    let present = call.connection.find_present(call.client_id);
    let member = present.as_ref().map(|present| &present.member);
    if let Some(member) = member {
        member.wait_settled().await;
    }
    let lane = |broker: &Broker| member?.lane_connection(broker);
    call.requests().subscribe_lite(&change, lane).await?;
    Ok(SyncLiteSubscriptionResponse {
        status: Some(Status::of(Code::Ok)),
    })
}

fn action(number: i32) -> Result<LiteAction, CallError> {
    match LiteSubscriptionAction::try_from(number) {
        Ok(LiteSubscriptionAction::PartialAdd) => Ok(LiteAction::PartialAdd),
        Ok(LiteSubscriptionAction::PartialRemove) => Ok(LiteAction::PartialRemove),
        Ok(LiteSubscriptionAction::CompleteAdd) => Ok(LiteAction::CompleteAdd),
        Ok(LiteSubscriptionAction::CompleteRemove) => Ok(LiteAction::CompleteRemove),
        Err(_) => {
            let text = format!("{number} is no LiteSubscriptionAction: it must be 0 to 3");
            Err(CallError::new(Code::BadRequest, text))
        }
    }
}

/// Where consumption starts. The numbers of policies are those of brokers (`OffsetOption`).
fn offset(option: OffsetOption) -> Option<LiteOffset> {
    let (r#type, value) = match option.offset_type? {
        OffsetType::Policy(policy) => (LiteOffsetType::Policy, policy.into()),
        OffsetType::Offset(offset) => (LiteOffsetType::Offset, offset),
        OffsetType::TailN(count) => (LiteOffsetType::TailN, count),
        OffsetType::Timestamp(time) => (LiteOffsetType::Timestamp, time),
    };
    Some(LiteOffset { r#type, value })
}

/// A broker has ended a subscription: the lite topic has expired, or another client has it for
/// itself.
pub(super) fn on_unsubscribed(present: &Present, view: &UpstreamView<'_>) {
    let Ok(ended) = NotifyUnsubscribeLiteRequest::read(view.ext_fields()) else {
        return;
    };
    present.send(TelemetryCommand {
        status: None,
        command: Some(Command::NotifyUnsubscribeLite(
            NotifyUnsubscribeLiteCommand {
                lite_topic: ended.lite_topic.text().into_owned(),
            },
        )),
    });
}

impl Present {
    /// The group and the topic of the client's lite topics, if it subscribes to some.
    pub(super) fn lite(&self) -> Option<(String, String)> {
        let declared = self.declared.borrow();
        let (topic, ..) = declared.subscribes.first().filter(|_| declared.is_lite)?;
        Some((declared.group.clone()?, topic.clone()))
    }

    /// The client has said that it leaves: brokers keep no lite topics for it any more.
    pub(super) fn unsubscribe_lite(&self) {
        let (Some((group, topic)), Some(connection)) = (self.lite(), self.connection()) else {
            return;
        };
        let requests = connection.requests.clone();
        let client_id = self.client_id.clone();
        tokio::task::spawn_local(async move {
            let change = LiteSubscription::none(&client_id, &group, &topic);
            if let Err(error) = requests.subscribe_lite(&change, |_| None).await {
                tracing::debug!(%error, "lite subscriptions end by the broker's timeout");
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_and_offsets_have_the_meaning_of_brokers() {
        assert_eq!(action(2).unwrap(), LiteAction::CompleteAdd);
        assert_eq!(action(4).unwrap_err().code, Code::BadRequest);
        let read = |offset_type| offset(OffsetOption { offset_type });
        let policy = read(Some(OffsetType::Policy(1))).unwrap();
        assert_eq!((policy.r#type, policy.value), (LiteOffsetType::Policy, 1));
        let tail = read(Some(OffsetType::TailN(9))).unwrap();
        assert_eq!((tail.r#type, tail.value), (LiteOffsetType::TailN, 9));
        assert!(read(None).is_none());
    }
}
