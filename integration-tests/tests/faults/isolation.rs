//! What one client does is not felt by another.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use integration_tests::fake::{RawClient, Reply, request};
use remoting_codec::{FLAG_RESPONSE, RemotingCommand, RequestCode, ResponseCode, SerializeType};
use tokio::time::{Instant, sleep};

use crate::World;
use crate::codes::{pop, popped};

const SEND: RequestCode = RequestCode::SEND_MESSAGE_V2;

fn send(opaque: i32) -> RemotingCommand {
    let fields = [
        ("n", "broker-a"),
        ("b", "both"),
        ("a", "g"),
        ("e", "0"),
        ("f", "0"),
        ("g", "1"),
        ("h", "0"),
    ];
    request(SEND, opaque, &fields).with_body("hello")
}

/// Ends a transaction in a way that brokers do not answer.
fn unanswered(opaque: i32) -> RemotingCommand {
    let fields = [
        ("bname", "broker-a"),
        ("producerGroup", "g"),
        ("tranStateTableOffset", "1"),
        ("commitLogOffset", "1"),
        ("commitOrRollback", "0"),
    ];
    request(RequestCode::END_TRANSACTION, opaque, &fields)
}

/// A pull that may be held for that time.
fn pull(opaque: i32, suspend_ms: &'static str) -> RemotingCommand {
    let fields = [
        ("bname", "broker-a"),
        ("topic", "both"),
        ("consumerGroup", "g"),
        ("sysFlag", "2"),
        ("suspendTimeoutMillis", suspend_ms),
        ("queueId", "0"),
        ("queueOffset", "77"),
        ("maxMsgNums", "1"),
    ];
    request(RequestCode::PULL_MESSAGE, opaque, &fields)
}

fn polls(count: i32) -> Vec<u8> {
    (0..count)
        .flat_map(|opaque| pull(opaque, "600000").to_bytes())
        .collect()
}

/// Waits until nothing is outstanding at broker-a.
async fn wait_nothing_outstanding(world: &World) -> Result<()> {
    let begun = Instant::now();
    loop {
        let metrics = world.proxy.admin("GET /metrics").await?;
        let gauge = "rocketmq_proxy_outstanding_requests";
        let line = metrics
            .lines()
            .find(|line| line.starts_with(gauge) && line.contains("broker-a"))
            .with_context(|| metrics.clone())?;
        if line.ends_with(" 0") {
            return Ok(());
        }
        ensure!(begun.elapsed() < Duration::from_secs(5), "{line}");
        sleep(Duration::from_millis(100)).await;
    }
}

/// Sends one after the other for that long; answers how many there were, how many of them were
/// refused, and the longest time that one took.
async fn send_for(client: &mut RawClient, time: Duration) -> Result<(usize, usize, Duration)> {
    let (mut all, mut refused, mut longest) = (0, 0, Duration::ZERO);
    let begun = Instant::now();
    while begun.elapsed() < time {
        let one = Instant::now();
        let answer = client.call(&send(all as i32 + 1)).await?;
        longest = longest.max(one.elapsed());
        all += 1;
        refused += usize::from(answer.code != 0);
    }
    Ok((all, refused, longest))
}

#[tokio::test]
async fn requests_that_nobody_answers_say_nothing_of_the_broker() -> Result<()> {
    let world = World::with("workers = 1\n[timeouts]\ngeneral_ms = 300\n").await?;
    world.a.on(RequestCode::END_TRANSACTION, Reply::Silence);
    let mut odd = world.proxy.client().await?;
    let mut good = world.proxy.client().await?;
    assert_eq!(good.call(&send(1)).await?.code, 0);
    for opaque in 0..200 {
        odd.send(&unanswered(opaque)).await?;
    }
    let (all, refused, _) = send_for(&mut good, Duration::from_secs(2)).await?;
    assert_eq!(refused, 0, "of {all}");
    for _ in 0..200 {
        assert_eq!(odd.receive().await?.code, ResponseCode::SYSTEM_BUSY.0);
    }
    // Alone with them, the broker is not taken for dead either.
    for opaque in 0..10 {
        odd.call(&unanswered(opaque)).await?;
    }
    assert_eq!(good.call(&send(1)).await?.code, 0);
    Ok(())
}

#[tokio::test]
async fn many_requests_that_nobody_answers_cost_no_one_else_an_answer() -> Result<()> {
    let file = "workers = 1\n[timeouts]\ngeneral_ms = 300\n";
    let world = World::with(file).await?;
    world.a.on(RequestCode::END_TRANSACTION, Reply::Silence);
    let answer = RemotingCommand::response(ResponseCode::SUCCESS, 0, SerializeType::Json);
    let late = Reply::Late(Duration::from_secs(2), answer);
    let mut good = world.proxy.client().await?;
    assert_eq!(good.call(&send(1)).await?.code, 0);
    world.a.on(SEND, late);
    let many: Vec<u8> = (0..11_000)
        .flat_map(|opaque| unanswered(opaque).to_bytes())
        .collect();
    good.send(&send(2)).await?;
    let mut odd = world.proxy.client().await?;
    odd.send_bytes(&many).await?;
    let answer = good.receive().await?;
    assert_eq!((answer.opaque.0, answer.code), (2, 0), "{answer:?}");
    world.a.on(SEND, Reply::Mirror);
    assert_eq!(good.call(&send(3)).await?.code, 0);
    Ok(())
}

