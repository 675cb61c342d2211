//! A client with a wrong key, without a key, or without rights gets the broker's own answer.

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use integration_tests::{
    delivery::wait_exactly_once,
    java_client::JavaClient,
    raw::RawConnection,
    rocketmq::Key,
    scenario::{ClientBuilder, Scenario},
    suite::TestFn,
    target::Target,
};
use remoting_codec::{RemotingCommand, RequestCode, ResponseCode};
use route_cache::{Credentials, Secret};

use crate::users::{GUEST, MEMBER, make_users};

pub(crate) const TESTS: &[(&str, TestFn)] = &[
    ("wrong_key_of_java", wrong_key_of_java),
    ("wrong_key_code_by_code", wrong_key_code_by_code),
];

/// A user that there is, with a key that is not theirs.
const FORGER: Key = Key {
    access: MEMBER.access,
    secret: "guessed",
};
/// A user that there is not.
const STRANGER: Key = Key {
    access: "stranger",
    secret: "guessed",
};

/// The requests of clients to brokers. (Unregistering is not among them: for a group of which no
/// broker has taken a heartbeat, no broker is asked.)
const CODES: &[RequestCode] = &[
    RequestCode::SEND_MESSAGE,
    RequestCode::SEND_MESSAGE_V2,
    RequestCode::SEND_BATCH_MESSAGE,
    RequestCode::SEND_REPLY_MESSAGE,
    RequestCode::SEND_REPLY_MESSAGE_V2,
    RequestCode::CONSUMER_SEND_MSG_BACK,
    RequestCode::END_TRANSACTION,
    RequestCode::RECALL_MESSAGE,
    RequestCode::HEART_BEAT,
    RequestCode::GET_CONSUMER_LIST_BY_GROUP,
    RequestCode::CHECK_CLIENT_CONFIG,
    RequestCode::LOCK_BATCH_MQ,
    RequestCode::UNLOCK_BATCH_MQ,
    RequestCode::QUERY_ASSIGNMENT,
    RequestCode::PULL_MESSAGE,
    RequestCode::LITE_PULL_MESSAGE,
    RequestCode::POP_MESSAGE,
    RequestCode::ACK_MESSAGE,
    RequestCode::BATCH_ACK_MESSAGE,
    RequestCode::CHANGE_MESSAGE_INVISIBLETIME,
    RequestCode::NOTIFICATION,
    RequestCode::PEEK_MESSAGE,
    RequestCode::POLLING_INFO,
    RequestCode::QUERY_CONSUMER_OFFSET,
    RequestCode::UPDATE_CONSUMER_OFFSET,
    RequestCode::GET_MAX_OFFSET,
    RequestCode::GET_MIN_OFFSET,
    RequestCode::GET_EARLIEST_MSG_STORETIME,
    RequestCode::SEARCH_OFFSET_BY_TIMESTAMP,
    RequestCode::QUERY_MESSAGE,
    RequestCode::UPDATE_AND_CREATE_TOPIC,
    RequestCode::GET_CONSUMER_CONNECTION_LIST,
    RequestCode::GET_PRODUCER_CONNECTION_LIST,
];

fn wrong_key_code_by_code(it: &Scenario<'_>) -> Result<()> {
    make_users(it)?;
    let topic = it.topic()?;
    let group = it.name("consumers");
    // There is such a group, so that there is something to refuse.
    let consumer = it.push_consumer(&topic).key(MEMBER).start()?;
    let mut producer = it.producer().key(MEMBER).start()?;
    wait_exactly_once(&[&consumer], &producer.send(&topic, "m", 16, &[])?)?;

    let broker = it.cluster().brokers().first().context("a broker")?;
    let remora = it.target().allowed.first().context("where Remora is")?;
    let mut refused = [0; 4];
    let keys = [None, Some(FORGER), Some(STRANGER), Some(GUEST)];
    for (key, refused) in keys.into_iter().zip(&mut refused) {
        for code in CODES {
            let asked = request(*code, &topic, &group, broker.name());
            let asked = match key {
                None => asked,
                Some(Key { access, secret }) => {
                    Credentials::new(access, Secret::new(secret)).sign(asked)
                }
            };
            let directly = answer(broker.address(), &asked)?;
            // Some codes are no matter of rights (`DefaultAuthorizationContextBuilder`).
            if key == Some(GUEST) && directly.0 != ResponseCode::NO_PERMISSION.0 {
                continue;
            }
            let through = answer(*remora, &asked)?;
            ensure!(
                through == directly && directly.0 == ResponseCode::NO_PERMISSION.0,
                "{key:?} {code}: {through:?}, and directly {directly:?}"
            );
            *refused += 1;
        }
    }
    let all = CODES.len();
    ensure!(
        refused[..3] == [all; 3] && refused[3] > all / 2,
        "refused were {refused:?} of {all} each"
    );
    it.stop([producer, consumer])
}

