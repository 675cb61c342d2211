//! `make bench`: see [`benches::parts`].

use anyhow::Result;
use benches::parts::{Options, run};
use clap::Parser;

fn main() -> Result<()> {
    run(&Options::parse())
}
