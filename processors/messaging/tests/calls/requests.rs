//! Requests and replies, with brokers that pass them on as real ones do.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use messaging::check::Limits;
use messaging::metrics::RequestMetrics;
use messaging::token::ReplyToken;
use messaging::{
    Clocks, Draft, ErrorKind, MessagingError, Outgoing, Place, RECOVERY, Reply, Requester,
    Requests, Sender, now_millis,
};
use remoting_codec::headers::SendMessageRequest;
use remoting_codec::message::{Properties, PropertiesBuf};
use remoting_codec::{RemotingCommand, RequestCode, ResponseCode};
use tokio::task::spawn_local;

use crate::fake::{Broker, Cluster, Got, run, stored, success, until};

const SECOND: Duration = Duration::from_secs(1);

pub(crate) fn message(topic: &str, group: &'static str) -> Outgoing {
    let (body, limits) = (Bytes::from_static(b"question"), Limits::default());
    let draft = Draft {
        message_group: group,
        ..Draft::new(&body, std::iter::empty(), [("colour", "red")].into_iter())
    };
    let sender = Sender {
        topic,
        remote: None,
        now: now_millis(),
        recovery: RECOVERY,
        limits: &limits,
    };
    draft.finish(&sender).unwrap()
}

/// The property of a message that a broker has got.
fn property(got: &Got, name: &str) -> String {
    let properties = Properties::from(got.field("i"));
    properties.get(name).unwrap_or_default().into_owned()
}

/// Pushes a reply to the client that has sent the request, if it is registered at the broker.
fn push_reply(broker: &Broker, request: &Got, body: &'static str) -> bool {
    let Some(link) = broker.link_of(&property(request, "REPLY_TO_CLIENT")) else {
        return false;
    };
    let mut properties = PropertiesBuf::new();
    let id = property(request, "CORRELATION_ID");
    properties.push("CORRELATION_ID", &id).unwrap();
    properties.push("MSG_TYPE", "reply").unwrap();
    properties.push("colour", "blue").unwrap();
    let header = SendMessageRequest {
        broker: None,
        producer_group: "P".into(),
        topic: "DefaultCluster_REPLY_TOPIC".into(),
        default_topic: "TBW102".into(),
        default_topic_queue_nums: 4,
        queue_id: 0,
        sys_flag: 0,
        born_timestamp: 1,
        flag: 0,
        properties: Some(properties.as_str().into()),
        reconsume_times: Some(0),
        unit_mode: Some(false),
        batch: None,
        max_reconsume_times: None,
    };
    let push = RemotingCommand::request(RequestCode::PUSH_REPLY_MESSAGE_TO_CLIENT);
    link.push(&push.with_header(&header).with_body(body));
    true
}

struct Asking {
    cluster: Cluster,
    requester: Rc<Requester>,
    metrics: Arc<RequestMetrics>,
    requests: Rc<Requests>,
}

impl Asking {
    async fn start() -> Self {
        let cluster = Cluster::start().await;
        for broker in &cluster.brokers {
            broker.answer(|got| match RequestCode(got.code) {
                RequestCode::SEND_MESSAGE_V2 => Some(stored()),
                _ => None,
            });
        }
        let metrics = Arc::<RequestMetrics>::default();
        let (upstream, policy) = (cluster.upstream.clone(), cluster.policy.clone());
        Self {
            requester: Requester::new(upstream, policy, metrics.clone()),
            requests: cluster.requests(),
            cluster,
            metrics,
        }
    }

    fn ask(
        &self,
        message: Outgoing,
        place: Place<'static>,
        time: Duration,
    ) -> impl Future<Output = Result<Reply, MessagingError>> + use<> {
        let (requester, requests) = (self.requester.clone(), self.requests.clone());
        async move {
            let route = requests.caller().route("T").await.unwrap();
            requester
                .request(&requests, "T", &route, message, place, time)
                .await
        }
    }

    /// The first request that a broker has got, and the number of that broker.
    async fn asked(&self) -> (usize, Got) {
        until(|| {
            let mut brokers = self.cluster.brokers.iter().enumerate();
            brokers.find_map(|(nth, broker)| {
                let sent = broker.all(RequestCode::SEND_MESSAGE_V2);
                Some((nth, sent.into_iter().next()?))
            })
        })
        .await
    }
}

