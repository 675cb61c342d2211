//! What documents say of request codes and configuration is what the code does, and their links
//! lead somewhere.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::Write;
use std::path::{Path, PathBuf};

use proxy_server::{Args, Config, example, table};
use remoting::table::TABLE;

/// How the table of keys begins.
const INTRODUCTION: &str = "\
# Configuration

Every key of the file that `--config` names. Flags and variables win over it; `remora --help` lists them. An unknown key or an
invalid value ends the start with exit code 64 and one line that says what is allowed. `--check-config` checks the same and
exits. How to start and reload is in [operate.md](operate.md). A changed key that *applies* on SIGHUP is in effect at once
(`log`, `drain`) or for new connections; all others wait for a restart.

This file and [the example](../../deploy/remora.example.toml) are generated from the code's types.

";

fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

/// Every document of the repository.
fn documents() -> Vec<PathBuf> {
    let mut documents = Vec::new();
    let mut folders = vec![project("").canonicalize().unwrap()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let (path, kind) = (entry.path(), entry.file_type().unwrap());
            let name = entry.file_name().into_string().unwrap();
            if kind.is_dir() && !name.starts_with('.') && name != "target" {
                folders.push(path);
            } else if kind.is_file() && path.extension().is_some_and(|end| end == "md") {
                documents.push(path);
            }
        }
    }
    documents
}

/// A document without its code blocks.
fn prose(path: &Path) -> String {
    let text = read(path);
    let parts = text.split("```").step_by(2);
    parts.collect()
}

/// The anchors of a document's headings, as GitHub makes them.
fn anchors(path: &Path) -> Vec<String> {
    let prose = prose(path);
    let headings = prose.lines().filter(|line| line.starts_with('#'));
    headings
        .map(|heading| {
            let words = heading.trim_start_matches('#').trim().to_lowercase();
            words
                .replace(' ', "-")
                .replace(|c: char| !(c.is_alphanumeric() || "-_".contains(c)), "")
        })
        .collect()
}

#[test]
fn every_link_leads_somewhere() {
    let documents = documents();
    assert!(documents.len() > 25, "{documents:?}");
    let mut dead = Vec::new();
    for document in &documents {
        let prose = prose(document);
        for link in prose.split("](").skip(1) {
            let link = link.split(')').next().unwrap();
            if link.contains("://") {
                continue;
            }
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = match path {
                "" => document.clone(),
                path => document.with_file_name("").join(path),
            };
            if !target.exists() || !(anchor.is_empty() || anchors(&target).contains(&anchor.into()))
            {
                dead.push(format!("{}: {link}", document.display()));
            }
        }
    }
    assert!(dead.is_empty(), "{dead:#?}");
}

#[test]
fn the_readme_is_short() {
    let readme = read(&project("README.md"));
    assert!(readme.lines().count() <= 130);
    // Tables and pictures may be wider.
    let mut prose = readme.lines().filter(|line| !line.starts_with(['|', ' ']));
    let long = prose.find(|line| line.chars().count() > 120);
    assert_eq!(long, None);
}

#[test]
fn the_index_names_every_document() {
    let index = read(&project("proxy-server/docs/README.md"));
    let docs = project("proxy-server/docs").canonicalize().unwrap();
    for document in documents() {
        if let Ok(path) = document.strip_prefix(&docs) {
            let path = path.to_str().unwrap();
            assert!(
                path == "README.md" || index.contains(&format!("({path})")),
                "{path}"
            );
        }
    }
}

#[test]
fn the_table_of_codes_is_the_code_s_own() {
    let codes = read(&project("proxy-server/docs/request-codes.md"));
    let documented: Vec<(i32, &str)> = codes
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
    assert_eq!(documented, served);
}

#[test]
fn the_configuration_in_documents_is_valid() {
    let mut secret = tempfile::NamedTempFile::new().unwrap();
    secret.write_all(b"secret").unwrap();
    let secret = secret.path().to_str().unwrap();
    let mut excerpts = 0;
    for document in documents() {
        let text = read(&document);
        for excerpt in text.split("```toml\n").skip(1) {
            let excerpt = excerpt.split("```").next().unwrap();
            let excerpt = excerpt.replace("/etc/remora/secret-key", secret);
            let mut file = tempfile::NamedTempFile::new().unwrap();
            file.write_all(excerpt.as_bytes()).unwrap();
            let name_server = (!excerpt.contains("name_servers")).then_some("ns:9876");
            load(Some(file.path().to_owned()), name_server);
            excerpts += 1;
        }
    }
    assert!(excerpts >= 6, "{excerpts}");
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
