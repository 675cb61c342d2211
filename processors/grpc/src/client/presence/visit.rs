//! Clients that receive without a Telemetry stream: Go opens a new one up to five minutes after its
//! old one was cut.

use std::time::Duration;

use tokio::time::Instant;

use super::settings::Declared;
use super::stream::{PRESENT_MAX, Present, version_of};
use crate::client::Call;

/// How long a client without a stream counts as present after it has received.
const VISIT: Duration = Duration::from_secs(60);

/// A client that receives messages which it may hold for long, and has no stream here: brokers must
/// know that it lives, or else another replica gives back what it has got there before.
pub(crate) fn visit(call: &Call<'_>, group: &str, topic: &str) {
    let connection = call.connection;
    if let Some(visitor) = connection.visitors.borrow().get(call.client_id) {
        return visitor.seen.set(Instant::now());
    }
    if connection.visitors.borrow().len() >= PRESENT_MAX || connection.is_leaving() {
        return;
    }
    let declared = Declared {
        group: Some(group.to_owned()),
        subscribes: vec![(topic.to_owned(), "TAG", "*".to_owned())],
        consume_type: "CONSUME_PASSIVELY",
        ..Declared::default()
    };
    let present = Present::new(call, None);
    let version = version_of(&present.version);
    // Of version 0, so that it replaces no subscription of the group.
    let declaration = declared.declaration(call.client_id, present.language, version, 0);
    *present.declared.borrow_mut() = declared;
    let declared = declaration.and_then(|declaration| present.member.declare(declaration));
    if declared.is_err() {
        return;
    }
    let mut visitors = connection.visitors.borrow_mut();
    visitors.insert(call.client_id.into(), present.clone());
    drop(visitors);
    let every = connection.settings.announce_every;
    tokio::task::spawn_local(async move {
        while present.is_visiting() {
            present.announce().await;
            tokio::select! {
                () = tokio::time::sleep(every) => {}
                () = present.ended.notified() => break,
            }
        }
        present.finish();
    });
}

impl Present {
    /// Whether a client without a stream has received lately, and has none meanwhile.
    fn is_visiting(&self) -> bool {
        let has_stream = || {
            let connection = self.connection();
            connection.is_none_or(|it| it.find_present(&self.client_id).is_some())
        };
        self.seen.get().elapsed() < VISIT && !has_stream()
    }
}