#[test]
fn a_reply_arrives_from_any_broker() {
    run(async {
        let asking = Asking::start().await;
        let open = spawn_local(asking.ask(message("T", ""), Place::Any, 5 * SECOND));
        let (nth, request) = asking.asked().await;
        assert_eq!(property(&request, "TTL"), "5000");
        assert_eq!(property(&request, "colour"), "red");
        assert_eq!(&request.body[..], b"question");
        let group = request.field("a");
        assert!(group.starts_with("REMORA_REQUESTS_"), "{group}");
        let client_id = property(&request, "REPLY_TO_CLIENT");
        assert!(client_id.starts_with("remora-") && client_id.ends_with("@http"));
        // It is registered at both, as a producer in the group of the request.
        for broker in &asking.cluster.brokers {
            let link = broker.link_of(&client_id).unwrap();
            assert!(link.heartbeat.borrow().contains(group));
        }
        let other = &asking.cluster.brokers[1 - nth];
        assert!(push_reply(other, &request, "answer"));
        let reply = open.await.unwrap().unwrap();
        assert_eq!(&reply.body()[..], b"answer");
        assert_eq!(reply.properties().get("colour").as_deref(), Some("blue"));
        // The broker is answered, so that the replier need not wait.
        let answer = until(|| {
            let got = other.got.borrow();
            got.iter().find(|got| got.is_response).cloned()
        });
        assert_eq!(answer.await.code, 0);
        assert_eq!(asking.requester.waiting(), 0);
        assert_eq!(asking.metrics.replies.get(), 1);
        assert_eq!(asking.requests.polls(), 0);
    });
}

#[test]
fn a_request_ends_without_a_reply_and_a_late_one_is_dropped() {
    run(async {
        let asking = Asking::start().await;
        let asked = asking.ask(message("T", ""), Place::Any, SECOND / 2);
        let error = asked.await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NoReply);
        assert_eq!(asking.metrics.unanswered.get(), 1);
        let (nth, request) = asking.asked().await;
        assert!(push_reply(&asking.cluster.brokers[nth], &request, "late"));
        until(|| (asking.metrics.late.get() == 1).then_some(())).await;
        assert_eq!(asking.metrics.replies.get(), 0);
    });
}

#[test]
fn a_call_that_is_dropped_leaves_nothing() {
    run(async {
        let asking = Asking::start().await;
        let before = asking.requests.account().held();
        let open = spawn_local(asking.ask(message("T", ""), Place::Any, 60 * SECOND));
        asking.asked().await;
        assert_eq!(
            (asking.requester.waiting(), asking.requests.polls()),
            (1, 1)
        );
        open.abort();
        assert!(open.await.unwrap_err().is_cancelled());
        assert_eq!(
            (asking.requester.waiting(), asking.requests.polls()),
            (0, 0)
        );
        until(|| (asking.requests.account().held() == before).then_some(())).await;
    });
}

#[test]
fn a_key_a_message_group_or_a_queue_decides_where_it_goes() {
    run(async {
        let asking = Asking::start().await;
        // Of eight queues, that of "order-1" is the fourth, and that of "order-3" the last.
        for (message, place, broker, queue) in [
            (message("T", ""), Place::Key("order-1"), 0, "3"),
            (message("T", "order-3"), Place::Any, 1, "3"),
            (message("T", ""), Place::Queue("broker-b", 1), 1, "1"),
        ] {
            let open = spawn_local(asking.ask(message, place, 60 * SECOND));
            let (nth, request) = asking.asked().await;
            assert_eq!((nth, request.field("e")), (broker, queue), "{place:?}");
            open.abort();
            for broker in &asking.cluster.brokers {
                broker.got.borrow_mut().clear();
            }
        }
    });
}

