//! What Remora answers itself in the place of a broker.

use remoting_codec::{
    Opaque, RemotingCommand, RequestCode, ResponseCode, SerializeType, UpstreamView,
};
use route_cache::Origin;

/// In the place of an answer that the client has no room for: nothing found, ask again at once from
/// the offset that was asked for.
pub(crate) fn ask_again(view: &UpstreamView<'_>, offset: i64) -> RemotingCommand {
    let offset = offset.to_string();
    let code = ResponseCode::PULL_RETRY_IMMEDIATELY;
    let mut again = RemotingCommand::response(code, Opaque::default(), SerializeType::Json)
        .with_remark("the client does not read what it has pulled");
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
            // The offset to go on from is the one that was asked for.
            let offset = origin.ticket.offset.to_string();
            answer(ResponseCode::PULL_NOT_FOUND)
                .with_field("nextBeginOffset", offset)
                .with_field("minOffset", "0")
                .with_field("maxOffset", origin.ticket.offset.to_string())
                .with_field("suggestWhichBrokerId", "0")
        }
    }
}
