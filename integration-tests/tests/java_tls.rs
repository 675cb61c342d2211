//! Java clients that speak TLS, on a real cluster whose servers speak it too.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode};

use anyhow::{Context, Result, ensure};
use integration_tests::{
    delivery::wait_exactly_once,
    haproxy::{Backend, Balance, Frontend, HaProxy},
    ports::free_port,
    proxy_process::Remora,
    rocketmq::Layout,
    scenario::{ClientBuilder, Scenario},
    suite::Suite,
    target::Target,
    tls::{Authority, Issued},
};

/// One that does not know what a proxy is, and one that does.
const VERSIONS: [&str; 2] = ["4.9.8", "5.5.0"];

/// The client speaks TLS and takes every certificate.
const TLS: &str = "-Dtls.enable=true";

fn main() -> ExitCode {
    let suite = Suite {
        name: "java_tls",
        brokers: &["broker-a", "broker-b"],
        clients: &["4.9.8"],
        parallel: 2,
        expected_warnings: &[],
        // They are about Remora's own certificates.
        only_through_remora: vec![
            "behind_a_balancer",
            "both_ways",
            "plain_and_tls_together",
            "certificates_on_both_sides",
            "whoever_does_not_trust_us_stays_away",
        ],
        tests: vec![
            ("both_ways", both_ways),
            ("behind_a_balancer", behind_a_balancer),
            ("plain_and_tls_together", plain_and_tls_together),
            ("certificates_on_both_sides", certificates_on_both_sides),
            (
                "whoever_does_not_trust_us_stays_away",
                whoever_does_not_trust_us_stays_away,
            ),
        ],
    };
    suite.run_on(Layout {
        speaks_tls: true,
        ..Layout::default()
    })
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// A proxy with a certificate of that authority.
struct Secured {
    remora: Remora,
    authority: Authority,
    dir: PathBuf,
}

impl Secured {
    fn start(it: &Scenario<'_>, mode: &str, more: &str) -> Result<Self> {
        let listen = local(free_port()?);
        let front = format!("[[listener]]\nbind = \"{listen}\"\n");
        Self::start_behind(
            it,
            Target::new(listen, []),
            local(free_port()?),
            &front,
            mode,
            more,
        )
    }

    /// The same, where `front` is the file's beginning and has the listener that `target` leads to.
    fn start_behind(
        it: &Scenario<'_>,
        target: Target,
        admin: SocketAddr,
        front: &str,
        mode: &str,
        more: &str,
    ) -> Result<Self> {
        let binary = it.remora_binary().context("the test is about Remora")?;
        let dir = it.dir("remora")?;
        let authority = Authority::new()?;
        let ca = authority.write(&dir)?;
        let (certificate, key) = authority.issue("mq.example.com")?.write(&dir)?;
        let name_server = &it.cluster().target().name_server;
        let file = format!(
            "name_servers = [\"{name_server}\"]\nadmin = \"{admin}\"\n{front}\n[upstream_tls]\nmode = \"on\"\nverify = \"none\"\n[tls]\nmode = \"{mode}\"\nclient_ca = {ca:?}\n{more}\n\
             [[tls.certificate]]\ncertificate = {certificate:?}\nkey = {key:?}\n"
        );
        Ok(Self {
            remora: Remora::start_file(binary, &dir, &file, admin, target)?,
            authority,
            dir,
        })
    }

    /// A client that must connect here, with the certificates that it trusts and shows.
    fn client<'a>(
        &self,
        client: ClientBuilder<'a>,
        shown: Option<&Issued>,
    ) -> Result<ClientBuilder<'a>> {
        let flag = |client: ClientBuilder<'a>, name: &str, value: &str| {
            client.flag(&format!("-Dtls.{name}={value}"))
        };
        let ca = self.dir.join("ca.crt");
        let mut client = client.target(self.remora.target()).flag(TLS);
        client = flag(client, "test.mode.enable", "false");
        client = flag(client, "client.authServer", "true");
        client = flag(client, "client.trustCertPath", &ca.to_string_lossy());
        if let Some(shown) = shown {
            let dir = self.dir.join("client");
            std::fs::create_dir_all(&dir)?;
            let (certificate, key) = shown.write(&dir)?;
            client = flag(client, "client.certPath", &certificate.to_string_lossy());
            client = flag(client, "client.keyPath", &key.to_string_lossy());
        }
        Ok(client)
    }
}

