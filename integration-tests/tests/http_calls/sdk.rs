//! The protocol of the existing SDKs: what their suite on a real cluster (`http_sdks`) cannot bring
//! about.

use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, ensure};
use integration_tests::fake::Reply;
use proxy_server::Signal;
use remoting_codec::message::{Properties, StoredMessage, StoredVersion, SysFlag};
use remoting_codec::{RemotingCommand, RequestCode, ResponseCode, SerializeType};
use tokio::time::Instant;

use crate::{Answer, Client, World};

const GIVEN_BACK: RequestCode = RequestCode::CHANGE_MESSAGE_INVISIBLETIME;

fn success() -> RemotingCommand {
    RemotingCommand::response(ResponseCode::SUCCESS, 0, SerializeType::Json)
}

fn nothing() -> RemotingCommand {
    RemotingCommand::response(ResponseCode(210), 0, SerializeType::Json)
}

/// Messages with these bodies, popped now for five minutes.
fn popped(bodies: &[&[u8]], properties: &str, flags: SysFlag) -> Result<RemotingCommand> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    let now = i64::try_from(now.as_millis())?;
    let host = "127.0.0.1:1".parse()?;
    let (mut stored, mut offsets) = (Vec::new(), Vec::new());
    for (nth, body) in (0..).zip(bodies) {
        let message = StoredMessage {
            version: StoredVersion::V1,
            body_crc: 0,
            queue_id: 0,
            flag: 0,
            queue_offset: 100 + nth,
            commit_log_offset: 1000 * nth,
            sys_flag: flags,
            born_time: now,
            born_host: host,
            store_time: now,
            store_host: host,
            reconsume_times: 0,
            prepared_transaction_offset: 0,
            body,
            topic: "one",
            properties: Properties::new(properties.as_bytes()),
        };
        message.encode(&mut stored)?;
        offsets.push(message.queue_offset.to_string());
    }
    Ok(success()
        .with_field("popTime", now.to_string())
        .with_field("invisibleTime", "300000")
        .with_field("reviveQid", "0")
        .with_field("restNum", "0")
        .with_field("startOffsetInfo", "0 0 100")
        .with_field("msgOffsetInfo", format!("0 0 {}", offsets.join(",")))
        .with_body(stored))
}

/// Brokers with a group, an ordinary topic, and no messages.
async fn world(file: &str) -> Result<World> {
    let world = World::with(file).await?;
    let group = success().with_body(&b"{\"retryMaxTimes\":16}"[..]);
    let topic = success().with_body(&b"{\"attributes\":{}}"[..]);
    for broker in [&world.a, &world.b] {
        let code = RequestCode::GET_SUBSCRIPTIONGROUP_CONFIG;
        broker.on(code, Reply::Command(group.clone()));
        broker.on(RequestCode::GET_TOPIC_CONFIG, Reply::Command(topic.clone()));
        broker.on(RequestCode::POP_MESSAGE, Reply::Command(nothing()));
        broker.on(GIVEN_BACK, Reply::Command(success()));
        broker.on(RequestCode::ACK_MESSAGE, Reply::Command(success()));
    }
    Ok(world)
}

/// The code of an error, whose form is that which all SDKs read.
fn code(answer: &Answer) -> Result<String> {
    let inside = |element: &str| -> Result<String> {
        let (_, rest) = answer
            .body
            .split_once(&format!("<{element}>"))
            .with_context(|| format!("no {element}: {answer:?}"))?;
        let (inside, _) = rest.split_once("</").context("no end")?;
        Ok(inside.to_owned())
    };
    ensure!(
        answer.header("content-type") == Some("text/xml;charset=utf-8"),
        "{answer:?}"
    );
    ensure!(
        answer.header("x-mq-version") == Some("2015-06-06"),
        "{answer:?}"
    );
    let id = answer.header("x-mq-request-id").context("no request id")?;
    ensure!(id.len() == 24 && inside("RequestId")? == id, "{answer:?}");
    ensure!(
        answer
            .body
            .contains("<Error xmlns=\"http://mq.aliyuncs.com/doc/v1\">"),
        "{answer:?}"
    );
    ensure!(
        inside("HostId")? == "http://x" && !inside("Message")?.is_empty(),
        "{answer:?}"
    );
    inside("Code")
}

fn with_body(body: &str) -> String {
    format!("content-length: {}\r\n\r\n{body}", body.len())
}

