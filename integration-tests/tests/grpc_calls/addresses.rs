//! The addresses of clients, and those that they get.

use std::net::{Ipv6Addr, SocketAddr};

use anyhow::{Context as _, Result, ensure};
use grpc::proto::{
    Address, AddressScheme, Code, Endpoints, MessageType, Permission, QueryAssignmentRequest,
    QueryAssignmentResponse, QueryRouteRequest, QueryRouteResponse,
};
use integration_tests::grpc_client::GrpcClient;
use integration_tests::ports::free_port;
use integration_tests::proxy_process::Remora;
use integration_tests::scenario::Scenario;
use integration_tests::suite::TestFn;

use crate::common::{
    acknowledge, begin, client, expect, message, receive_all, resource, run, send_ok,
};

pub(crate) const TESTS: &[(&str, TestFn)] = &[
    ("routes_have_the_address_that_the_client_uses", routes),
    ("messages_of_a_client_over_ipv6_are_consumed", over_ipv6),
];

/// Complaints 11 and 12.
fn routes(it: &Scenario<'_>) -> Result<()> {
    let topic = it.topic()?;
    run(async {
        let client = client(it).await?;
        for (host, scheme) in [
            ("192.0.2.7", AddressScheme::Ipv4),
            ("2001:db8::7", AddressScheme::Ipv6),
            ("mq.example.com", AddressScheme::DomainName),
        ] {
            let used = Endpoints {
                scheme: AddressScheme::Unspecified.into(),
                addresses: vec![Address {
                    host: host.to_owned(),
                    port: 18_081,
                }],
            };
            let request = QueryRouteRequest {
                topic: resource(&topic),
                endpoints: Some(used.clone()),
            };
            let route: QueryRouteResponse = client.unary("QueryRoute", &request).await?;
            expect(route.status.as_ref(), Code::Ok)?;
            ensure!(
                route.message_queues.len() == 8,
                "{} queues",
                route.message_queues.len()
            );
            for queue in &route.message_queues {
                ensure!(
                    queue.permission == i32::from(Permission::ReadWrite),
                    "{queue:?}"
                );
                let types = [i32::from(MessageType::Normal)];
                ensure!(queue.accept_message_types == types, "{queue:?}");
                let at = queue
                    .broker
                    .as_ref()
                    .and_then(|broker| broker.endpoints.as_ref());
                let at = at.context("a broker without an address")?;
                ensure!(at.scheme == i32::from(scheme), "{at:?}");
                ensure!(at.addresses == used.addresses, "{at:?}");
            }
            let request = QueryAssignmentRequest {
                topic: resource(&topic),
                group: resource(&it.name("group")),
                endpoints: Some(used),
            };
            let all: QueryAssignmentResponse = client.unary("QueryAssignment", &request).await?;
            expect(all.status.as_ref(), Code::Ok)?;
            let ids: Vec<i32> = all
                .assignments
                .iter()
                .filter_map(|one| Some(one.message_queue.as_ref()?.id))
                .collect();
            ensure!(ids == [-1, -1], "{ids:?}");
        }
        let request = QueryRouteRequest {
            topic: resource(&it.name("no-such-topic")),
            endpoints: None,
        };
        let route: QueryRouteResponse = client.unary("QueryRoute", &request).await?;
        expect(route.status.as_ref(), Code::TopicNotFound)
    })
}

/// Complaint 13: a broker fails on the born host `[v6]:port`; it gets the address alone. Clients of
/// the remoting protocol read such messages, too.
fn over_ipv6(it: &Scenario<'_>) -> Result<()> {
    let topic = it.topic()?;
    let classic = it.push_consumer(&topic).start()?;
    let binary = it.remora_binary().context("no binary")?;
    let name_server = &it.cluster().target().name_server;
    let listen = SocketAddr::from((Ipv6Addr::LOCALHOST, free_port()?));
    let remora = Remora::start_at(binary, &it.dir("over-ipv6")?, name_server, listen)?;
    run(async {
        let client = GrpcClient::connect(listen, &it.name("client")).await?;
        let group = it.name("group");
        begin(it, &client, &group, &topic).await?;
        send_ok(&client, message(&topic, "m")).await?;
        let got = receive_all(it, &client, &group, &topic, 1).await?;
        let first = got.first().context("no message")?;
        let system = first.system_properties.as_ref().context("no properties")?;
        ensure!(system.born_host == "::1", "{system:?}");
        let answer = acknowledge(&client, &group, &topic, first).await?;
        expect(answer.status.as_ref(), Code::Ok)
    })?;
    let received = integration_tests::wait::wait_until(
        "the message",
        std::time::Duration::from_secs(30),
        || Ok(Some(classic.received()).filter(|received| !received.is_empty())),
    )?;
    ensure!(received.iter().all(|one| one.body == "m"), "{received:?}");
    it.stop([classic])?;
    remora.stop(&[])
}
