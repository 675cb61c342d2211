//! Measurements of Remora.
//!
//! `cargo bench -p benches` runs the micro-benches, `make bench` the whole proxy beside its peers,
//! and `benches/scripts/instructions.sh` counts the instructions of the [hot paths](hot_path),
//! `benches/scripts/turns.sh` those of the longest [`turns`]. How the side by side measures is
//! described in [`rounds`], and what it demands of Remora in [`checks`].

pub mod aside;
pub mod checks;
pub mod hot_path;
pub mod inbox;
pub mod load;
pub mod machine;
pub mod parts;
pub mod plot;
pub mod procfs;
pub mod relay;
pub mod report;
pub mod requests;
pub mod rounds;
pub mod shape;
pub mod sink;
pub mod stack;
pub mod stats;
pub mod tables;
pub mod template;
pub mod turns;
pub mod wire;
