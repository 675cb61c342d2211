//! Folders and files of the crates of `processors` name each other in one direction only: a file
//! may name only files of lower floors.

#![allow(
    clippy::unwrap_used,
    reason = "a file that cannot be read fails the test"
)]

use std::fs;
use std::path::{Path, PathBuf};

/// A crate's floors, from the lowest to the highest. Inside a folder, files may name each other.
type Floors = &'static [&'static [&'static str]];

/// `processors/remoting`.
const REMOTING: Floors = &[
    &["error", "notice", "table"],
    &["metrics", "settings"],
    &["answers"],
    &["session"],
    &["relay"],
    &["consume", "produce", "topic"],
    &["admin_relay", "member"],
    &["dispatch"],
    &["client"],
    &["lib"],
];

/// `processors/grpc`.
const GRPC: Floors = &[
    &["proto"],
    &["codec", "error"],
    &["check"],
    &["convert"],
    &["metadata"],
    &["lib"],
];

/// `processors/messaging`.
const MESSAGING: Floors = &[
    &["error", "message", "policy"],
    &["caller", "own"],
    &["admission", "fail_over", "give_back"],
    &["member"],
    &["lib"],
];

fn floor(floors: Floors, name: &str) -> usize {
    let floor = floors.iter().position(|names| names.contains(&name));
    floor.unwrap_or_else(|| panic!("{name} stands on no floor"))
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| match path.is_dir() {
            true => files(&path),
            false => vec![path],
        })
        .collect()
}

/// The names behind `crate::` in code, comments excluded.
fn named(text: &str) -> impl Iterator<Item = &str> {
    let code = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    let names = code.flat_map(|line| line.split("crate::").skip(1));
    names.map(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_lowercase() && c != '_');
        rest.get(..end.unwrap_or(rest.len())).unwrap_or_default()
    })
}

/// The names in a crate that point to a higher floor, or to another file of the same floor.
fn up(krate: &str, floors: Floors) -> Vec<String> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../{krate}/src"));
    let mut up = Vec::new();
    for file in files(&source) {
        let inside = file.strip_prefix(&source).unwrap();
        let first = inside.components().next().unwrap().as_os_str();
        let own = Path::new(first).file_stem().unwrap().to_str().unwrap();
        let text = fs::read_to_string(&file).unwrap();
        for name in named(&text).filter(|name| !name.is_empty() && *name != own) {
            if floor(floors, name) >= floor(floors, own) {
                up.push(format!("{krate}: {} names {name}", inside.display()));
            }
        }
    }
    up
}

#[test]
fn arrows_point_down() {
    let found = [
        up("grpc", GRPC),
        up("messaging", MESSAGING),
        up("remoting", REMOTING),
    ]
    .concat();
    assert!(found.is_empty(), "{found:#?}");
}
