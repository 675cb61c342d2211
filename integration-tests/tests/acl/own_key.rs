//! What Remora asks in its own name, with a key of its own and without.

use std::{fs, path::PathBuf, time::Duration};

use anyhow::{Context, Result, ensure};
use integration_tests::{
    delivery::DELIVERY_LIMIT,
    java_client::JavaClient,
    ports::free_port,
    proxy_process::Remora,
    raw::RawConnection,
    requests::wait_answered,
    rocketmq::{Key, ROOT, Server},
    scenario::Scenario,
    suite::TestFn,
    target::Target,
    wait::{now_ms, wait_until},
};
use remoting_codec::{RemotingCommand, RequestCode, ResponseCode};
use route_cache::{Credentials, Secret};

use crate::users::{MEMBER, REMORA, make_users};

pub(crate) const TESTS: &[(&str, TestFn)] = &[
    ("own_key_for_replies", own_key_for_replies),
    ("own_key_gives_back_what_was_popped", gives_back),
];

/// How long messages that were popped for a client that has disconnected stay hidden, in
/// milliseconds, unless they are given back.
const HIDDEN: &str = "25000";
/// How soon messages that were given back are popped again: brokers look each second, and the
/// machine is busy.
const GIVEN_BACK: Duration = Duration::from_secs(12);

/// A Remora with a key, which logs all that it can.
struct Keyed {
    remora: Remora,
    log: PathBuf,
}

impl Keyed {
    fn start(it: &Scenario<'_>) -> Result<Self> {
        let dir = it.dir("remora-with-key")?;
        let secret = dir.join("secret-key");
        fs::write(&secret, REMORA.secret)?;
        let config = dir.join("remora.toml");
        let Key { access, .. } = REMORA;
        let file = secret.display();
        let text =
            format!("[credentials]\naccess_key = \"{access}\"\nsecret_key_file = \"{file}\"\n");
        fs::write(&config, text)?;
        let config = config.to_str().context("a path that is text")?;
        let remora = Remora::start_with(
            it.remora_binary().context("the test is about Remora")?,
            &dir,
            &it.cluster().target().name_server,
            ([127, 0, 0, 1], free_port()?).into(),
            &[],
            &["--config", config, "--log", "trace"],
        )?;
        let log = remora.process().log().to_owned();
        Ok(Self { remora, log })
    }

    fn target(&self) -> &Target {
        self.remora.target()
    }

    /// Stops it; its log must not contain its key.
    fn stop(self) -> Result<()> {
        self.remora.stop(&[])?;
        let log = fs::read_to_string(&self.log)?;
        ensure!(log.contains("DEBUG"), "it has not logged at level DEBUG");
        ensure!(!log.contains(REMORA.secret), "its key is in its log");
        Ok(())
    }
}

/// Messages that were popped for a client that has disconnected are popped again immediately with a
/// key, and after their own time without.
fn gives_back(it: &Scenario<'_>) -> Result<()> {
    make_users(it)?;
    let topic = it.topic()?;
    let keyed = Keyed::start(it)?;
    let mut producer = it.producer().key(MEMBER).start()?;
    let mut popper = it.popper(&topic).key(MEMBER).start()?;
    for (target, is_given_back) in [(keyed.target(), true), (it.target(), false)] {
        let mut doomed = it.popper(&topic).key(MEMBER).target(target).start()?;
        let waits = [
            ("broker", "broker-a"),
            ("poll-ms", "20000"),
            ("invisible-ms", HIDDEN),
        ];
        doomed.begin("pop", &waits)?;
        // The broker has it wait for messages.
        let broker = it.cluster().brokers().first().context("a broker")?;
        wait_until("the broker to have it wait", DELIVERY_LIMIT, || {
            Ok((waiting(broker, &topic, &it.name("poppers"))? > 0).then_some(()))
        })?;
        it.kill(doomed)?;
        let name = is_given_back.to_string();
        let sent = producer.send(&topic, &name, 16, &[("mode", "selector"), ("shards", "8")])?;
        let begun = now_ms();
        let mut here = Vec::new();
        let came = wait_until("what was given back", GIVEN_BACK, || {
            here.extend(bodies(&mut popper, "broker-a")?);
            Ok((here.len() == sent.len() / 2).then_some(()))
        });
        let took = now_ms() - begun;
        ensure!(
            came.is_ok() == is_given_back,
            "given back: {is_given_back}, and of {} there were {here:?} after {took} ms",
            sent.len() / 2
        );
        if !is_given_back {
            // They were popped, then, and are popped again after their own time.
            wait_until("what was hidden", 2 * DELIVERY_LIMIT, || {
                here.extend(bodies(&mut popper, "broker-a")?);
                Ok((here.len() == sent.len() / 2).then_some(()))
            })?;
        }
    }
    it.stop([producer, popper])?;
    keyed.stop()
}