#[tokio::test]
async fn what_another_client_answers_is_passed_on_and_nothing_else() -> Result<()> {
    let world = World::with("workers = 1\n").await?;
    let go_away = RemotingCommand {
        flag: FLAG_RESPONSE,
        ..RemotingCommand::response(ResponseCode::GO_AWAY, 0, SerializeType::Json)
    };
    let code = RequestCode::GET_CONSUMER_RUNNING_INFO;
    world
        .a
        .on(code, Reply::Command(go_away.with_remark("leave")));
    world.name_server.add_topic("%RETRY%g", &["broker-a"]);
    let mut client = world.proxy.client().await?;
    assert_eq!(client.call(&send(1)).await?.code, 0);
    let fields = [("consumerGroup", "g"), ("clientId", "c")];
    for _ in 0..3 {
        let answer = client.call(&request(code, 2, &fields)).await?;
        assert_eq!(answer.code, ResponseCode::GO_AWAY.0);
        assert_eq!(answer.remark.as_deref(), Some("leave"));
        assert_eq!(client.call(&send(3)).await?.code, 0);
    }
    let connections: Vec<_> = world
        .a
        .received(SEND)
        .iter()
        .map(|one| one.connection)
        .collect();
    assert!(connections.windows(2).all(|two| two[0] == two[1]));
    Ok(())
}

#[tokio::test]
async fn connections_that_have_gone_dead_silently_are_replaced() -> Result<()> {
    let world = World::with("workers = 1\nsend_elsewhere = false\n").await?;
    let mut client = world.proxy.client().await?;
    assert_eq!(client.call(&send(1)).await?.code, 0);
    world.a.kill_connections_silently();
    let begun = Instant::now();
    let mut failed = 0;
    while client.call(&send(2)).await?.code != 0 {
        failed += 1;
        ensure!(begun.elapsed() < Duration::from_secs(10), "{failed} failed");
        sleep(Duration::from_millis(10)).await;
    }
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "{:?}",
        begun.elapsed()
    );
    let (_, refused, _) = send_for(&mut client, Duration::from_secs(1)).await?;
    assert_eq!(refused, 0);
    Ok(())
}

