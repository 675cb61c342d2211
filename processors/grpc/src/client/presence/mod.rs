//! Clients that are present: those with an open Telemetry stream. Each is registered at the brokers
//! of its topics over lanes of its own, so that consoles see it, and brokers can ask it.
//!
//! Nothing else depends on it: a call is served whether or not its client is present here.

mod answers;
mod ending;
mod holdings;
mod lite;
mod pushes;
mod settings;
mod stream;
mod visit;

use crate::client::Call;
use crate::error::CallError;
use crate::proto::{
    Code, HeartbeatRequest, HeartbeatResponse, NotifyClientTerminationRequest,
    NotifyClientTerminationResponse, Status,
};

pub(crate) use lite::sync_lite;
pub(crate) use stream::PRESENT_MAX;
pub use stream::Present;
pub(crate) use stream::telemetry;
pub(crate) use visit::visit;

/// A heartbeat is answered and nothing else: it is the Telemetry stream that keeps the client
/// registered.
pub(crate) async fn heartbeat(
    call: &Call<'_>,
    request: HeartbeatRequest,
) -> Result<HeartbeatResponse, CallError> {
    if request
        .group
        .as_ref()
        .is_some_and(|group| !group.name.is_empty())
    {
        call.names.group(request.group.as_ref())?;
    }
    Ok(HeartbeatResponse {
        status: Some(Status::of(Code::Ok)),
    })
}

/// The client leaves: brokers learn it now.
pub(crate) async fn terminate(
    call: &Call<'_>,
    _request: NotifyClientTerminationRequest,
) -> Result<NotifyClientTerminationResponse, CallError> {
    if let Some(present) = call.connection.find_present(call.client_id) {
        present.terminate();
    }
    Ok(NotifyClientTerminationResponse {
        status: Some(Status::of(Code::Ok)),
    })
}
