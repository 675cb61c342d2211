//! The kernel watches connections to servers: a connection that falls silent is noticed although
//! nothing is read from it.

use std::fs;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use anyhow::Result;
use remoting_codec::ResponseCode;
use rustix::net::getpeername;
use rustix::net::sockopt::{
    socket_keepalive, tcp_keepcnt, tcp_keepidle, tcp_keepintvl, tcp_user_timeout,
};
use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};

use crate::World;
use crate::membership::member;
use crate::relay::send;

/// By then a connection that no longer works must have been noticed.
const NOTICED_MS: u128 = 10_000;

/// The sockets of this process that lead there. Nothing but the proxy connects to servers.
fn sockets_to(address: SocketAddr) -> Result<Vec<OwnedFd>> {
    let own = pidfd_open(getpid(), PidfdFlags::empty())?;
    let mut sockets = Vec::new();
    for entry in fs::read_dir("/proc/self/fd")? {
        let number = entry?.file_name().to_string_lossy().parse()?;
        // Others open and close files meanwhile.
        let Ok(file) = pidfd_getfd(&own, number, PidfdGetfdFlags::empty()) else {
            continue;
        };
        let peer = getpeername(&file).ok().flatten();
        if peer.and_then(|peer| SocketAddr::try_from(peer).ok()) == Some(address) {
            sockets.push(file);
        }
    }
    Ok(sockets)
}

#[tokio::test]
async fn the_kernel_watches_data_connections_lanes_and_name_servers() -> Result<()> {
    let world = World::start().await?;
    let mut client = world.proxy.client().await?;
    let sent = client.call(&send(1, "one", "broker-a")).await?;
    assert_eq!(sent.code, ResponseCode::SUCCESS.0);
    let data = sockets_to(world.a.address())?.len();
    assert!(data > 0, "a connection for data");
    let _member = member(&world, "c1").await?;
    let with_lanes = sockets_to(world.a.address())?;
    assert!(with_lanes.len() > data, "a lane beside {data} for data");
    let name_server = sockets_to(world.name_server.address())?;
    assert!(!name_server.is_empty(), "a connection to the name server");
    for socket in with_lanes.iter().chain(&name_server) {
        let unacknowledged = tcp_user_timeout(socket)?;
        assert!((1..NOTICED_MS).contains(&u128::from(unacknowledged)));
        assert!(socket_keepalive(socket)?);
        let idle = tcp_keepidle(socket)? + tcp_keepintvl(socket)? * tcp_keepcnt(socket)?;
        assert!(idle.as_millis() <= NOTICED_MS, "{idle:?}");
    }
    Ok(())
}
