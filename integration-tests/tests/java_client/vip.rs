//! Clients that use the VIP channel: they send to the port minus two of what routes name.

use std::net::SocketAddr;

use anyhow::Result;
use integration_tests::{
    delivery::wait_exactly_once,
    ports::{free_port, free_ports},
    proxy_process::Remora,
    scenario::{ClientBuilder, Scenario},
    suite::TestFn,
    target::Target,
};

pub(crate) const TESTS: &[(&str, TestFn)] = &[("vip_channel", vip_channel)];

const MESSAGES: usize = 40;

fn vip_channel(it: &Scenario<'_>) -> Result<()> {
    let Some(binary) = it.remora_binary() else {
        // These brokers' ports are next to each other.
        return Ok(());
    };
    let local = |port| SocketAddr::from(([127, 0, 0, 1], port));
    let vip = free_ports(3)?;
    let (vip, main, admin) = (local(vip), local(vip + 2), local(free_port()?));
    let text = format!(
        "name_servers = [\"{}\"]\nadmin = \"{admin}\"\n[[listener]]\nbind = \"{main}\"\nvip = true\n",
        it.cluster().target().name_server
    );
    let target = Target::new(main, [vip]);
    let remora = Remora::start_file(binary, &it.dir("remora")?, &text, admin, target)?;
    let topic = it.topic()?;
    let of = |client: ClientBuilder<'_>| {
        client
            .flag("-Dcom.rocketmq.sendMessageWithVIPChannel=true")
            .target(remora.target())
            .start()
    };
    let consumer = of(it.push_consumer(&topic))?;
    let mut producer = of(it.producer())?;
    let sent = producer.send(&topic, "m", MESSAGES, &[])?;
    wait_exactly_once(&[&consumer], &sent)?;
    it.stop([producer, consumer])?;
    remora.stop(&[])
}
