//! The hot paths, many times: `scripts/instructions.sh` counts their instructions.

use anyhow::{Context, Result};
use benches::hot_path;
use remoting_codec::SerializeType;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let usage = "usage: hot-path json|binary|grpc TIMES";
    let kind = arguments.next().context(usage)?;
    let times: u32 = arguments.next().context(usage)?.parse()?;
    match kind.as_str() {
        "json" => hot_path::relayed(SerializeType::Json, times),
        "binary" => hot_path::relayed(SerializeType::RocketMq, times),
        "grpc" => hot_path::grpc(times),
        _ => anyhow::bail!(usage),
    }
}