fn answer(address: SocketAddr, request: &RemotingCommand) -> Result<(i32, Option<String>)> {
    let answer = RawConnection::connect(address)?.call(request)?;
    Ok((answer.code, answer.remark.map(String::from)))
}

/// One with everything in it that any of the codes looks for.
fn request(code: RequestCode, topic: &str, group: &str, broker: &str) -> RemotingCommand {
    let queue = format!(r#"{{"brokerName":"{broker}","queueId":0,"topic":"{topic}"}}"#);
    let subscription = format!(r#"{{"topic":"{topic}","subString":"*"}}"#);
    let body = match code {
        RequestCode::HEART_BEAT => format!(
            r#"{{"clientID":"c","producerDataSet":[],"consumerDataSet":[{{"groupName":"{group}","consumeType":"CONSUME_PASSIVELY","messageModel":"CLUSTERING","consumeFromWhere":"CONSUME_FROM_FIRST_OFFSET","subscriptionDataSet":[{subscription}]}}]}}"#
        ),
        RequestCode::LOCK_BATCH_MQ | RequestCode::UNLOCK_BATCH_MQ => {
            format!(r#"{{"clientId":"c","consumerGroup":"{group}","mqSet":[{queue}]}}"#)
        }
        RequestCode::QUERY_ASSIGNMENT => format!(
            r#"{{"topic":"{topic}","consumerGroup":"{group}","clientId":"c","strategyName":"AVG","messageModel":"CLUSTERING"}}"#
        ),
        RequestCode::CHECK_CLIENT_CONFIG => format!(
            r#"{{"clientId":"c","group":"{group}","namespace":"","subscriptionData":{subscription}}}"#
        ),
        RequestCode::BATCH_ACK_MESSAGE => format!(r#"{{"brokerName":"{broker}","acks":[]}}"#),
        _ => "a body".to_owned(),
    };
    let receipt = format!("0 1000 60000 0 0 {broker} 0 0");
    let fields = [
        ("a", group),
        ("b", topic),
        ("begin", "0"),
        ("beginTimestamp", "0"),
        ("bname", broker),
        ("bornTime", "0"),
        ("bornTimestamp", "0"),
        ("c", "TBW102"),
        ("clientID", "c"),
        ("commitLogOffset", "0"),
        ("commitOffset", "0"),
        ("commitOrRollback", "8"),
        ("consumerGroup", group),
        ("d", "4"),
        ("defaultTopic", "TBW102"),
        ("defaultTopicQueueNums", "4"),
        ("delayLevel", "0"),
        ("e", "0"),
        ("endTimestamp", "1"),
        ("expressionType", "TAG"),
        ("extraInfo", &receipt),
        ("f", "0"),
        ("flag", "0"),
        ("g", "0"),
        ("group", group),
        ("h", "0"),
        ("initMode", "0"),
        ("invisibleTime", "1000"),
        ("key", "k"),
        ("maxMsgNums", "1"),
        ("maxNum", "1"),
        ("n", broker),
        ("offset", "0"),
        ("order", "false"),
        ("perm", "6"),
        ("pollTime", "0"),
        ("producerGroup", group),
        ("queueId", "0"),
        ("queueOffset", "0"),
        ("readQueueNums", "4"),
        ("recallHandle", "x"),
        ("subVersion", "0"),
        ("subscription", "*"),
        ("suspendTimeoutMillis", "0"),
        ("sysFlag", "4"),
        ("timestamp", "0"),
        ("topic", topic),
        ("topicFilterType", "SINGLE_TAG"),
        ("tranStateTableOffset", "0"),
        ("writeQueueNums", "4"),
    ];
    let request = RemotingCommand::request(code).with_body(body);
    fields.iter().fold(request, |request, (name, value)| {
        request.with_field(*name, (*value).to_owned())
    })
}

/// Tries something with a key, at a target, and returns the error.
type Attempt = fn(&Scenario<'_>, &str, Option<Key>, &Target) -> Result<String>;

/// The real client reports the same, whichever way it was refused.
fn wrong_key_of_java(it: &Scenario<'_>) -> Result<()> {
    make_users(it)?;
    let topic = it.topic()?;
    // Nothing that a wrong key sends may come.
    let consumer = it.push_consumer(&topic).key(MEMBER).start()?;
    let direct = it.cluster().target();
    let attempts: [(_, &[Attempt]); 3] = [
        (Some(FORGER), &[send, transaction, ask, pop]),
        (Some(GUEST), &[send]),
        (None, &[send]),
    ];
    for (key, attempts) in attempts {
        for attempt in attempts {
            let directly = attempt(it, &topic, key, direct)?;
            let through = attempt(it, &topic, key, it.target())?;
            ensure!(
                through == directly,
                "{key:?}: {through:?}, and directly {directly:?}"
            );
        }
    }
    let outsider = with_key(it.push_consumer(&topic), Some(FORGER));
    let outsider = outsider.option("group", it.name("outsiders")).start()?;
    let mut producer = it.producer().key(MEMBER).start()?;
    let bodies = producer.send(&topic, "good", 16, &[])?;
    wait_exactly_once(&[&consumer], &bodies)?;
    let leaked = outsider.received();
    ensure!(leaked.is_empty(), "one with a wrong key got {leaked:?}");
    it.stop([producer, consumer, outsider])
}

fn with_key<'a>(client: ClientBuilder<'a>, key: Option<Key>) -> ClientBuilder<'a> {
    match key {
        Some(key) => client.key(key),
        None => client,
    }
}

fn send(it: &Scenario<'_>, topic: &str, key: Option<Key>, target: &Target) -> Result<String> {
    let producer = with_key(it.producer(), key).target(target).start()?;
    refused_send(it, producer, topic, &[])
}

fn transaction(
    it: &Scenario<'_>,
    topic: &str,
    key: Option<Key>,
    target: &Target,
) -> Result<String> {
    let producer = with_key(it.transaction_producer("commit"), key);
    let producer = producer.target(target).start()?;
    let mode = [("mode", "transaction"), ("verdict", "commit")];
    refused_send(it, producer, topic, &mode)
}

fn refused_send(
    it: &Scenario<'_>,
    mut producer: JavaClient,
    topic: &str,
    mode: &[(&str, &str)],
) -> Result<String> {
    let options = [
        &[("topic", topic), ("name", "bad"), ("count", "1")][..],
        mode,
    ];
    producer.run("send", &options.concat())?;
    let failures = producer.send_failures();
    let failure = failures.first().context("it was sent")?;
    let text = broker_s_words(&failure.error)?;
    it.stop([producer])?;
    Ok(text)
}

fn ask(it: &Scenario<'_>, topic: &str, key: Option<Key>, target: &Target) -> Result<String> {
    let mut requester = with_key(it.requester(), key).target(target).start()?;
    let error = requester.run("request", &[("topic", topic), ("name", "bad")]);
    let error = error.err().context("it was answered")?;
    it.stop([requester])?;
    // Whether the client adds the broker's words is a matter of moments.
    let text = error.root_cause().to_string();
    let text = text.lines().next().unwrap_or_default().to_owned();
    ensure!(text.contains("fail"), "it failed otherwise: {text}");
    Ok(text)
}

fn pop(it: &Scenario<'_>, topic: &str, key: Option<Key>, target: &Target) -> Result<String> {
    let mut popper = with_key(it.popper(topic), key).target(target).start()?;
    let error = popper.run("pop", &[("broker", "broker-a")]);
    let error = error.err().context("it was given something")?;
    let text = broker_s_words(&format!("{error:#}"))?;
    it.stop([popper])?;
    Ok(text)
}

/// Code and remark of a broker's answer, out of a client's error.
fn broker_s_words(error: &str) -> Result<String> {
    let at = error.find("CODE: 16 ").with_context(|| error.to_owned())?;
    let words = error.get(at..).unwrap_or_default();
    let words = words.split(" BROKER: ").next().unwrap_or_default();
    Ok(words.lines().next().unwrap_or_default().to_owned())
}
