//! Requests and replies that take different ways.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use integration_tests::{
    balancer::Balancer,
    ports::free_port,
    proxy_process::Remora,
    requests::{request, wait_answered, wait_answered_within},
    scenario::Scenario,
    suite::TestFn,
};

pub(crate) const TESTS: &[(&str, TestFn)] = &[
    ("requests_cross_replicas", requests_cross_replicas),
    (
        "requester_moves_to_another_replica",
        requester_moves_to_another_replica,
    ),
];

/// How soon a requester that has lost its connection must be answered again.
const MOVE_LIMIT: Duration = Duration::from_secs(10);

/// Each of two replicas and a broker itself, as the way of the requester and of the replier.
fn requests_cross_replicas(it: &Scenario<'_>) -> Result<()> {
    let binary = it.remora_binary().context("the test is about Remora")?;
    let name_server = &it.cluster().target().name_server;
    let other = Remora::start(binary, &it.dir("remora")?, name_server)?;
    let (one, other_way, direct) = (it.target(), other.target(), it.cluster().target());
    let ways = [
        ("one-other", one, other_way),
        ("other-direct", other_way, direct),
        ("direct-one", direct, one),
    ];
    for (name, of_requester, of_replier) in ways {
        let topic = it.name(name);
        it.cluster().create_topic(&topic, 2)?;
        let replier = it
            .replier(&topic)
            .option("group", &topic)
            .target(of_replier)
            .start()?;
        let mut requester = it.requester().target(of_requester).start()?;
        wait_answered(&mut requester, &topic)?;
        for mode in ["sync", "async", "selector"] {
            for number in 0..8 {
                let body = format!("{mode}-{number}");
                request(&mut requester, &topic, &body, mode, number)
                    .with_context(|| format!("requester and replier: {name}"))?;
            }
        }
        let failures = replier.send_failures();
        ensure!(failures.is_empty(), "{name}: replies failed: {failures:?}");
        it.stop([requester, replier])?;
    }
    other.stop(&[])
}

/// The replica that a requester has left takes its leave of the brokers; they must know it all the
/// same.
fn requester_moves_to_another_replica(it: &Scenario<'_>) -> Result<()> {
    let binary = it.remora_binary().context("the test is about Remora")?;
    // This balancer moves connections when the test asks for it.
    let balancer = Balancer::start()?;
    let advertise = ["--advertise", &balancer.address().to_string()];
    let (mut remoras, mut listen) = (Vec::new(), Vec::new());
    for name in ["first", "second"] {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
        let name_server = &it.cluster().target().name_server;
        let dir = it.dir(name)?;
        let remora = Remora::start_with(binary, &dir, name_server, address, &[], &advertise)?;
        remoras.push(remora);
        listen.push(address);
    }
    let topic = it.topic()?;
    let replier = it.replier(&topic).target(it.cluster().target()).start()?;
    let [first, second] = listen[..] else {
        bail!("there are two");
    };
    balancer.serve(&[first]);
    let target = balancer.target();
    let mut requester = it.requester().target(target).start()?;
    wait_answered(&mut requester, &topic)?;
    for (round, server) in [second, first, second].into_iter().enumerate() {
        balancer.serve(&[server]);
        balancer.disconnect();
        wait_answered_within(&mut requester, &topic, "sync", MOVE_LIMIT)
            .with_context(|| format!("move {round}"))?;
        for number in 0..20 {
            request(
                &mut requester,
                &topic,
                &format!("{round}-{number}"),
                "sync",
                number,
            )
            .with_context(|| format!("after move {round}"))?;
        }
    }
    it.stop([requester, replier])?;
    remoras.into_iter().try_for_each(|remora| remora.stop(&[]))
}
