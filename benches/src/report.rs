//! `RESULTS.md`: a section for each part, written by that part's run, and the notes below, which
//! are written by hand.

use std::fs;
use std::io::{Write, stdout};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::machine;

/// The sections that runs write, in the order of the file.
const SECTIONS: &[&str] = &[
    "side-by-side",
    "grpc",
    "grpc-idle",
    "http",
    "sinks",
    "tls",
    "memory",
    "idle",
    "growth",
    "start",
    "attacks",
    "figures",
    "variants",
];

const INTRODUCTION: &str = "\
# Results

Each section is written by its part of `make bench`; the notes at the end are written by hand and kept.
How it is measured: [README.md](README.md).
";

/// The heading with which the notes start.
const NOTES: &str = "## Goals that are missed, and why";

const NO_NOTES: &str = "Nothing yet.\n";

/// What a part has found.
#[derive(Debug)]
pub struct Section {
    /// The part.
    pub part: &'static str,
    /// The headline.
    pub title: String,
    /// What took part besides Remora, with versions.
    pub peers: Vec<String>,
    /// How it was measured, in a line.
    pub method: String,
    /// Everything else.
    pub body: String,
}

impl Section {
    /// Prints the section and puts it into the file in that folder.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn publish(&self, dir: &Path) -> Result<()> {
        let text = self.text();
        writeln!(stdout(), "\n{text}")?;
        let file: PathBuf = dir.join("RESULTS.md");
        let old = fs::read_to_string(&file).unwrap_or_default();
        fs::write(&file, renewed(&old, self.part, &text))
            .with_context(|| format!("cannot write {}", file.display()))
    }

    fn text(&self) -> String {
        let mut text = format!(
            "## {}\n\n{}: {}.\n",
            self.title,
            machine::today(),
            machine::remora()
        );
        if !self.peers.is_empty() {
            text.push_str(&format!("Compared with: {}.\n", self.peers.join("; ")));
        }
        text.push_str(&format!(
            "On {}.\n{}\n\n{}",
            machine::describe(),
            self.method,
            self.body
        ));
        text
    }
}

/// The file with one section replaced.
fn renewed(old: &str, part: &str, text: &str) -> String {
    let mut new = INTRODUCTION.to_owned();
    for name in SECTIONS {
        let kept = if *name == part {
            Some(text.trim())
        } else {
            section(old, name)
        };
        if let Some(kept) = kept {
            new.push_str(&format!("\n{}\n{kept}\n{}\n", begin(name), end(name)));
        }
    }
    let notes = old.split_once(NOTES).map_or("", |(_, notes)| notes.trim());
    let notes = if notes.is_empty() {
        NO_NOTES.trim()
    } else {
        notes
    };
    new.push_str(&format!("\n{NOTES}\n\n{notes}\n"));
    new
}

fn section<'a>(file: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = file.split_once(&begin(name))?;
    let (text, _) = rest.split_once(&end(name))?;
    Some(text.trim())
}

fn begin(name: &str) -> String {
    format!("<!-- {name} -->")
}

fn end(name: &str) -> String {
    format!("<!-- /{name} -->")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_replaces_its_section_only() {
        let first = renewed("", "memory", "## Memory\nold");
        assert!(first.ends_with("## Goals that are missed, and why\n\nNothing yet.\n"));
        let noted = first.replace("Nothing yet.", "Much.");
        let second = renewed(&noted, "side-by-side", "## Side by side\nfigures");
        let third = renewed(&second, "memory", "## Memory\nnew");
        assert!(third.contains("figures") && third.contains("new") && third.contains("Much."));
        assert!(!third.contains("old"));
        assert!(third.find("figures") < third.find("## Memory"));
        assert_eq!(renewed(&third, "memory", "## Memory\nnew"), third);
    }
}
