//! Listeners that belong to one broker.

use anyhow::Result;
use integration_tests::fake::{RawClient, request};
use integration_tests::ports::{free_port, free_ports};
use remoting_codec::body::TopicRouteData;
use remoting_codec::{Language, RemotingCommand, RequestCode, Version};

use crate::World;
use crate::relay::send;

struct Listeners {
    world: World,
    a: u16,
    b: u16,
}

async fn world(more: &str) -> Result<Listeners> {
    let (a, b) = (free_port()?, free_port()?);
    let file = format!(
        "{more}\n[[broker_listener]]\nbroker = \"broker-a\"\nbind = \"127.0.0.1:{a}\"\n\
         [[broker_listener]]\nbroker = \"broker-b\"\nbind = \"127.0.0.1:{b}\"\nadvertise = \"mq.example.com:7\"\n"
    );
    let world = World::with(&file).await?;
    Ok(Listeners { world, a, b })
}

async fn client_of(port: u16) -> Result<RawClient> {
    RawClient::connect(([127, 0, 0, 1], port).into()).await
}

async fn advertised(
    client: &mut RawClient,
    language: Language,
    version: i32,
) -> Result<Vec<String>> {
    let ask = RemotingCommand {
        language,
        version: Version(version),
        ..request(RequestCode::GET_ROUTEINFO_BY_TOPIC, 1, &[("topic", "both")])
    };
    let route = TopicRouteData::decode(&client.call(&ask).await?.body)?;
    let brokers = route.broker_datas.into_iter();
    Ok(brokers
        .flat_map(|broker| broker.broker_addrs.into_values())
        .collect())
}

#[tokio::test]
async fn clients_that_name_no_broker_are_told_of_them() -> Result<()> {
    let Listeners { world, a, .. } = world("").await?;
    let own = [format!("127.0.0.1:{a}"), "mq.example.com:7".to_owned()];
    let shared = [
        world.proxy.address().to_string(),
        world.proxy.address().to_string(),
    ];
    let mut client = world.proxy.client().await?;
    for (language, version, expected) in [
        (Language::JAVA, 399, &own),
        (Language::JAVA, 403, &shared),
        (Language::JAVA, 413, &own),
        (Language::JAVA, 433, &shared),
        (Language::JAVA, 513, &shared),
        (Language::GO, 317, &own),
        (Language::CPP, 513, &own),
    ] {
        let advertised = advertised(&mut client, language, version).await?;
        assert_eq!(advertised, expected, "{language:?} {version}");
    }
    let Listeners {
        world: always, a, ..
    } = self::world("broker_addresses = \"always\"").await?;
    let mut client = always.proxy.client().await?;
    assert_eq!(
        advertised(&mut client, Language::JAVA, 513).await?[0],
        format!("127.0.0.1:{a}")
    );
    Ok(())
}

#[tokio::test]
async fn what_arrives_there_is_for_that_broker() -> Result<()> {
    let Listeners { world, a, b } = world("").await?;
    let mut client_a = client_of(a).await?;
    let mut client_b = client_of(b).await?;
    client_a.call(&send(1, "both", "")).await?;
    client_b.call(&send(1, "both", "")).await?;
    for broker in [&world.a, &world.b] {
        assert_eq!(broker.received(RequestCode::SEND_MESSAGE_V2).len(), 1);
    }
    // A heartbeat there is that broker's only: the client has a connection to each.
    let body = r#"{"clientID":"c1","consumerDataSet":[{"groupName":"g","subscriptionDataSet":[{"topic":"both"}]}]}"#;
    let heartbeat = request(RequestCode::HEART_BEAT, 2, &[]).with_body(body);
    client_b.call(&heartbeat).await?;
    assert_eq!(world.b.received(RequestCode::HEART_BEAT).len(), 1);
    assert!(world.a.received(RequestCode::HEART_BEAT).is_empty());
    client_a.call(&heartbeat).await?;
    assert_eq!(world.a.received(RequestCode::HEART_BEAT).len(), 1);
    let view = request(RequestCode::VIEW_MESSAGE_BY_ID, 3, &[("offset", "77")]);
    assert_eq!(client_b.call(&view).await?.field("offset"), Some("77"));
    assert_eq!(world.b.received(RequestCode::VIEW_MESSAGE_BY_ID).len(), 1);
    let list = request(
        RequestCode::GET_CONSUMER_LIST_BY_GROUP,
        4,
        &[("consumerGroup", "g")],
    );
    client_b.call(&list).await?;
    assert_eq!(
        world
            .b
            .received(RequestCode::GET_CONSUMER_LIST_BY_GROUP)
            .len(),
        1
    );
    Ok(())
}

#[tokio::test]
async fn old_clients_habit_of_the_port_minus_two_is_served_where_wanted() -> Result<()> {
    let vip = free_ports(3)?;
    let file = format!(
        "[[broker_listener]]\nbroker = \"broker-b\"\nbind = \"127.0.0.1:{}\"\nvip = true\n",
        vip + 2
    );
    let world = World::with(&file).await?;
    for port in [vip, vip + 2] {
        let mut client = client_of(port).await?;
        assert_eq!(client.call(&send(1, "both", "")).await?.code, 0);
    }
    assert_eq!(world.b.received(RequestCode::SEND_MESSAGE_V2).len(), 2);
    assert!(world.a.received(RequestCode::SEND_MESSAGE_V2).is_empty());
    Ok(())
}

#[tokio::test]
async fn a_vip_channel_of_all_brokers_is_served_where_wanted() -> Result<()> {
    let vip = free_ports(3)?;
    let main = vip + 2;
    let file = format!("[[listener]]\nbind = \"127.0.0.1:{main}\"\nvip = true\n");
    let world = World::with(&file).await?;
    for port in [main, vip] {
        let mut client = client_of(port).await?;
        assert_eq!(client.call(&send(1, "both", "broker-b")).await?.code, 0);
        // A route from the VIP channel has the main port, too: clients subtract two themselves.
        let advertised = advertised(&mut client, Language::JAVA, 513).await?;
        assert_eq!(advertised, [(); 2].map(|()| format!("127.0.0.1:{main}")));
    }
    assert_eq!(world.b.received(RequestCode::SEND_MESSAGE_V2).len(), 2);
    Ok(())
}
