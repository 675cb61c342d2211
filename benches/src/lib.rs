//! Measurements of Remora. `cargo bench -p benches` runs them.
