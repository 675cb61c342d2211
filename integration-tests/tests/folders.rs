//! The modules of a crate name each other in one direction only: a module may name those of lower
//! floors.

#![allow(
    clippy::unwrap_used,
    reason = "a file that cannot be read fails the test"
)]

use std::{
    fs,
    path::{Path, PathBuf},
};

/// A crate's floors, from the lowest to the highest. A module is a file of `src`, with the folder
/// of the same name; inside it, files may name each other.
type Floors = &'static [&'static [&'static str]];

const CRATES: [(&str, Floors); 6] = [
    ("integration-tests", INTEGRATION_TESTS),
    ("processors/grpc", GRPC),
    ("processors/http", HTTP),
    ("processors/http-server", HTTP_SERVER),
    ("processors/messaging", MESSAGING),
    ("processors/remoting", REMOTING),
];

const INTEGRATION_TESTS: Floors = &[
    &[
        "fake",
        "grpc_client",
        "http2",
        "http_client",
        "network",
        "ports",
        "program",
        "raw",
        "table",
        "tls",
        "wait",
        "workspace",
    ],
    &["corpus", "process"],
    &["go", "haproxy", "java", "node", "python", "rust", "target"],
    &["balancer", "connections", "java_proxy", "proxy_process"],
    &["abuse", "java_client", "mqadmin", "replicas"],
    &["delivery", "requests", "rocketmq"],
    &["scenario", "ways"],
    &["sharing", "suite"],
    &["compare", "pop"],
    // Programs of their own.
    &["bin", "lib"],
];

const GRPC: Floors = &[
    &["proto"],
    &["codec", "error"],
    &["check"],
    &["convert"],
    &["metadata", "render", "rpc"],
    &["metrics", "transport"],
    &["client"],
    &["calls"],
    &["server"],
    &["lib"],
];

const HTTP: Floors = &[
    &["percent"],
    &["encoding", "json", "sdk"],
    &["metrics", "origin", "render"],
    &["client"],
    &["call"],
    &["answer"],
    &["calls"],
    &["router"],
    &["lib"],
];

const HTTP_SERVER: Floors = &[
    &["reply", "traffic"],
    &["unread"],
    &["connection"],
    &["drive", "request"],
    &["http1", "http2"],
    &["serve"],
    &["lib"],
];

const MESSAGING: Floors = &[
    &[
        "clocks",
        "digest",
        "elsewhere",
        "error",
        "ids",
        "kind",
        "message",
        "policy",
        "queues",
    ],
    &["check", "metrics", "stored"],
    &["asker", "caller", "draft", "own", "token"],
    &["admission", "fail_over", "give_back"],
    &["calls", "delivery", "member"],
    &["pollers", "request"],
    &["lib"],
];

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

/// The modules that stand behind `crate::` in code, those of `use crate::{…}` among them.
fn named(text: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let mut from = 0;
    while let Some(at) = text[from..].find("crate::") {
        let start = from + at;
        from = start + "crate::".len();
        let line = text[..start].rfind('\n').map_or(0, |end| end + 1);
        if text[line..start].trim_start().starts_with("//") {
            continue;
        }
        let rest = &text[from..];
        match rest.strip_prefix('{') {
            Some(list) => names.extend(first_names(list)),
            None => names.push(lower_case(rest)),
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

/// The first name of each path of a list, up to the brace that closes it.
fn first_names(list: &str) -> Vec<&str> {
    let (mut depth, mut start, mut names) = (0_usize, 0, Vec::new());
    for (at, sign) in list.char_indices() {
        match sign {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' if depth > 0 => {}
            ',' | '}' => {
                names.push(lower_case(list[start..at].trim_start()));
                start = at + 1;
                if sign == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    names
}

fn lower_case(text: &str) -> &str {
    let is_of_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let end = text.find(|c: char| !is_of_name(c));
    &text[..end.unwrap_or(text.len())]
}

/// What a module's text names that stands on a higher floor, or on the same.
fn up<'a>(own: &str, text: &'a str, floors: Floors) -> Vec<&'a str> {
    let names = named(text).into_iter().filter(|name| *name != own);
    names
        .filter(|name| floor(floors, name) >= floor(floors, own))
        .collect()
}

#[test]
fn arrows_point_down() {
    let mut found = Vec::new();
    for (krate, floors) in CRATES {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../{krate}/src"));
        for file in files(&source) {
            let inside = file.strip_prefix(&source).unwrap();
            let first = Path::new(inside.components().next().unwrap().as_os_str());
            let own = first.file_stem().unwrap().to_str().unwrap();
            let text = fs::read_to_string(&file).unwrap();
            for name in up(own, &text, floors) {
                found.push(format!("{krate}: {} names {name}", inside.display()));
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn lists_are_read() {
    let text = "use crate::{\n    java::Java,\n    rocketmq::{Cluster, admin},\n    wait,\n};\n\
                // crate::table\nfn f() { crate::ports::free_port() }\n\
                use crate::{tls::A, raw::B};";
    let expected = ["java", "rocketmq", "wait", "ports", "tls", "raw"];
    let mut found = named(text);
    found.dedup();
    assert_eq!(found, expected);
    let text = "use crate::{answers::Answer, relay};";
    assert_eq!(up("session", text, REMOTING), ["relay"]);
}