#[tokio::test]
async fn each_refusal_has_its_code_and_status() -> Result<()> {
    let world = world("").await?;
    let message = "<Message><MessageBody>x</MessageBody></Message>";
    let message_with = |properties: &str| {
        let message = format!(
            "<Message><MessageBody>x</MessageBody><Properties>{properties}</Properties></Message>"
        );
        with_body(&message)
    };
    let consume = "/topics/one/messages?consumer=g&numOfMessages=1";
    let acknowledge = "/topics/one/messages?consumer=g";
    let publish = "/topics/one/messages";
    for (method, target, further, status, expected) in [
        ("GET", consume, String::new(), 404, "MessageNotExist"),
        (
            "GET",
            "/topics/one/messages?consumer=g",
            String::new(),
            400,
            "InvalidArgument",
        ),
        (
            "GET",
            "/topics/one/messages?x=y",
            String::new(),
            400,
            "InvalidQueryString",
        ),
        (
            "GET",
            "/topics/one",
            String::new(),
            400,
            "InvalidRequestURL",
        ),
        ("PUT", publish, String::new(), 405, "InvalidRequestURL"),
        ("HEAD", publish, String::new(), 405, ""),
        (
            "POST",
            "/topics/none/messages",
            with_body(message),
            404,
            "TopicNotExist",
        ),
        (
            "POST",
            "/topics/TBW102/messages",
            with_body(message),
            400,
            "InvalidArgument",
        ),
        (
            "POST",
            "/topics/one/messages?ns=a%25b",
            with_body(message),
            400,
            "InvalidArgument",
        ),
        ("POST", publish, with_body("{}"), 400, "MalformedXML"),
        (
            "POST",
            publish,
            message_with("TRAN_MSG:true"),
            400,
            "InvalidArgument",
        ),
        (
            "POST",
            publish,
            message_with("__SHARDINGKEY:s"),
            400,
            "InvalidArgument",
        ),
        (
            "POST",
            publish,
            format!(
                "content-md5: XUFAKrxLKna5cZ2REBfFkg==\r\n{}",
                with_body(message)
            ),
            400,
            "InvalidDigest",
        ),
        (
            "POST",
            publish,
            format!("authorization: Basic eDp5\r\n{}", with_body(message)),
            400,
            "InvalidAuthorizationHeader",
        ),
        (
            "POST",
            publish,
            format!("date: yesterday\r\n{}", with_body(message)),
            400,
            "InvalidDateHeader",
        ),
        (
            "DELETE",
            acknowledge,
            with_body("<ReceiptHandles><ReceiptHandle/></ReceiptHandles>"),
            400,
            "MissingReceiptHandle",
        ),
    ] {
        let answer = world.ask(method, target, further.trim_end()).await;
        let answer = match method {
            "HEAD" => {
                let mut client = world.connect().await?;
                client
                    .write(format!("HEAD {target} HTTP/1.1\r\nhost: x\r\n\r\n"))
                    .await?;
                client.answer(true).await?.context("no answer")?
            }
            _ => answer?,
        };
        assert_eq!(
            answer.status, status,
            "{method} {target} {further}: {answer:?}"
        );
        if !expected.is_empty() {
            assert_eq!(code(&answer)?, expected, "{method} {target} {further}");
        }
    }
    Ok(())
}

/// A request whose body is announced waits for leave to send it.
#[tokio::test]
async fn a_body_that_is_announced_is_asked_for() -> Result<()> {
    let world = world("").await?;
    let stored = success()
        .with_field("msgId", "7F00000100002A9F0000000000000001")
        .with_field("queueId", "0")
        .with_field("queueOffset", "7");
    world
        .a
        .on(RequestCode::SEND_MESSAGE_V2, Reply::Command(stored));
    let body = "<Message><MessageBody>x</MessageBody></Message>";
    let mut client = world.connect().await?;
    let head = "POST /topics/one/messages HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\n";
    let length = body.len();
    client
        .write(format!("{head}content-length: {length}\r\n\r\n"))
        .await?;
    let go_on = client.answer(false).await?.context("no answer")?;
    assert_eq!(go_on.status, 100);
    client.write(body).await?;
    let answer = client.answer(false).await?.context("no answer")?;
    assert_eq!(answer.status, 201, "{answer:?}");
    assert!(
        answer
            .body
            .contains("<MessageBodyMD5>9DD4E461268C8034F5C8564E155C67A6</MessageBodyMD5>")
    );
    let sent = world
        .a
        .wait_received(RequestCode::SEND_MESSAGE_V2, 1)
        .await?;
    assert_eq!(&sent.first().context("sent")?.command.body[..], b"x");
    Ok(())
}

