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
    let lines = text.lines();
    let code: Vec<_> = lines
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect();
    let code = code.join("\n");
    let parent = module.rsplit_once("::").map_or("", |(parent, _)| parent);
    let mut all = Vec::new();
    for (prefix, root) in [("crate::", ""), ("super::", parent)] {
        for rest in code.split(prefix).skip(1) {
            all.extend(paths(rest).into_iter().map(|path| match root {
                "" => path,
                root => format!("{root}::{path}"),
            }));
        }
    }
    all
}

/// The path that code starts with, or several: `a::{b, c::d}` has two.
fn paths(code: &str) -> Vec<String> {
    let is_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let end = code.find(|c| !is_path(c)).unwrap_or(code.len());
    let (path, rest) = code.split_at(end);
    let Some(list) = rest.strip_prefix('{') else {
        return vec![path.to_owned()];
    };
    let parts = parts(list).into_iter();
    parts
        .flat_map(|part| paths(part.trim_start()))
        .map(|inner| format!("{path}{inner}"))
        .collect()
}

/// What stands between the commas of a list, up to the brace that closes it.
fn parts(list: &str) -> Vec<&str> {
    let (mut depth, mut start, mut parts) = (0_usize, 0, Vec::new());
    for (at, sign) in list.char_indices() {
        match sign {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' if depth > 0 => {}
            ',' | '}' => {
                parts.push(&list[start..at]);
                start = at + 1;
                if sign == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    parts.retain(|part| !part.trim().is_empty());
    parts
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

#[test]
fn lists_are_read() {
    let text = "use crate::{a, b::{c, D as E}};\n// crate::z\nuse super::{\n    f::G,\n    h,\n};\n\
                fn i() -> crate::j::K {}\n";
    let found = named("x::y", text);
    assert_eq!(found, ["a", "b::c", "b::D", "j::K", "x::f::G", "x::h"]);
}
