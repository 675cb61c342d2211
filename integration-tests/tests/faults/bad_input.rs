//! What clients should not send.

use anyhow::Result;
use integration_tests::fake::request;
use remoting_codec::{RemotingCommand, RequestCode, ResponseCode, SerializeType};

use crate::World;
use crate::relay::send;

#[tokio::test]
async fn what_cannot_be_read_ends_its_own_connection_only() -> Result<()> {
    let world = World::with("[limits]\nframe_bytes = 131072\n").await?;
    let mut bystander = world.proxy.client().await?;
    assert_eq!(bystander.call(&send(1, "both", "broker-a")).await?.code, 0);

    let frame = |header: &str| {
        let mut frame = (header.len() as u32 + 4).to_be_bytes().to_vec();
        frame.extend((header.len() as u32).to_be_bytes());
        frame.extend(header.as_bytes());
        frame
    };
    let nonsense: Vec<(&str, Vec<u8>)> = vec![
        ("over the limit", (131_072_u32 - 3).to_be_bytes().to_vec()),
        ("negative", vec![0xff, 0xff, 0xff, 0xf0]),
        ("no room for a header", vec![0, 0, 0, 3, 0, 0, 0]),
        (
            "header longer than frame",
            vec![0, 0, 0, 8, 0, 0, 0, 5, 1, 1, 1, 1],
        ),
        (
            "unknown serialize type",
            vec![0, 0, 0, 8, 9, 0, 0, 4, 1, 1, 1, 1],
        ),
        ("another protocol", b"SSH-2.0-client\r\n".to_vec()),
        ("TLS", vec![0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3]),
        ("empty header", frame("")),
        ("null header", frame("null")),
        ("broken JSON", frame(r#"{"code":310,"opaque":1,"#)),
        ("a code that is none", frame(r#"{"code":"x","opaque":1}"#)),
        ("two values in one", frame(r#"{"code":310,"opaque":[1,2]}"#)),
        (
            "an instruction to a reader",
            frame(r#"{"code":310,"extFields":{"@type":"x.Y"},"opaque":1}"#),
        ),
        (
            "header over its own limit",
            frame(&format!(r#"{{"remark":"{}"}}"#, "r".repeat(65_530))),
        ),
    ];
    for (what, bytes) in nonsense {
        let mut client = world.proxy.client().await?;
        client.send_bytes(&bytes).await?;
        assert!(client.is_closed().await?, "{what}");
        assert_eq!(
            bystander.call(&send(2, "both", "broker-a")).await?.code,
            0,
            "{what}"
        );
    }
    Ok(())
}

/// Brokers accept all of these headers, and read them alike after Remora has rewritten them.
#[tokio::test]
async fn odd_headers_go_on_in_the_form_that_clients_write() -> Result<()> {
    let world = World::start().await?;
    let mut bystander = world.proxy.client().await?;
    let mut client = world.proxy.client().await?;
    let usual = send(7, "both", "broker-a");
    let fields = usual.ext_fields.iter();
    let fields: Vec<String> = fields
        .map(|(key, value)| format!("\"{key}\":{}", serde_json::json!(value)))
        .collect();
    let fields = fields.join(",");
    for head in [
        r#""namespaceId":"","opaque":7"#,
        r#""opaque":"7","version":"399","onewayRPC":false,"customHeader":{}"#,
        r#""language":"é😀","opaque":7,"serializeTypeCurrentRPC":"é😀""#,
        r#""Opaque":5,"opaque":6,"opaque":7,"language":13"#,
    ] {
        let header = format!(r#"{{"code":310, {head}, "extFields":{{{fields}}}}}"#);
        let length = header.len() as u32;
        let mut frame = (length + 4 + 1).to_be_bytes().to_vec();
        frame.extend(length.to_be_bytes());
        frame.extend(header.as_bytes());
        frame.push(b'x');
        client.send_bytes(&frame).await?;
        let answer = client.receive().await?;
        assert_eq!((answer.code, answer.opaque.0), (0, 7), "{head}");
        let answer = bystander.call(&send(2, "both", "broker-a")).await?;
        assert_eq!(answer.code, 0, "{head}");
    }
    Ok(())
}

#[tokio::test]
async fn a_missing_or_malformed_field_is_named() -> Result<()> {
    let world = World::start().await?;
    let mut client = world.proxy.client().await?;
    let unread_body = |code| request(code, 5, &[]).with_body("{\"clientID\":7");
    let cases: Vec<(RemotingCommand, &str)> = vec![
        (
            request(RequestCode::GET_ROUTEINFO_BY_TOPIC, 5, &[]),
            "ext field topic is missing",
        ),
        (
            request(RequestCode::GET_CONSUMER_LIST_BY_GROUP, 5, &[]),
            "ext field consumerGroup is missing",
        ),
        (
            unread_body(RequestCode::HEART_BEAT),
            "heartbeat body cannot be read",
        ),
        (
            unread_body(RequestCode::LOCK_BATCH_MQ),
            "lock batch body cannot be read",
        ),
        (
            unread_body(RequestCode::CHECK_CLIENT_CONFIG),
            "client config body cannot be read",
        ),
        (
            request(RequestCode::HEART_BEAT, 5, &[]),
            "heartbeat body cannot be read",
        ),
    ];
    for (command, expected) in cases {
        for serialize_type in [SerializeType::Json, SerializeType::RocketMq] {
            let command = RemotingCommand {
                serialize_type,
                ..command.clone()
            };
            let answer = client.call(&command).await?;
            let remark = answer.remark.unwrap();
            assert_eq!(answer.code, ResponseCode::SYSTEM_ERROR.0, "{remark}");
            assert!(remark.contains(expected), "{remark}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn what_a_broker_is_asked_it_judges() -> Result<()> {
    let world = World::start().await?;
    let mut client = world.proxy.client().await?;
    let mut sent = 0;
    for name in ["a", "b", "e", "f", "g", "h", "i"] {
        for given in [None, Some(""), Some("three")] {
            for serialize_type in [SerializeType::Json, SerializeType::RocketMq] {
                let mut command = RemotingCommand {
                    serialize_type,
                    ..send(5, "both", "broker-a")
                };
                command.ext_fields.retain(|(key, _)| key != name);
                if let Some(given) = given {
                    command = command.with_field(name, given);
                }
                assert_eq!(client.call(&command).await?.code, 0, "{command:?}");
                sent += 1;
            }
        }
    }
    let bare = [("bname", "broker-a")];
    let codes = [
        RequestCode::PULL_MESSAGE,
        RequestCode::POP_MESSAGE,
        RequestCode::PEEK_MESSAGE,
        RequestCode::NOTIFICATION,
        RequestCode::POLLING_INFO,
        RequestCode::ACK_MESSAGE,
        RequestCode::CHANGE_MESSAGE_INVISIBLETIME,
        RequestCode::QUERY_CONSUMER_OFFSET,
        RequestCode::UPDATE_CONSUMER_OFFSET,
        RequestCode::END_TRANSACTION,
    ];
    for code in codes {
        assert_eq!(client.call(&request(code, 6, &bare)).await?.code, 0);
        assert_eq!(world.a.received(code).len(), 1);
    }
    let unregister = request(RequestCode::UNREGISTER_CLIENT, 7, &[]);
    assert_eq!(client.call(&unregister).await?.code, 0);
    assert_eq!(world.a.received(RequestCode::SEND_MESSAGE_V2).len(), sent);
    Ok(())
}

#[tokio::test]
async fn a_code_that_is_not_served_is_named() -> Result<()> {
    let world = World::start().await?;
    let mut client = world.proxy.client().await?;
    for (code, expected) in [
        (
            RequestCode::GET_ALL_TOPIC_CONFIG,
            "GET_ALL_TOPIC_CONFIG (21) is not served",
        ),
        (RequestCode(4711), "4711 is not served"),
        (
            RequestCode::NOTIFY_CONSUMER_IDS_CHANGED,
            "NOTIFY_CONSUMER_IDS_CHANGED (40) goes from a broker to a client",
        ),
    ] {
        let answer = client.call(&request(code, 77, &[])).await?;
        let remark = answer.remark.unwrap();
        assert_eq!(
            answer.code,
            ResponseCode::REQUEST_CODE_NOT_SUPPORTED.0,
            "{remark}"
        );
        assert!(remark.contains(expected), "{remark}");
    }
    Ok(())
}
