//! The files of a crate name each other in one direction only: no file reaches itself by the files
//! that it names.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

/// Each crate, and whether a file of a folder may use what the folder's own file declares.
const CRATES: [(&str, bool); 4] = [
    ("proxy-server", true),
    ("remoting-codec", false),
    ("remoting-transport", false),
    ("route-cache", false),
];

/// The path of a module, or of an item in it: `["broker", "link"]`.
type Names = Vec<String>;

/// A module that has a file: the modules that its file names, and the names that it exports for
/// others (`pub use`).
#[derive(Debug, Default)]
struct File {
    named: Vec<Names>,
    passed_on: BTreeMap<String, Names>,
}

type Files = BTreeMap<Names, File>;

/// All files below a folder, by their modules' paths.
fn texts(folder: &Path, module: &Names, found: &mut BTreeMap<Names, String>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let stem = path.file_stem().context("a name")?.to_string_lossy();
        let mut name = module.clone();
        if !["lib", "mod"].contains(&&*stem) || path.is_dir() {
            name.push(stem.into_owned());
        }
        if path.is_dir() {
            texts(&path, &name, found)?;
        } else {
            found.insert(name, fs::read_to_string(&path)?);
        }
    }
    Ok(())
}

/// What is code in a file, unit tests left out.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests {").next();
    let lines = text.unwrap_or_default().lines();
    let code = lines.filter(|line| !line.trim_start().starts_with("//"));
    code.fold(String::new(), |code, line| code + line + "\n")
}

/// The paths that a `use` names: `a::{b, c::d}` are two.
fn paths_of_use(tree: &str) -> Vec<Names> {
    let tree = tree.trim();
    let Some((before, within)) = tree.split_once('{') else {
        let path = tree.split(" as ").next().unwrap_or_default();
        return vec![
            path.split("::")
                .map(|name| name.trim().to_owned())
                .collect(),
        ];
    };
    let (mut parts, mut depth) = (vec![String::new()], 0);
    for c in within.trim_end().trim_end_matches('}').chars() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        match parts.last_mut() {
            Some(_) if c == ',' && depth == 0 => parts.push(String::new()),
            Some(part) => part.push(c),
            None => {}
        }
    }
    let parts = parts.iter().filter(|part| !part.trim().is_empty());
    parts
        .flat_map(|part| paths_of_use(&format!("{before}{}", part.trim())))
        .collect()
}

/// The paths in the rest of the code, as `a::b`.
fn paths_of_code(code: &str) -> Vec<Names> {
    let is_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let words = code.split(|c| !is_path(c));
    let paths = words.filter(|word| word.contains("::"));
    let names = paths.map(|path| path.split("::").map(ToOwned::to_owned).collect());
    names.collect()
}

/// A path that a module names, from the crate's root; `None` for one of another crate.
fn from_root(module: &Names, path: &Names, modules: &BTreeSet<Names>) -> Option<Names> {
    let mut base = module.clone();
    let mut rest = path.as_slice();
    match rest.first()?.as_str() {
        "crate" => (base, rest) = (Names::new(), rest.get(1..)?),
        "self" => rest = rest.get(1..)?,
        "super" => {
            while rest.first().is_some_and(|name| name == "super") {
                base.pop();
                rest = rest.get(1..)?;
            }
        }
        child => {
            let own = [module.as_slice(), &[child.to_owned()]].concat();
            modules.get(&own)?;
        }
    }
    Some([base.as_slice(), rest].concat())
}

/// The `use` statements of code, each with whether it exports its names (`pub use`), and the rest.
fn split(code: &str) -> (Vec<(bool, String)>, String) {
    const PASSED_ON: [&str; 3] = ["pub use ", "pub(crate) use ", "pub(super) use "];
    let (mut statements, mut rest) = (Vec::new(), String::new());
    let mut lines = code.lines();
    while let Some(line) = lines.next() {
        let passed_on = PASSED_ON
            .iter()
            .find_map(|it| line.trim_start().strip_prefix(it));
        let Some(first) = passed_on.or_else(|| line.trim_start().strip_prefix("use ")) else {
            rest = rest + line + "\n";
            continue;
        };
        let mut tree = first.to_owned();
        while !tree.ends_with(';')
            && let Some(line) = lines.next()
        {
            tree.push_str(line.trim());
        }
        statements.push((passed_on.is_some(), tree.trim_end_matches(';').to_owned()));
    }
    (statements, rest)
}

