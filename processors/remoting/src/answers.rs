//! Answers that Remora makes in place of a broker.

use remoting_codec::{
    Opaque, RemotingCommand, RequestCode, ResponseCode, SerializeType, UpstreamView,
};
use route_cache::Origin;

/// Replaces an answer that does not fit into the client's outbox: no messages, and the client pulls
/// again immediately, from the offset of its request.
pub(crate) fn ask_again(view: &UpstreamView<'_>, offset: i64) -> RemotingCommand {
    let offset = offset.to_string();
    let code = ResponseCode::PULL_RETRY_IMMEDIATELY;
    let mut again = RemotingCommand::response(code, Opaque::default(), SerializeType::Json)
        .with_remark("the client reads its answers too slowly: read them, then pull again");
    view.ext_fields().visit(|name, value| {
        let value = if name == "nextBeginOffset" {
            offset.clone()
        } else {
            value.text().into_owned()
        };
        again
            .ext_fields
            .push((name.to_owned().into(), value.into()));
    });
    again
}

/// The empty answer to a long poll.
pub(crate) fn nothing_found(origin: &Origin) -> RemotingCommand {
    let answer = |code| RemotingCommand::response(code, origin.opaque, origin.serialize_type);
    match origin.code {
        RequestCode::POP_MESSAGE => answer(ResponseCode::POLLING_TIMEOUT),
        RequestCode::NOTIFICATION => answer(ResponseCode::SUCCESS).with_field("hasMsg", "false"),
        _ => {
            // The client continues from the offset of its request.
            let offset = origin.ticket.offset.to_string();
            answer(ResponseCode::PULL_NOT_FOUND)
                .with_field("nextBeginOffset", offset)
                .with_field("minOffset", "0")
                .with_field("maxOffset", origin.ticket.offset.to_string())
                .with_field("suggestWhichBrokerId", "0")
        }
    }
}
