//! Counts the instructions of the most expensive turns that a peer can cause: `scripts/turns.sh`
//! runs it.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};

fn main() -> Result<ExitCode> {
    let mut arguments = std::env::args().skip(1);
    let usage = "usage: turns REMORA [PART OF A NAME [FILE FOR callgrind_annotate]]";
    let remora = PathBuf::from(arguments.next().context(usage)?);
    let part = arguments.next().unwrap_or_default();
    let is_within = benches::turns::run(&remora, &part, arguments.next().map(PathBuf::from))?;
    Ok(match is_within {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}