fn read(texts: &BTreeMap<Names, String>) -> Files {
    let modules = texts.keys().cloned().collect();
    let read_one = |module: &Names, text: &str| {
        let (statements, rest) = split(&code(text));
        let own = |path: Names| from_root(module, &path, &modules);
        let mut file = File {
            named: paths_of_code(&rest).into_iter().filter_map(own).collect(),
            ..File::default()
        };
        let is_used = |name: &str| {
            let mut words = rest.split(|c: char| !c.is_alphanumeric() && c != '_');
            words.any(|word| word == name)
        };
        for (is_passed_on, tree) in statements {
            for path in paths_of_use(&tree).into_iter().filter_map(own) {
                let name = path.last().cloned().unwrap_or_default();
                // What is passed on and not used here is no arrow.
                if !is_passed_on || is_used(&name) {
                    file.named.push(path.clone());
                }
                if is_passed_on {
                    file.passed_on.insert(name, path);
                }
            }
        }
        file
    };
    let files = texts.iter();
    files
        .map(|(module, text)| (module.clone(), read_one(module, text)))
        .collect()
}

/// The module whose file has an item.
fn home(files: &Files, path: &Names) -> Option<Names> {
    let length = (0..=path.len()).rev();
    let module = length.map(|length| path.get(..length)).find_map(|module| {
        let module = module?.to_vec();
        files.contains_key(&module).then_some(module)
    })?;
    let next = path.get(module.len());
    match next.and_then(|name| files.get(&module)?.passed_on.get(name)) {
        Some(passed_on) if passed_on != path => home(files, passed_on),
        _ => Some(module),
    }
}

/// The modules of a crate whose files reach themselves. With `within`, it is no arrow when a file
/// of a folder names the folder's own file.
fn in_circles(texts: &BTreeMap<Names, String>, within: bool) -> Vec<String> {
    let files = read(texts);
    let arrows: BTreeMap<&Names, BTreeSet<Names>> = files
        .iter()
        .map(|(module, file)| {
            let to = file.named.iter().filter_map(|path| home(&files, path));
            let is_arrow = |to: &Names| to != module && !(within && module.starts_with(to));
            (module, to.filter(is_arrow).collect())
        })
        .collect();
    let reaches_itself = |module: &&&Names| {
        let mut seen = BTreeSet::new();
        let mut left = vec![**module];
        while let Some(at) = left.pop() {
            for next in arrows.get(at).into_iter().flatten() {
                if next == **module {
                    return true;
                }
                if seen.insert(next) {
                    left.push(next);
                }
            }
        }
        false
    };
    let circles = arrows.keys().filter(reaches_itself);
    circles.map(|module| module.join("::")).collect()
}

#[test]
fn no_file_reaches_itself() -> Result<()> {
    for (name, within) in CRATES {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name);
        let mut found = BTreeMap::new();
        texts(&source.join("src"), &Names::new(), &mut found)?;
        let arrows: usize = read(&found).values().map(|file| file.named.len()).sum();
        ensure!(arrows > found.len(), "{name}: {arrows} names were found");
        let circles = in_circles(&found, within);
        ensure!(circles.is_empty(), "{name}: {circles:#?}");
    }
    Ok(())
}

#[test]
fn circles_are_found() {
    let circles = |files: &[(&str, &str)], within| {
        let name = |path: &str| path.split("::").map(ToOwned::to_owned).collect::<Names>();
        let files = files.iter();
        let texts = files.map(|(path, text)| (name(path), (*text).to_owned()));
        in_circles(&texts.collect(), within)
    };
    let crate_of = |files: &[(&str, &str)]| circles(files, false);
    // By a `use` and by a path.
    let direct = [
        ("a", "use std::fmt;\n\nuse crate::b::{\n    B, C,\n};\n"),
        ("b", "fn f() {\n    super::a::g();\n}\n"),
        ("c", "use crate::a::A;\n"),
    ];
    assert_eq!(crate_of(&direct), ["a", "b"]);
    // By what a folder passes on.
    let folder = [
        (
            "d",
            "mod x;\nmod y;\n\npub use x::X;\npub(crate) use y::Y;\n",
        ),
        ("d::x", "use super::Y;\n"),
        ("d::y", "use crate::d::X;\n"),
    ];
    assert_eq!(crate_of(&folder), ["d::x", "d::y"]);
    // By what a folder's own file has.
    let own = [
        ("e", "mod x;\n\nuse self::x::X;\n\npub struct E(X);\n"),
        ("e::x", "use super::E;\n"),
    ];
    assert_eq!(crate_of(&own), ["e", "e::x"]);
    assert_eq!(circles(&own, true), Vec::<String>::new());
    assert_eq!(circles(&direct, true), ["a", "b"]);
    // No circle: what is passed on is not used, comments and tests name what they like.
    let none = [
        ("f", "mod x;\n\npub use x::X;\n\npub struct F;\n"),
        ("f::x", "use super::F;\n"),
        (
            "g",
            "// crate::h\n#[cfg(test)]\nmod tests {\n    use crate::h::H;\n}\n",
        ),
        ("h", "use crate::g::G;\n"),
    ];
    assert_eq!(crate_of(&none), Vec::<String>::new());
}