/// Takes what a broker has, and acknowledges it.
fn bodies(popper: &mut JavaClient, broker: &str) -> Result<Vec<String>> {
    let popped = popper.run("pop", &[("broker", broker)])?;
    let mut bodies = Vec::new();
    for message in popped.as_array().context("a list")? {
        let text = |key| message.get(key)?.as_str();
        let handle = text("handle").context("a handle")?;
        popper.run("ack", &[("handle", handle)])?;
        bodies.push(text("body").context("a body")?.to_owned());
    }
    Ok(bodies)
}

/// How many requests a broker has wait for messages of the topic.
fn waiting(broker: &Server, topic: &str, group: &str) -> Result<u32> {
    let fields = [
        ("topic", topic),
        ("consumerGroup", group),
        ("queueId", "-1"),
    ];
    let answer = ask(broker, RequestCode::POLLING_INFO, &fields)?;
    Ok(answer.field("pollingNum").unwrap_or("0").parse()?)
}

/// A client that sends requests is also in a group of Remora's own, with a key.
fn own_key_for_replies(it: &Scenario<'_>) -> Result<()> {
    // A client leaves one group when it joins the next; it joins the last after the other client
    // has had its turn.
    const GROUPS: [&str; 3] = ["REMORA_REPLY_1", "REMORA_REPLY_2", "REMORA_REPLY_3"];
    make_users(it)?;
    let topic = it.topic()?;
    let keyed = Keyed::start(it)?;
    let replier = it.replier(&topic).key(MEMBER).start()?;
    let requester = it.requester().key(MEMBER).option("heartbeat-ms", 1000);
    let mut with_key = requester.clone().target(keyed.target()).start()?;
    let mut without = requester.start()?;
    wait_answered(&mut with_key, &topic)?;
    wait_answered(&mut without, &topic)?;
    let known = client_id(&mut with_key)?;
    let unknown = client_id(&mut without)?;
    for broker in it.cluster().brokers() {
        wait_until("the last group for replies", DELIVERY_LIMIT, || {
            let mut is_in_last = false;
            for group in GROUPS {
                let fields = [("producerGroup", group)];
                let answer = ask(broker, RequestCode::GET_PRODUCER_CONNECTION_LIST, &fields)?;
                let members = String::from_utf8_lossy(&answer.body).into_owned();
                ensure!(!members.contains(&unknown), "without a key: {members}");
                is_in_last = answer.code == ResponseCode::SUCCESS.0 && members.contains(&known);
            }
            Ok(is_in_last.then_some(()))
        })?;
    }
    it.stop([with_key, without, replier])?;
    keyed.stop()
}

fn client_id(client: &mut JavaClient) -> Result<String> {
    let id = client.run("client-id", &[])?;
    Ok(id.as_str().context("an id is text")?.to_owned())
}

/// Asks a broker itself, with the key of a user that may ask everything.
fn ask(
    broker: &Server,
    code: RequestCode,
    fields: &[(&'static str, &str)],
) -> Result<RemotingCommand> {
    let request = fields
        .iter()
        .fold(RemotingCommand::request(code), |request, (name, value)| {
            request.with_field(*name, (*value).to_owned())
        });
    let Key { access, secret } = ROOT;
    let signed = Credentials::new(access, Secret::new(secret)).sign(request);
    RawConnection::connect(broker.address())?.call(&signed)
}
