//! A network in which nothing but this machine's end of one cable can be reached.
//!
//! Clients that run in it find Remora there. A broker's own address, which is on the loopback
//! interface of the machine, leads nowhere, as it does where brokers are private.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr},
    path::Path,
    process::Command,
};

use anyhow::{Context, Result, bail, ensure};

/// The prefix of all namespaces' names; the id of the process that made it follows.
const PREFIX: &str = "remora-it-";

/// A network namespace. It is removed when dropped.
#[derive(Debug)]
pub struct Network {
    name: String,
    machine: Ipv4Addr,
}

impl Network {
    /// Makes the namespace, with a cable between it and the machine.
    ///
    /// # Errors
    /// When this is not root, or `ip` is missing.
    pub fn create() -> Result<Self> {
        ensure!(
            rustix::process::geteuid().is_root(),
            "brokers are hidden from a client by a network namespace, which only root can make: run this test as root"
        );
        remove_leftovers();
        let pid = std::process::id();
        let name = format!("{PREFIX}{pid}");
        // A /30 of its own out of 10.88.0.0/16, for runs at the same time.
        let first = (pid % (1 << 14)) * 4;
        let base = u32::from(Ipv4Addr::new(10, 88, 0, 0)) + first;
        let (machine, client) = (Ipv4Addr::from(base + 1), Ipv4Addr::from(base + 2));
        // Interface names are short.
        let (outer, inner) = (format!("rit{pid}"), "eth0");
        ip(&["netns", "add", &name]).context("cannot make a network namespace")?;
        let network = Self { name, machine };
        let name = &*network.name;
        let cable = [
            "link", "add", &outer, "type", "veth", "peer", "name", inner, "netns", name,
        ];
        ip(&cable)?;
        ip(&["address", "add", &format!("{machine}/30"), "dev", &outer])?;
        ip(&["link", "set", &outer, "up"])?;
        let address = format!("{client}/30");
        ip(&["-n", name, "address", "add", &address, "dev", inner])?;
        ip(&["-n", name, "link", "set", inner, "up"])?;
        ip(&["-n", name, "link", "set", "lo", "up"])?;
        Ok(network)
    }

    /// The name, for a client's [target](crate::target::Target).
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The address at which this machine is reached from inside.
    #[must_use]
    pub fn machine(&self) -> IpAddr {
        self.machine.into()
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // The cable is deleted with it. The next run tries again.
        let _ = ip(&["netns", "delete", &self.name]);
    }
}

/// Removes the namespaces of runs whose process has ended.
fn remove_leftovers() {
    for entry in fs::read_dir("/run/netns").into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(pid) = name.strip_prefix(PREFIX) else {
            continue;
        };
        if !Path::new("/proc").join(pid).exists() {
            let _ = ip(&["netns", "delete", &name]);
        }
    }
}

fn ip(arguments: &[&str]) -> Result<()> {
    let output = Command::new("ip")
        .args(arguments)
        .output()
        .context("cannot run ip (make haproxy installs it)")?;
    if !output.status.success() {
        bail!(
            "ip {}: {}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(())
}