/// What XML cannot have reaches consumers all the same.
#[tokio::test]
async fn bodies_that_xml_cannot_have_are_encoded() -> Result<()> {
    let world = world("").await?;
    let bodies: [&[u8]; 3] = [b"\x00\xff", b"", b"a\r\n<b>"];
    let properties = "url\u{1}http://x\u{2}KEYS\u{1}k\u{2}";
    let answer = popped(&bodies, properties, SysFlag(0))?;
    world.a.on(RequestCode::POP_MESSAGE, Reply::Command(answer));
    let target = "/topics/one/messages?consumer=g&numOfMessages=16";
    let answer = world.ask("GET", target, "").await?;
    assert_eq!(answer.status, 200, "{answer:?}");
    for text in [
        "<MessageBody>AP8=</MessageBody>",
        "<Properties>url:http%3A//x|KEYS:k|__BODY_ENCODING:base64|__ENCODED:url|</Properties>",
        "<MessageBody>-</MessageBody>",
        "__BODY_ENCODING:empty|",
        "<MessageBody>a&#13;\n&lt;b&gt;</MessageBody>",
    ] {
        assert!(answer.body.contains(text), "{text}: {answer:?}");
    }
    // Compressed in a way that is not undone here.
    let lz4 = SysFlag(1 | 1 << 8);
    let answer = popped(&[b"\x04\x22"], "", lz4)?;
    world.a.on(RequestCode::POP_MESSAGE, Reply::Command(answer));
    let answer = world.ask("GET", target, "").await?;
    assert!(
        answer.body.contains("<MessageBody>BCI=</MessageBody>"),
        "{answer:?}"
    );
    assert!(
        answer.body.contains("__BODY_ENCODING:base64,lz4|"),
        "{answer:?}"
    );
    Ok(())
}

/// Messages that a broker hands out when the client has left are given back at once.
#[tokio::test]
async fn a_client_that_leaves_while_it_waits_loses_no_message() -> Result<()> {
    let world = world("").await?;
    world.a.on(
        RequestCode::POP_MESSAGE,
        Reply::Late(
            Duration::from_secs(1),
            popped(&[b"x", b"y"], "", SysFlag(0))?,
        ),
    );
    let mut client = world.connect().await?;
    let target = "/topics/one/messages?consumer=g&numOfMessages=16&waitseconds=30";
    client
        .write(format!("GET {target} HTTP/1.1\r\nhost: x\r\n\r\n"))
        .await?;
    world.a.wait_received(RequestCode::POP_MESSAGE, 1).await?;
    drop(client);
    let begun = Instant::now();
    world.a.wait_received(GIVEN_BACK, 2).await?;
    assert!(begun.elapsed() < Duration::from_secs(4));
    Ok(())
}

/// A document that its client has only in part is of no use to it.
#[tokio::test]
async fn messages_that_are_not_written_as_a_whole_are_given_back() -> Result<()> {
    let world = world("[limits]\nframe_ms = 1000\n").await?;
    let large = vec![b'x'; 2 << 20];
    let bodies: Vec<&[u8]> = vec![b"small", &large, &large, &large];
    let answer = popped(&bodies, "", SysFlag(0))?;
    world.a.on(RequestCode::POP_MESSAGE, Reply::Command(answer));
    let mut client = world.connect().await?;
    let target = "/topics/one/messages?consumer=g&numOfMessages=16";
    client
        .write(format!("GET {target} HTTP/1.1\r\nhost: x\r\n\r\n"))
        .await?;
    // The beginning is read, with the first message in it.
    ensure!(client.more().await?, "no answer");
    let begun = Instant::now();
    world.a.wait_received(GIVEN_BACK, bodies.len()).await?;
    assert!(begun.elapsed() < Duration::from_secs(6));
    Ok(())
}

/// A broker that is silent holds up the messages of another for seconds, and not for the whole
/// wait; if there is only one broker, the client gets an error before its SDK gives up.
#[tokio::test]
async fn a_broker_that_freezes_ends_no_wait_late() -> Result<()> {
    let world = world("").await?;
    world.a.on(RequestCode::POP_MESSAGE, Reply::Silence);
    let begun = Instant::now();
    let one = "/topics/one/messages?consumer=g&numOfMessages=1&waitseconds=2";
    let both = "/topics/both/messages?consumer=g&numOfMessages=1&waitseconds=2";
    let (alone, other) = tokio::join!(world.ask("GET", one, ""), world.ask("GET", both, ""));
    assert_eq!(code(&alone?)?, "InternalServerError");
    assert_eq!(code(&other?)?, "MessageNotExist");
    let time = begun.elapsed();
    assert!(time >= Duration::from_secs(2), "after {time:?}");
    assert!(time < Duration::from_secs(7), "after {time:?}");
    Ok(())
}

/// In a drain, a client that waits is answered, and leaves.
#[tokio::test]
async fn a_drain_ends_waits_without_messages() -> Result<()> {
    let file = "[drain]\nwait_ms = 500\ntime_ms = 500\ndeadline_ms = 8000\n";
    let world = world(file).await?;
    world.a.on(RequestCode::POP_MESSAGE, Reply::Silence);
    let mut client: Client = world.connect().await?;
    let target = "/topics/one/messages?consumer=g&numOfMessages=1&waitseconds=30";
    client
        .write(format!("GET {target} HTTP/1.1\r\nhost: x\r\n\r\n"))
        .await?;
    world.a.wait_received(RequestCode::POP_MESSAGE, 1).await?;
    world.proxy.signal(Signal::Drain);
    let answer = client.answer(false).await?.context("no answer")?;
    assert_eq!(code(&answer)?, "MessageNotExist");
    assert!(client.closes_within(Duration::from_secs(5)).await?);
    Ok(())
}
