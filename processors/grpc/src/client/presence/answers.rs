//! What Remora answers brokers that have asked a client.

use std::time::Duration;

use serde_json::json;

use crate::proto::{Code, Status};

/// The result of a message that was consumed for a test (`ConsumeMessageDirectlyResult`).
pub(super) fn verified(status: &Status, time: Duration) -> Vec<u8> {
    let result = match status.code == i32::from(Code::Ok) {
        true => "CR_SUCCESS",
        false => "CR_LATER",
    };
    let value = json!({
        "autoCommit": true,
        "consumeResult": result,
        "order": false,
        "remark": status.message,
        "spentTimeMills": u64::try_from(time.as_millis()).unwrap_or(u64::MAX),
    });
    value.to_string().into_bytes()
}
