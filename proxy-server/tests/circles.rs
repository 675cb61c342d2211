//! No files of this crate name each other in a circle.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a file that cannot be read fails the test"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// Which names a file uses, by its module's path, as `config::tls`; `lib.rs` and `main.rs` have
/// none.
type Arrows = BTreeMap<String, BTreeSet<String>>;

fn read(folder: &Path, module: &str, texts: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let stem = path.file_stem().unwrap().to_str().unwrap();
        let name = match module {
            "" => stem.to_owned(),
            module => format!("{module}::{stem}"),
        };
        if path.is_dir() {
            read(&path, &name, texts);
        } else if !["lib", "main", "tests"].contains(&stem) {
            let name = name.strip_suffix("::mod").unwrap_or(&name).to_owned();
            texts.insert(name, fs::read_to_string(&path).unwrap());
        }
    }
}

/// What stands behind `crate::` and `super::`, as paths from the root, tests left out.
fn named(module: &str, text: &str) -> Vec<String> {
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let code = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    let parent = module.rsplit_once("::").map_or("", |(parent, _)| parent);
    let mut all = Vec::new();
    for line in code {
        for (prefix, root) in [("crate::", ""), ("super::", parent)] {
            for rest in line.split(prefix).skip(1) {
                let is_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
                let end = rest.find(|c| !is_path(c)).unwrap_or(rest.len());
                let path = &rest[..end];
                all.push(match root {
                    "" => path.to_owned(),
                    root => format!("{root}::{path}"),
                });
            }
        }
    }
    all
}

/// The file that has the named item: the longest module that the path starts with.
fn file_of(path: &str, texts: &BTreeMap<String, String>) -> Option<String> {
    let mut path = path.trim_end_matches(':');
    while !texts.contains_key(path) {
        path = path.rsplit_once("::")?.0;
    }
    Some(path.to_owned())
}

fn reaches(arrows: &Arrows, from: &str, to: &str, seen: &mut BTreeSet<String>) -> bool {
    let Some(next) = arrows.get(from) else {
        return false;
    };
    next.iter()
        .any(|next| next == to || (seen.insert(next.clone()) && reaches(arrows, next, to, seen)))
}

#[test]
fn no_files_name_each_other_in_a_circle() {
    let mut texts = BTreeMap::new();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    read(&source, "", &mut texts);
    let arrows: Arrows = texts
        .iter()
        .map(|(module, text)| {
            let files = named(module, text)
                .into_iter()
                .filter_map(|path| file_of(&path, &texts));
            // A file of a folder may use what the folder's own file declares; that is no arrow.
            let others = files.filter(|file| !module.starts_with(&format!("{file}::")));
            (
                module.clone(),
                others.filter(|file| file != module).collect(),
            )
        })
        .collect();
    assert!(arrows["listener"].contains("worker_handle"), "{arrows:?}");
    let in_circles: Vec<_> = arrows
        .keys()
        .filter(|file| reaches(&arrows, file, file, &mut BTreeSet::new()))
        .collect();
    assert!(in_circles.is_empty(), "{in_circles:#?}");
}
