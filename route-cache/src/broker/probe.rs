//! What Remora asks of its own accord, to use or to try a connection.

use bytes::Bytes;
use remoting_codec::{RemotingCommand, RequestCode};

use crate::config::UpstreamConfig;

/// A heartbeat with no group in it, which registers nothing and is answered.
pub(super) fn probe(config: &UpstreamConfig) -> Bytes {
    let body = Bytes::from_static(
        br#"{"clientID":"remora-keep-alive","producerDataSet":[],"consumerDataSet":[]}"#,
    );
    let heartbeat = RemotingCommand::request(RequestCode::HEART_BEAT).with_body(body);
    config.signed(heartbeat).to_bytes()
}