/// Every request of a client is sent by TLS to Remora and by TLS from there.
fn both_ways(it: &Scenario<'_>) -> Result<()> {
    let secured = Secured::start(it, "required", "")?;
    for version in VERSIONS {
        let topic = format!("{}-{}", it.name("topic"), version.replace('.', "-"));
        it.cluster().create_topic(&topic, 4)?;
        let with_tls = |client: ClientBuilder<'_>| {
            let target = secured.remora.target();
            client.target(target).version(version).flag(TLS).start()
        };
        let group = format!("{topic}-consumers");
        let consumer = with_tls(it.push_consumer(&topic).option("group", &group))?;
        let mut producer = with_tls(it.transaction_producer("commit"))?;
        let mut bodies = producer.send(&topic, "m", 200, &[])?;
        // Larger than what TLS encrypts at once, than a read, and than what is copied.
        for (name, size) in [("middle", "30000"), ("large", "2000000")] {
            bodies.extend(producer.send(&topic, name, 10, &[("size", size)])?);
        }
        bodies.extend(producer.send(
            &topic,
            "t",
            10,
            &[("mode", "transaction"), ("verdict", "commit")],
        )?);
        wait_exactly_once(&[&consumer], &bodies)?;
        it.stop([producer, consumer])?;
    }
    secured.remora.stop(&[])
}

/// Behind a balancer that sends the client's address in a PROXY header. No configuration has the
/// balancer's own address: routes contain it all the same. At the end of the test, clients must
/// have connected to no other address.
fn behind_a_balancer(it: &Scenario<'_>) -> Result<()> {
    let (listen, admin) = (local(free_port()?), local(free_port()?));
    let listener = format!(
        "proxy_protocol_from = [\"127.0.0.0/8\"]\n[[listener]]\nbind = \"{listen}\"\nproxy_protocol = true\n"
    );
    let target = Target::new(listen, []);
    let secured = Secured::start_behind(it, target, admin, &listener, "permissive", "")?;
    let front = |header| -> Result<Frontend> {
        let bind = SocketAddr::from(([127, 0, 0, 3], free_port()?));
        let servers = vec![Backend {
            address: listen,
            admin,
        }];
        Ok(Frontend {
            balance: Balance::Connections,
            bind,
            servers,
            header,
        })
    };
    let fronts = [front("send-proxy")?, front("send-proxy-v2")?];
    let haproxy = HaProxy::start(&it.dir("haproxy")?, &fronts)?;
    for (front, version) in fronts.iter().zip(VERSIONS) {
        let target = Target::new(front.bind, []);
        let topic = format!("{}-{}", it.name("topic"), version.replace('.', "-"));
        it.cluster().create_topic(&topic, 4)?;
        let group = format!("{topic}-consumers");
        let consumer = it.push_consumer(&topic).option("group", &group);
        let consumer = consumer
            .target(&target)
            .version(version)
            .flag(TLS)
            .start()?;
        let mut producer = it.producer().target(&target).version(version).start()?;
        let bodies = producer.send(&topic, "m", 100, &[])?;
        wait_exactly_once(&[&consumer], &bodies)?;
        it.stop([producer, consumer])?;
    }
    haproxy.stop()?;
    secured.remora.stop(&[])
}

/// Members of one group come in different ways.
fn plain_and_tls_together(it: &Scenario<'_>) -> Result<()> {
    let secured = Secured::start(it, "permissive", "")?;
    let target = secured.remora.target();
    let topic = it.topic()?;
    let plain = it.push_consumer(&topic).target(target).start()?;
    let tls = it.push_consumer(&topic).target(target).flag(TLS);
    let tls = tls.version("4.9.8").start()?;
    let mut producer = it.producer().target(target).flag(TLS).start()?;
    let bodies = producer.send(&topic, "m", 200, &[])?;
    wait_exactly_once(&[&plain, &tls], &bodies)?;
    it.stop([producer, plain, tls])?;
    secured.remora.stop(&[])
}

/// Each side shows a certificate and judges the other's.
fn certificates_on_both_sides(it: &Scenario<'_>) -> Result<()> {
    let secured = Secured::start(it, "required", "client_auth = \"required\"")?;
    let topic = it.topic()?;
    let own = secured.authority.issue("client")?;
    for version in VERSIONS {
        let client = secured.client(it.producer().version(version), Some(&own))?;
        let mut producer = client.start()?;
        producer.send(&topic, "m", 20, &[])?;
        it.stop([producer])?;
    }
    let client = secured.client(it.producer(), None)?;
    let mut stranger = client.start()?;
    stranger.expect_brief();
    let sent = stranger.send(&topic, "m", 1, &[]);
    ensure!(sent.is_err(), "a client without a certificate was let in");
    it.stop([stranger])?;
    secured.remora.stop(&["client refused"])
}

fn whoever_does_not_trust_us_stays_away(it: &Scenario<'_>) -> Result<()> {
    let secured = Secured::start(it, "required", "")?;
    let topic = it.topic()?;
    let mut producer = secured.client(it.producer(), None)?.start()?;
    producer.send(&topic, "m", 20, &[])?;
    it.stop([producer])?;
    // The same client, with another authority where it looks for ours.
    Authority::new()?.write(&secured.dir)?;
    let mut stranger = secured.client(it.producer(), None)?.start()?;
    stranger.expect_brief();
    let sent = stranger.send(&topic, "m", 1, &[]);
    ensure!(
        sent.is_err(),
        "a client took a certificate that it must not trust"
    );
    it.stop([stranger])?;
    secured.remora.stop(&["client refused"])
}
