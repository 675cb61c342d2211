//! The users of the suite's brokers.

use anyhow::{Result, ensure};
use integration_tests::{rocketmq::Key, scenario::Scenario};
use parking_lot::Mutex;

/// May send to every topic and consume it, in every group.
pub(crate) const MEMBER: Key = Key {
    access: "member",
    secret: "member-secret",
};
/// May do nothing.
pub(crate) const GUEST: Key = Key {
    access: "guest",
    secret: "guest-secret",
};
/// Remora itself: may consume, because giving messages back needs that.
pub(crate) const REMORA: Key = Key {
    access: "remora",
    secret: "a-secret-of-remora-alone",
};

/// Makes the users, once, with the cluster's own tool.
pub(crate) fn make_users(it: &Scenario<'_>) -> Result<()> {
    static MADE: Mutex<bool> = Mutex::new(false);
    let mut made = MADE.lock();
    if *made {
        return Ok(());
    }
    for Key { access, secret } in [MEMBER, GUEST, REMORA] {
        let user = ["createUser", "-c", "DefaultCluster", "-t", "Normal"];
        tool(it, &[&user[..], &["-u", access, "-p", secret]].concat())?;
    }
    for (Key { access, .. }, actions) in [(MEMBER, "Pub,Sub,Get"), (REMORA, "Sub")] {
        let rights = ["createAcl", "-c", "DefaultCluster", "-d", "Allow"];
        let what = ["-r", "Topic:*,Group:*", "-a", actions];
        let subject = format!("User:{access}");
        tool(it, &[&rights[..], &what, &["-s", &subject]].concat())?;
    }
    *made = true;
    Ok(())
}

/// Runs the administrator's tool at each broker.
fn tool(it: &Scenario<'_>, arguments: &[&str]) -> Result<()> {
    let output = it.mqadmin(it.cluster().target(), arguments)?;
    let brokers = it.cluster().brokers().len();
    ensure!(
        output.matches("success").count() == brokers,
        "{arguments:?}: {output}"
    );
    Ok(())
}
