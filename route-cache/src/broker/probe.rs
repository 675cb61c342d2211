//! What Remora asks of its own accord, to use or to try a connection.

use bytes::Bytes;
use remoting_codec::{RemotingCommand, RequestCode};

use crate::config::UpstreamConfig;

/// What a broker answers whatever it is busy with: it checks a filter that is not there. That needs no group and no topic,
/// leaves no line in its log, and has threads that heartbeats do not use, which may wait for one another
/// (`BrokerController.registerProcessor`: `clientManageExecutor`).
pub(super) fn probe(config: &UpstreamConfig) -> Bytes {
    let body = Bytes::from_static(br#"{"clientId":"remora-probe","group":"remora-probe"}"#);
    let request = RemotingCommand::request(RequestCode::CHECK_CLIENT_CONFIG).with_body(body);
    config.signed(request).to_bytes()
}
