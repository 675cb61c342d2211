//! Captures the messages that the tests of `remoting-codec` read, from a real broker: `cargo run
//! --package integration-tests --bin capture-messages`. Takes a minute; then look at what changed.
//! See `remoting-codec/tests/golden/README.md`.

#![allow(
    clippy::print_stdout,
    reason = "it writes to the terminal of the developer who has started it"
)]

use std::{
    fs,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    thread,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use integration_tests::{
    java::Java,
    raw::RawConnection,
    rocketmq::Cluster,
    wait::{now_ms, wait_until},
    workspace::{Scratch, crate_dir},
};
use remoting_codec::{
    CommandView, RemotingCommand, RequestCode,
    body::Heartbeat,
    headers::{
        ConsumerSendMsgBackRequest, EndTransactionRequest, Header, PopMessageRequest,
        PullMessageRequest, QueryMessageRequest, SendMessageRequestV2, SendMessageResponse,
        ViewMessageRequest,
    },
    message::{
        BatchMessage, Compression, OffsetMessageId, PropertiesBuf, StoredMessages, SysFlag,
        TransactionType, UniqueId, property,
    },
};

const TOPIC: &str = "GoldenMessages";
const ORDERLY_TOPIC: &str = "GoldenOrder";
const PRODUCERS: &str = "golden-producers";

/// More than any of them takes: a revived message, half a minute.
const LIMIT: Duration = Duration::from_secs(90);

/// "golden " 64 times, compressed.
const ZLIB: [u8; 20] = *b"x^K\xcf\xcfII\xcdSH\x1f\xa5\x86&\x05\x00\x0c\xee\xa6A";

fn main() -> Result<()> {
    let golden = crate_dir().join("../remoting-codec/tests/golden/messages");
    fs::create_dir_all(&golden)?;
    let java = Java::build()?;
    let scratch = Scratch::create("capture")?;
    let cluster = Cluster::start(&java, scratch.path(), &["broker-a"])?;
    let broker = cluster.brokers().first().context("there is a broker")?;
    cluster.create_topic(TOPIC, 1)?;
    cluster.create_topic(ORDERLY_TOPIC, 1)?;
    let long_topic = format!("GoldenLong{}", "g".repeat(90));
    cluster.create_topic(&long_topic, 1)?;
    let mut capture = Capture {
        connection: RawConnection::connect(broker.address())?,
        golden: golden.clone(),
        opaque: 0,
    };
    let first = capture.send_all(broker.address())?;
    capture.keep_pulls(&first)?;
    capture.keep_pops()?;
    capture.keep_orderly_pop()?;
    capture.keep_long_topic(&long_topic)?;
    capture.keep_check()?;

    let decode = golden.join("capture/Decode.java");
    let mut command = java.cluster(scratch.path());
    let output = command
        .args([
            "--add-opens=java.base/java.nio=ALL-UNNAMED",
            "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED",
        ])
        .args([&decode, &golden])
        .output()?;
    ensure!(
        output.status.success(),
        "{} failed: {output:?}",
        decode.display()
    );
    cluster.stop()?;
    scratch.remove();
    println!("captured into {}", golden.display());
    Ok(())
}

/// One connection to the broker, and the folder in which its answers are kept.
struct Capture {
    connection: RawConnection,
    golden: PathBuf,
    opaque: i32,
}

/// The fields of the answer to a send that identify the message.
struct Sent {
    offset: OffsetMessageId,
    queue_offset: i64,
}

impl Capture {
    /// Asks, and answers with the frames of the request and of the answer.
    fn ask(&mut self, request: RemotingCommand) -> Result<(Bytes, Bytes)> {
        self.opaque += 1;
        let request = RemotingCommand {
            opaque: self.opaque.into(),
            ..request
        };
        self.connection.send(&request)?;
        loop {
            let frame = self.connection.receive_frame()?;
            let view = CommandView::decode(&frame)?;
            if view.is_response() && view.opaque().0 == self.opaque {
                return Ok((request.to_bytes(), frame.clone()));
            }
        }
    }

    /// Asks until the answer has that many messages at least.
    fn until(
        &mut self,
        what: &str,
        request: &RemotingCommand,
        count: usize,
    ) -> Result<(Bytes, Bytes)> {
        wait_until(what, LIMIT, || {
            let (request, response) = self.ask(request.clone())?;
            let found = CommandView::decode(&response)?.code() == 0;
            let enough = found && messages(&response)? >= count;
            if !enough {
                thread::sleep(Duration::from_millis(200));
            }
            Ok(enough.then_some((request, response)))
        })
    }

    /// The same, and keeps what was asked and answered.
    fn keep(&mut self, name: &str, request: &RemotingCommand, count: usize) -> Result<()> {
        let (request, response) = self.until(name, request, count)?;
        println!("{name}: {} messages", messages(&response)?);
        fs::write(self.golden.join(format!("{name}.request.bin")), request)?;
        let file = self.golden.join(format!("{name}.response.bin"));
        Ok(fs::write(file, response)?)
    }

    /// Sends one message, or a batch.
    fn send(
        &mut self,
        topic: &str,
        properties: &PropertiesBuf,
        sys_flag: SysFlag,
        body: &[u8],
        batch: bool,
    ) -> Result<Sent> {
        let header = SendMessageRequestV2 {
            broker: Some("broker-a".into()),
            producer_group: PRODUCERS.into(),
            topic: topic.into(),
            default_topic: "TBW102".into(),
            default_topic_queue_nums: 1,
            queue_id: 0,
            sys_flag: sys_flag.0,
            born_timestamp: i64::try_from(now_ms())?,
            flag: 42,
            properties: Some(properties.as_str().into()),
            reconsume_times: Some(0),
            unit_mode: Some(false),
            max_reconsume_times: None,
            batch: Some(batch),
        };
        let code = match batch {
            true => RequestCode::SEND_BATCH_MESSAGE,
            false => RequestCode::SEND_MESSAGE_V2,
        };
        let request = RemotingCommand::request(code).with_header(&header);
        let (_, response) = self.ask(request.with_body(body.to_vec()))?;
        let view = CommandView::decode(&response)?;
        ensure!(view.code() == 0, "{}", view.remark());
        let sent = SendMessageResponse::read(view.ext_fields())?;
        let first = sent.msg_id.text();
        let first = first.split(',').next().unwrap_or_default();
        Ok(Sent {
            offset: first.parse()?,
            queue_offset: sent.queue_offset,
        })
    }

    /// One message of each kind; answers with the first.
    fn send_all(&mut self, broker: SocketAddr) -> Result<Sent> {
        let none = SysFlag::default();
        let mut properties = with_id(1)?;
        properties.push(property::KEYS, "key-a key-b")?;
        properties.push(property::TAGS, "TagA")?;
        properties.push("colour", "grün")?;
        let first = self.send(TOPIC, &properties, none, "hello, 世界".as_bytes(), false)?;

        let zlib = none.with_compression(Some(Compression::Zlib));
        self.send(TOPIC, &with_id(2)?, zlib, &ZLIB, false)?;

        let mut batch = Vec::new();
        for (nth, body) in [(3, "first"), (4, "second")] {
            let properties = with_id(nth)?;
            let message = BatchMessage {
                flag: i32::from(nth),
                body: body.as_bytes(),
                properties: properties.as_properties(),
            };
            message.encode(&mut batch)?;
        }
        self.send(TOPIC, &with_id(5)?, none, &batch, true)?;
        self.send_committed()?;
        for (nth, name, value) in [
            (7, property::DELAY, "1"),
            (8, property::TIMER_DELAY_MS, "1500"),
        ] {
            let mut properties = with_id(nth)?;
            properties.push(name, value)?;
            self.send(TOPIC, &properties, none, name.as_bytes(), false)?;
        }
        // A broker that listens at 0.0.0.0 listens at :: as well.
        let v6 = SocketAddr::from((Ipv6Addr::LOCALHOST, broker.port()));
        let v6 = RawConnection::connect(v6).context("no IPv6 here")?;
        let v4 = std::mem::replace(&mut self.connection, v6);
        self.send(TOPIC, &with_id(9)?, none, b"from ::1", false)?;
        self.connection = v4;
        Ok(first)
    }

    /// A half message, and its commit.
    fn send_committed(&mut self) -> Result<()> {
        let half = self.send_half(6)?;
        let header = EndTransactionRequest {
            broker: None,
            topic: Some(TOPIC.into()),
            producer_group: PRODUCERS.into(),
            tran_state_table_offset: half.queue_offset,
            commit_log_offset: half.offset.commit_log_offset,
            commit_or_rollback: TransactionType::Commit.bits(),
            from_transaction_check: Some(false),
            msg_id: None,
            transaction_id: None,
        };
        let request = RemotingCommand::request(RequestCode::END_TRANSACTION).with_header(&header);
        let (_, response) = self.ask(request)?;
        let view = CommandView::decode(&response)?;
        ensure!(view.code() == 0, "{}", view.remark());
        Ok(())
    }

    fn send_half(&mut self, nth: u16) -> Result<Sent> {
        let mut properties = with_id(nth)?;
        properties.push(property::TRAN_MSG, "true")?;
        properties.push(property::PGROUP, PRODUCERS)?;
        let half = SysFlag::default().with_transaction(TransactionType::Prepared);
        self.send(TOPIC, &properties, half, b"half", false)
    }

    fn keep_pulls(&mut self, first: &Sent) -> Result<()> {
        self.keep("pull", &pull(TOPIC, "golden-pullers"), 8)?;

        let offset = first.offset.commit_log_offset;
        let topic = Some(TOPIC.into());
        let view = RemotingCommand::request(RequestCode::VIEW_MESSAGE_BY_ID);
        let view = view.with_header(&ViewMessageRequest { topic, offset });
        self.keep("view", &view, 1)?;

        let query = QueryMessageRequest {
            broker: None,
            topic: TOPIC.into(),
            key: "key-b".into(),
            max_num: 8,
            begin_timestamp: 0,
            end_timestamp: i64::MAX,
            unique_key_query: Some(false),
            index_type: None,
            last_key: None,
        };
        let query = RemotingCommand::request(RequestCode::QUERY_MESSAGE).with_header(&query);
        self.keep("query", &query, 1)?;

        let back = ConsumerSendMsgBackRequest {
            broker: None,
            offset,
            group: "golden-retriers".into(),
            delay_level: 1,
            origin_msg_id: None,
            origin_topic: Some(TOPIC.into()),
            unit_mode: Some(false),
            max_reconsume_times: Some(16),
        };
        let back = RemotingCommand::request(RequestCode::CONSUMER_SEND_MSG_BACK).with_header(&back);
        let (_, response) = self.ask(back)?;
        ensure!(CommandView::decode(&response)?.code() == 0, "not sent back");
        let retries = "%RETRY%golden-retriers";
        self.keep("pull-retry", &pull(retries, "golden-retriers"), 1)
    }

    /// All messages, and those of them that are delivered again because they are not acknowledged.
    fn keep_pops(&mut self) -> Result<()> {
        let pop = pop(TOPIC, "golden-poppers", None);
        self.keep("pop", &pop, 8)?;
        self.keep("pop-retry", &pop, 1)
    }

    /// Two messages in order that were consumed in vain once.
    fn keep_orderly_pop(&mut self) -> Result<()> {
        for nth in [10, 11] {
            let none = SysFlag::default();
            self.send(ORDERLY_TOPIC, &with_id(nth)?, none, b"in order", false)?;
        }
        self.until("both", &pull(ORDERLY_TOPIC, "golden-pullers"), 2)?;
        let pop = |attempt| pop(ORDERLY_TOPIC, "golden-orderly", Some(attempt));
        self.keep("pop-orderly", &pop("1"), 2)?;
        self.keep("pop-orderly-again", &pop("2"), 2)
    }

    /// A retry whose topic is too long for the first version.
    fn keep_long_topic(&mut self, topic: &str) -> Result<()> {
        let group = format!("golden-{}", "g".repeat(40));
        self.send(topic, &with_id(12)?, SysFlag::default(), b"long", false)?;
        self.until("a message", &pop(topic, &group, None), 1)?;
        let retries = format!("%RETRY%{group}_{topic}");
        self.keep("pull-long-topic", &pull(&retries, &group), 1)
    }

    /// The broker asks what becomes of a half message.
    fn keep_check(&mut self) -> Result<()> {
        let body = Heartbeat::of_producer("127.0.0.1@golden", PRODUCERS);
        self.ask(RemotingCommand::request(RequestCode::HEART_BEAT).with_body(body))?;
        self.send_half(13)?;
        let frame = wait_until("a check", LIMIT, || {
            let frame = self.connection.receive_frame()?;
            let code = CommandView::decode(&frame)?.request_code();
            Ok((code == RequestCode::CHECK_TRANSACTION_STATE).then_some(frame))
        })?;
        Ok(fs::write(self.golden.join("check.push.bin"), frame)?)
    }
}

/// How many messages are in an answer.
fn messages(frame: &[u8]) -> Result<usize> {
    let messages: Result<Vec<_>, _> =
        StoredMessages::new(CommandView::decode(frame)?.body()).collect();
    Ok(messages?.len())
}

/// The properties of every message: an id without the machine's address, which differs by `nth`.
fn with_id(nth: u16) -> Result<PropertiesBuf> {
    let id = UniqueId {
        ip: Ipv4Addr::LOCALHOST.into(),
        process: 0xABCD,
        salt: 0,
        month_millis: UniqueId::month_millis(now_ms()),
        counter: nth,
    };
    let mut properties = PropertiesBuf::new();
    properties.push(property::UNIQ_KEY, &id.to_string())?;
    properties.push(property::WAIT, "true")?;
    Ok(properties)
}

/// Asks for all messages of a topic's first queue.
fn pull(topic: &str, group: &str) -> RemotingCommand {
    let header = PullMessageRequest {
        broker: None,
        group: group.into(),
        topic: topic.into(),
        queue_id: 0,
        queue_offset: 0,
        max_msg_nums: 32,
        sys_flag: 4,
        commit_offset: 0,
        suspend_timeout_millis: 0,
        subscription: Some("*".into()),
        sub_version: 0,
        expression_type: Some("TAG".into()),
        max_msg_bytes: None,
        request_source: None,
        proxy_forward_client_id: None,
        lite_topic: None,
    };
    RemotingCommand::request(RequestCode::PULL_MESSAGE).with_header(&header)
}

/// Asks for all messages of a topic, for a second, so that they come again soon.
fn pop(topic: &str, group: &str, attempt: Option<&str>) -> RemotingCommand {
    let header = PopMessageRequest {
        broker: None,
        group: group.into(),
        topic: topic.into(),
        queue_id: -1,
        max_msg_nums: 32,
        invisible_time: 1000,
        poll_time: 0,
        born_time: None,
        init_mode: 0,
        expression_type: Some("TAG".into()),
        expression: Some("*".into()),
        order: attempt.map(|_| true),
        attempt_id: attempt.map(Into::into),
    };
    RemotingCommand::request(RequestCode::POP_MESSAGE).with_header(&header)
}
