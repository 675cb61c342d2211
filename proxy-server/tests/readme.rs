//! What the README says of request codes and configuration is what the code does.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::Write;
use std::path::{Path, PathBuf};

use processors::table::TABLE;
use proxy_server::{Args, Config, example, table};

/// How the table of keys begins.
const INTRODUCTION: &str = "\
# Configuration

Every key of the file that `--config` names. A flag or variable wins over it (`remora --help` lists them). An unknown key, or
a value that a key may not have, ends the start with exit code 64 and one line that says what is allowed; `--check-config` says so
without starting. This file and [the example](../../deploy/remora.example.toml) are made from the code's types.

";

fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

fn readme() -> String {
    std::fs::read_to_string(project("README.md")).unwrap()
}

#[test]
fn the_table_of_codes_is_the_code_s_own() {
    let readme = readme();
    let section = readme.split("\n## ");
    let mut section = section.filter(|section| section.starts_with("Request codes"));
    let told: Vec<(i32, &str)> = section
        .next()
        .unwrap()
        .lines()
        .filter_map(|line| {
            let mut cells = line.split('|').map(str::trim).skip(1);
            Some((cells.next()?.parse().ok()?, cells.next()?))
        })
        .collect();
    let served: Vec<_> = TABLE
        .iter()
        .map(|row| (row.code.0, row.code.name().unwrap()))
        .collect();
    assert_eq!(told, served);
}

#[test]
fn the_readme_s_configuration_is_valid() {
    let readme = readme();
    let excerpts: Vec<_> = readme.split("```toml\n").skip(1).collect();
    assert!(excerpts.len() >= 4);
    // Only the first has name servers.
    for (excerpt, more) in excerpts
        .iter()
        .zip([None].into_iter().chain([Some("ns:9876"); 9]))
    {
        let excerpt = excerpt.split("```").next().unwrap();
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(excerpt.as_bytes()).unwrap();
        load(Some(file.path().to_owned()), more);
    }
}

#[test]
fn the_example_and_the_docs_are_what_the_types_say() {
    for (path, expected) in [
        ("deploy/remora.example.toml", example()),
        (
            "proxy-server/docs/configuration.md",
            format!("{INTRODUCTION}{}", table()),
        ),
    ] {
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(project(path), &expected).unwrap();
        }
        let written = std::fs::read_to_string(project(path)).unwrap_or_default();
        assert!(
            written == expected,
            "{path} is out of date: UPDATE=1 cargo test --package proxy-server --test readme"
        );
    }
}

#[test]
fn the_example_says_the_defaults() {
    let example = load(Some(project("deploy/remora.example.toml")), None);
    let default = load(None, Some("ns-0:9876;ns-1:9876"));
    let told = |config: &Config| {
        let Config {
            name_servers,
            log,
            upstream,
            routes,
            settings,
            ..
        } = config;
        format!("{name_servers:?} {log:?} {upstream:?} {routes:?} {settings:?}")
    };
    assert_eq!(told(&example), told(&default));
}

fn load(config: Option<PathBuf>, name_server: Option<&str>) -> Config {
    let name_server = name_server.map(str::to_owned);
    Config::load(&Args {
        config,
        name_server,
        ..Args::default()
    })
    .unwrap()
}
