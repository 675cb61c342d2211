//! Questions that brokers ask a client, and what Remora answers them.

use std::rc::Rc;

use bytes::Bytes;
use remoting_codec::{
    CommandView, RemotingCommand, ResponseCode, SerializeType, UpstreamOpaque, UpstreamView,
};
use remoting_transport::{Account, Frame};
use route_cache::Connection;
use serde_json::json;

/// The property of GET_CONSUMER_RUNNING_INFO's answer by which Remora marks its own clients.
pub const PROTOCOL_PROPERTY: &str = "PROP_CLIENT_PROTOCOL";

/// A broker that waits for an answer.
#[derive(Debug)]
pub struct Asker {
    from: Rc<Connection>,
    opaque: UpstreamOpaque,
    serialize_type: SerializeType,
}

impl Asker {
    /// The broker that has asked over that connection; `None` if it wants no answer.
    #[must_use]
    pub fn of(from: &Rc<Connection>, question: &UpstreamView<'_>) -> Option<Self> {
        (!question.is_oneway()).then(|| Self {
            from: from.clone(),
            opaque: question.opaque(),
            serialize_type: question.serialize_type(),
        })
    }

    /// Answers with that code, and a body or a remark.
    pub fn answer(
        &self,
        code: ResponseCode,
        remark: Option<String>,
        body: impl Into<Bytes>,
        account: &Rc<Account>,
    ) {
        let answer = RemotingCommand::response(code, 0, self.serialize_type).with_body(body);
        let answer = match remark {
            Some(remark) => answer.with_remark(remark),
            None => answer,
        };
        let frame = answer.to_bytes();
        if let Ok(view) = CommandView::decode(&frame) {
            self.from
                .respond(&Frame::of(&frame), &view, self.opaque, account);
        }
    }

    /// Answers that the client cannot do what it is asked for.
    pub fn refuse(&self, remark: &str, account: &Rc<Account>) {
        let code = ResponseCode::REQUEST_CODE_NOT_SUPPORTED;
        self.answer(code, Some(remark.to_owned()), Bytes::new(), account);
    }
}

/// What is known of a consumer of that protocol (`ConsumerRunningInfo`), with its threads if it has
/// sent them.
#[must_use]
pub fn running_info(
    protocol: &str,
    version: &str,
    consume_type: &str,
    stack: Option<&str>,
) -> Vec<u8> {
    let value = json!({
        "jstack": stack,
        "mqPopTable": {},
        "mqTable": {},
        "properties": {
            PROTOCOL_PROPERTY: protocol,
            "PROP_CLIENT_VERSION": version,
            "PROP_CONSUME_TYPE": consume_type,
            "PROP_CONSUMEORDERLY": "false",
        },
        "statusTable": {},
        "subscriptionSet": [],
    });
    value.to_string().into_bytes()
}
