//! A request of each call that passes its checks, as a client sends it.

use bytes::BytesMut;
use grpc::convert::endpoints_of;
use grpc::{Rpc, codec, proto};
use prost::Message;

use crate::calls::{message, resource};

const HANDLE: &str = "0 1700000000000 60000 7 0 broker-a 3 12 99";

/// The request in its frame.
pub(super) fn request(rpc: Rpc) -> Vec<u8> {
    let topic = || Some(resource("topic"));
    let group = || Some(resource("group"));
    let queue = || {
        Some(proto::MessageQueue {
            topic: topic(),
            broker: Some(proto::Broker {
                name: "broker-a".to_owned(),
                ..proto::Broker::default()
            }),
            ..proto::MessageQueue::default()
        })
    };
    let time = || Some(proto::Duration::from_millis(30_000));
    match rpc {
        Rpc::AckMessage => framed(&proto::AckMessageRequest {
            group: group(),
            topic: topic(),
            entries: vec![proto::AckMessageEntry {
                message_id: "id".to_owned(),
                receipt_handle: HANDLE.to_owned(),
                lite_topic: None,
            }],
        }),
        Rpc::ChangeInvisibleDuration => framed(&proto::ChangeInvisibleDurationRequest {
            group: group(),
            topic: topic(),
            receipt_handle: HANDLE.to_owned(),
            invisible_duration: time(),
            ..Default::default()
        }),
        Rpc::EndTransaction => framed(&proto::EndTransactionRequest {
            topic: topic(),
            message_id: "id".to_owned(),
            transaction_id: "R1.AAhicm9rZXItYQAAAAAAAAADAAAAAAAAEmcwMUYw".to_owned(),
            resolution: proto::TransactionResolution::Commit.into(),
            ..Default::default()
        }),
        Rpc::ForwardMessageToDeadLetterQueue => {
            framed(&proto::ForwardMessageToDeadLetterQueueRequest {
                group: group(),
                topic: topic(),
                receipt_handle: HANDLE.to_owned(),
                delivery_attempt: 17,
                max_delivery_attempts: 16,
                ..Default::default()
            })
        }
        Rpc::GetOffset => framed(&proto::GetOffsetRequest {
            group: group(),
            message_queue: queue(),
        }),
        Rpc::Heartbeat => framed(&proto::HeartbeatRequest {
            group: group(),
            client_type: proto::ClientType::PushConsumer.into(),
        }),
        Rpc::NotifyClientTermination => {
            framed(&proto::NotifyClientTerminationRequest { group: group() })
        }
        Rpc::PullMessage => framed(&proto::PullMessageRequest {
            group: group(),
            message_queue: queue(),
            batch_size: 32,
            long_polling_timeout: time(),
            ..Default::default()
        }),
        Rpc::QueryAssignment => framed(&proto::QueryAssignmentRequest {
            topic: topic(),
            group: group(),
            endpoints: endpoints_of(["10.0.0.1:8081"]),
        }),
        Rpc::QueryOffset => framed(&proto::QueryOffsetRequest {
            message_queue: queue(),
            ..Default::default()
        }),
        Rpc::QueryRoute => framed(&proto::QueryRouteRequest {
            topic: topic(),
            endpoints: endpoints_of(["10.0.0.1:8081"]),
        }),
        Rpc::RecallMessage => framed(&proto::RecallMessageRequest {
            topic: topic(),
            // `v1 topic broker-a 1700000000000 id`.
            recall_handle: "djEgdG9waWMgYnJva2VyLWEgMTcwMDAwMDAwMDAwMCBpZA==".to_owned(),
        }),
        Rpc::ReceiveMessage => framed(&proto::ReceiveMessageRequest {
            group: group(),
            message_queue: queue(),
            batch_size: 32,
            invisible_duration: time(),
            long_polling_timeout: time(),
            ..Default::default()
        }),
        Rpc::SendMessage => framed(&proto::SendMessageRequest {
            messages: vec![message()],
        }),
        Rpc::SyncLiteSubscription => framed(&proto::SyncLiteSubscriptionRequest::default()),
        Rpc::Telemetry => framed(&proto::TelemetryCommand {
            status: None,
            command: Some(proto::Command::Settings(proto::Settings {
                client_type: Some(proto::ClientType::PushConsumer.into()),
                pub_sub: Some(proto::PubSub::Subscription(proto::Subscription {
                    group: group(),
                    subscriptions: vec![proto::SubscriptionEntry {
                        topic: topic(),
                        ..Default::default()
                    }],
                    ..Default::default()
                })),
                ..Default::default()
            })),
        }),
        Rpc::UpdateOffset => framed(&proto::UpdateOffsetRequest {
            group: group(),
            message_queue: queue(),
            offset: 7,
        }),
    }
}

fn framed(message: &impl Message) -> Vec<u8> {
    let mut body = BytesMut::new();
    codec::encode(message, &mut body);
    body.to_vec()
}
