//! Probes: requests of Remora's own that use or test a connection.

use bytes::Bytes;
use remoting_codec::{RemotingCommand, RequestCode};

use crate::config::UpstreamConfig;

/// A request that a broker answers however busy it is: CHECK_CLIENT_CONFIG without a filter. It
/// needs no group and no topic, leaves no line in the broker's log, and is served by other threads
/// than heartbeats, which may wait for one another (`BrokerController.registerProcessor`:
/// `clientManageExecutor`).
pub(super) fn probe(config: &UpstreamConfig) -> Bytes {
    let body = Bytes::from_static(br#"{"clientId":"remora-probe","group":"remora-probe"}"#);
    let request = RemotingCommand::request(RequestCode::CHECK_CLIENT_CONFIG).with_body(body);
    config.signed(request).to_bytes()
}
