//! The codec's share of a relayed request.
//!
//! A request is found in the stream, its head and its fields are read and it is written out under
//! another opaque; and so is its answer, but for the fields.

use std::hint::black_box;

use anyhow::{Context, Result, ensure};
use remoting_codec::{
    CommandView, FieldKind, FieldSpec, Fields, FrameLimits, RemotingCommand, ResponseCode,
    SerializeType, frame_length,
};

use crate::requests::send;

/// What a send's processor reads.
static FIELDS: &[FieldSpec] = &[
    FieldSpec::optional("n", FieldKind::Text),
    FieldSpec::optional("b", FieldKind::Text),
    FieldSpec::optional("a", FieldKind::Text),
    FieldSpec::optional("f", FieldKind::Int),
    FieldSpec::optional("i", FieldKind::Text),
];

/// Relays a send of 128 bytes and its answer so many times.
///
/// # Errors
/// When they cannot be read.
pub fn relayed(serialize_type: SerializeType, times: u32) -> Result<()> {
    let times = i32::try_from(times)?;
    let request = send("broker-a", "BenchmarkTest", 2, 128, serialize_type).to_bytes();
    let answer = RemotingCommand::response(ResponseCode::SUCCESS, 4711, SerializeType::Json)
        .with_field("msgId", "7F00000100002A9F0000000000012345")
        .with_field("queueId", "2")
        .with_field("queueOffset", "12345")
        .with_field("transactionId", "7F00000100002A9F0000000000000000")
        .with_field("MSG_REGION", "DefaultRegion")
        .with_field("TRACE_ON", "true")
        .to_bytes();
    let mut out = Vec::with_capacity(4096);
    let mut written = 0;
    for opaque in 1_000_000_000..1_000_000_000 + times {
        out.clear();
        relay(black_box(&request), opaque, true, &mut out)?;
        relay(black_box(&answer), opaque, false, &mut out)?;
        written += black_box(&out).len();
    }
    ensure!(written >= times as usize, "nothing was written");
    Ok(())
}

fn relay(frame: &[u8], opaque: i32, fields: bool, out: &mut Vec<u8>) -> Result<()> {
    let length = frame_length(frame, FrameLimits::default())?;
    let frame = length.and_then(|length| frame.get(..length));
    let frame = frame.context("a whole frame")?;
    if fields {
        let view = CommandView::decode(frame)?;
        let fields = Fields::read(view.ext_fields(), FIELDS)?;
        ensure!(black_box(fields).value(0).is_some(), "the broker is named");
        pass_on(&view, opaque, out);
    } else {
        pass_on(&CommandView::decode_upstream(frame)?, opaque, out);
    }
    Ok(())
}

fn pass_on<O>(view: &CommandView<'_, O>, opaque: i32, out: &mut Vec<u8>) {
    view.encode_head_with_opaque(opaque, out);
    out.extend_from_slice(view.body());
}