#[tokio::test]
async fn a_dead_connection_over_which_nothing_is_answered_is_replaced() -> Result<()> {
    let world = World::with("workers = 1\n").await?;
    let mut client = world.proxy.client().await?;
    assert_eq!(client.call(&send(1)).await?.code, 0);
    world.a.kill_connections_silently();
    let begun = Instant::now();
    let before = world.a.received(SEND).len();
    while world.a.received(SEND).len() == before {
        client.send(&send(2).oneway()).await?;
        ensure!(begun.elapsed() < Duration::from_secs(6), "none arrives");
        sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

#[tokio::test]
async fn a_dead_connection_under_polls_is_replaced() -> Result<()> {
    let world = World::with("workers = 1\n").await?;
    let mut client = world.proxy.client().await?;
    let pull = |opaque| pull(opaque, "30000");
    assert_eq!(client.call(&pull(1)).await?.code, 0);
    world.a.kill_connections_silently();
    let begun = Instant::now();
    client.send(&pull(2)).await?;
    sleep(Duration::from_secs(3)).await;
    // Another request finds out; both go on.
    client.send(&pull(3)).await?;
    let mut codes = vec![client.receive().await?, client.receive().await?];
    assert!(begun.elapsed() < Duration::from_secs(10));
    codes.sort_by_key(|answer| answer.opaque.0);
    let last = client.call(&pull(4)).await?;
    assert_eq!(last.code, 0, "{codes:?}");
    Ok(())
}

#[tokio::test]
async fn polls_alone_on_a_dead_connection_come_back_to_be_asked_again() -> Result<()> {
    let world = World::with("workers = 1\n").await?;
    let mut client = world.proxy.client().await?;
    let pull = |opaque| pull(opaque, "30000");
    assert_eq!(client.call(&pull(1)).await?.code, 0);
    world.a.on(RequestCode::PULL_MESSAGE, Reply::Silence);
    client.send(&pull(2)).await?;
    // It is held, and nothing is wrong with that.
    world.a.wait_received(RequestCode::PULL_MESSAGE, 2).await?;
    world.a.kill_connections_silently();
    world.a.on(RequestCode::PULL_MESSAGE, Reply::Mirror);
    let begun = Instant::now();
    let answer = client.receive().await?;
    assert!(
        begun.elapsed() < Duration::from_secs(8),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(
        (answer.opaque.0, answer.code),
        (2, ResponseCode::PULL_NOT_FOUND.0)
    );
    assert_eq!(answer.field("nextBeginOffset"), Some("77"));
    assert_eq!(client.call(&pull(3)).await?.code, 0);
    Ok(())
}

/// Polls that the broker holds, of clients that come and go.
#[tokio::test]
async fn polls_are_not_in_the_way_of_sends_nor_stay_when_their_client_goes() -> Result<()> {
    let file = "admin = \"127.0.0.1:0\"\nworkers = 1\n[limits]\nbroker_outstanding = 1000\n";
    let world = World::with(file).await?;
    world.a.on(RequestCode::PULL_MESSAGE, Reply::Silence);
    let polls = polls(1500);
    let mut good = world.proxy.client().await?;
    assert_eq!(good.call(&send(1)).await?.code, 0);
    let mut pollers = Vec::new();
    for _ in 0..4 {
        let mut poller = world.proxy.client().await?;
        poller.send_bytes(&polls).await?;
        pollers.push(poller);
    }
    let (all, refused, _) = send_for(&mut good, Duration::from_secs(1)).await?;
    assert_eq!(refused, 0, "of {all}");
    drop(pollers);
    wait_nothing_outstanding(&world).await
}

/// A client that has as many requests outstanding as it may is read further: otherwise its
/// disconnect would not be noticed behind its unread frames.
#[tokio::test]
async fn more_polls_than_a_client_may_have_are_refused_and_all_go_with_it() -> Result<()> {
    let file = "admin = \"127.0.0.1:0\"\nworkers = 1\n[limits]\noutstanding_requests = 1000\n";
    let world = World::with(file).await?;
    world.a.on(RequestCode::PULL_MESSAGE, Reply::Silence);
    let mut poller = world.proxy.client().await?;
    poller.send_bytes(&polls(3000)).await?;
    world
        .a
        .wait_received(RequestCode::PULL_MESSAGE, 1000)
        .await?;
    for _ in 0..2000 {
        let refused = poller.receive().await?;
        assert_eq!(refused.code, ResponseCode::SYSTEM_BUSY.0);
    }
    // What is no poll is served, and brokers are not asked for more.
    assert_eq!(poller.call(&send(3001)).await?.code, 0);
    assert_eq!(world.a.received(RequestCode::PULL_MESSAGE).len(), 1000);
    drop(poller);
    wait_nothing_outstanding(&world).await?;
    Ok(())
}

#[tokio::test]
async fn what_was_popped_for_a_client_that_does_not_read_is_given_back() -> Result<()> {
    let world = World::with("[limits]\nclient_buffer_bytes = 65536\n").await?;
    let answer = popped().with_body(vec![0; 512 * 1024]);
    world.a.on(RequestCode::POP_MESSAGE, Reply::Command(answer));
    let mut client = world.proxy.client().await?;
    let count = 60;
    for _ in 0..count {
        client.send(&pop("15000")).await?;
    }
    world
        .a
        .wait_received(RequestCode::CHANGE_MESSAGE_INVISIBLETIME, 1)
        .await?;
    let (mut taken, mut refused) = (0, 0);
    for _ in 0..count {
        match client.receive().await?.code {
            0 => taken += 1,
            code => {
                assert_eq!(code, ResponseCode::SYSTEM_BUSY.0);
                refused += 1;
            }
        }
    }
    assert!(taken > 0 && refused > 0, "{taken} taken, {refused} refused");
    let code = RequestCode::CHANGE_MESSAGE_INVISIBLETIME;
    let given_back = world.a.wait_received(code, 3 * refused).await?;
    assert_eq!(given_back.len(), 3 * refused);
    Ok(())
}

/// Frames that lack their last byte, of more connections than there is memory for.
#[tokio::test]
async fn frames_that_never_end_cost_those_that_sent_them_their_connection() -> Result<()> {
    let file = "admin = \"127.0.0.1:0\"\nworkers = 1\n[limits]\nmemory_bytes = 67108864\n";
    let world = World::with(file).await?;
    let mut good = world.proxy.client().await?;
    assert_eq!(good.call(&send(1)).await?.code, 0);
    let whole = send(2).with_body(vec![7; 8 * 1024 * 1024]).to_bytes();
    let (most, _) = whole.split_at(whole.len() - 1);
    let mut greedy = Vec::new();
    for _ in 0..20 {
        let mut client = world.proxy.client().await?;
        let most = most.to_vec();
        greedy.push(tokio::spawn(async move {
            let sent = client.send_bytes(&most).await;
            (client, sent.is_ok())
        }));
    }
    let (all, refused, longest) = send_for(&mut good, Duration::from_secs(3)).await?;
    assert_eq!(refused, 0, "of {all}");
    assert!(longest < Duration::from_millis(500), "{longest:?}");
    let metrics = world.proxy.admin("GET /metrics").await?;
    let hits = metrics.lines().find(|line| {
        line.starts_with("rocketmq_proxy_limit_hits_total") && line.contains("memory_bytes")
    });
    assert!(hits.is_some_and(|line| !line.ends_with(" 0")), "{metrics}");
    greedy.iter().for_each(|one| one.abort());
    Ok(())
}