#[test]
fn without_registration_nothing_is_sent() {
    run(async {
        let asking = Asking::start().await;
        for broker in &asking.cluster.brokers {
            broker.answer(|_| {
                let mut refused = success();
                refused.code = ResponseCode::NO_PERMISSION.0;
                Some(refused)
            });
        }
        let error = asking.ask(message("T", ""), Place::Any, 5 * SECOND).await;
        assert_eq!(error.unwrap_err().kind(), ErrorKind::Unavailable);
        let mut brokers = asking.cluster.brokers.iter();
        assert!(brokers.all(|broker| broker.all(RequestCode::SEND_MESSAGE_V2).is_empty()));
    });
}

#[test]
fn a_drain_ends_it_when_no_request_waits() {
    run(async {
        let asking = Asking::start().await;
        let open = spawn_local(asking.ask(message("T", ""), Place::Any, 60 * SECOND));
        let (nth, request) = asking.asked().await;
        asking.requester.leave();
        // Its requests are still replied to.
        tokio::time::sleep(SECOND / 10).await;
        assert!(push_reply(&asking.cluster.brokers[nth], &request, "answer"));
        assert!(open.await.unwrap().is_ok());
        until(|| (!asking.requester.is_active()).then_some(())).await;
        let client_id = property(&request, "REPLY_TO_CLIENT");
        for broker in &asking.cluster.brokers {
            until(|| broker.link_of(&client_id).is_none().then_some(())).await;
        }
    });
}

fn token(end: i64, broker: &str) -> ReplyToken {
    ReplyToken {
        end,
        broker: broker.to_owned(),
        topic: "DefaultCluster_REPLY_TOPIC".to_owned(),
        correlation_id: "id".to_owned(),
        client_id: "10.0.0.9@4711".to_owned(),
    }
}

#[test]
fn a_reply_goes_to_the_broker_of_its_token() {
    run(async {
        let asking = Asking::start().await;
        let (requests, clocks) = (&asking.requests, Clocks::default());
        let token = token(now_millis() + 60_000, "broker-b");
        let reply = message(&token.topic, "");
        requests.reply(&clocks, &token, reply).await.unwrap();
        let [a, b] = &asking.cluster.brokers[..] else {
            panic!()
        };
        assert!(a.all(RequestCode::SEND_REPLY_MESSAGE_V2).is_empty());
        let sent = b.all(RequestCode::SEND_REPLY_MESSAGE_V2);
        assert_eq!(sent[0].field("b"), "DefaultCluster_REPLY_TOPIC");
        for (name, value) in [
            ("MSG_TYPE", "reply"),
            ("CORRELATION_ID", "id"),
            ("REPLY_TO_CLIENT", "10.0.0.9@4711"),
            ("colour", "red"),
        ] {
            assert_eq!(property(&sent[0], name), value);
        }
        // The requester has left.
        b.answer(|_| {
            let mut gone = success();
            gone.code = ResponseCode::SYSTEM_ERROR.0;
            let remark = "push reply message fail, channel of <10.0.0.9@4711> not found.";
            Some(gone.with_remark(remark))
        });
        let reply = message(&token.topic, "");
        let error = requests.reply(&clocks, &token, reply).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Expired);
    });
}

#[test]
fn a_reply_that_is_too_late_is_not_sent() {
    run(async {
        let asking = Asking::start().await;
        let (requests, clocks) = (&asking.requests, Clocks::default());
        let ended = token(now_millis() - 1_000, "broker-a");
        let reply = || message(&ended.topic, "");
        let error = requests.reply(&clocks, &ended, reply()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Expired);
        assert!(
            asking.cluster.brokers[0]
                .all(RequestCode::SEND_REPLY_MESSAGE_V2)
                .is_empty()
        );
        // By the broker's clock it is not too late.
        clocks.note("broker-a", now_millis() - 60_000);
        requests.reply(&clocks, &ended, reply()).await.unwrap();
        // A broker that does not exist: another one of the cluster gets it.
        let moved = token(now_millis() + 60_000, "broker-z");
        requests.reply(&clocks, &moved, reply()).await.unwrap();
        let a = asking.cluster.brokers[0].all(RequestCode::SEND_REPLY_MESSAGE_V2);
        assert_eq!(a.len(), 2);
    });
}
