//! What came of all attacks, as a table.

use std::{fs, path::PathBuf};

use anyhow::Result;
use parking_lot::Mutex;

use super::measure::{Kind, Summary};
use crate::workspace::target_dir;

/// What one attack has done.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// The attack's name.
    pub name: String,
    /// The row of the table of attacks that it is of.
    pub row: &'static str,
    /// What the attack does, in words.
    pub what: &'static str,
    /// Before and during, for each kind of healthy client.
    pub healthy: Vec<(&'static str, Summary, Summary)>,
    /// The most that was resident, in bytes.
    pub peak: u64,
    /// Further observations.
    pub notes: Vec<String>,
    /// What must hold and does not.
    pub broken: Vec<String>,
    /// What took longer than it may, which a busy machine does as well.
    pub slow: Vec<String>,
    /// Which try this is of; 0 where tries were not counted.
    pub tries: usize,
    /// Whether no kind of healthy client was slower than three times what it was before, or than
    /// direct clients, with nothing added; `None` without any.
    pub strict: Option<bool>,
}

impl Outcome {
    /// What does not hold.
    pub fn faults(&self) -> impl Iterator<Item = &str> {
        self.broken.iter().chain(&self.slow).map(String::as_str)
    }
}

/// All of them.
#[derive(Debug, Default)]
pub struct Results(Mutex<Vec<Outcome>>);

impl Results {
    /// Adds one.
    pub fn add(&self, outcome: Outcome) {
        self.0.lock().push(outcome);
    }

    /// The table in Markdown, by row.
    #[must_use]
    pub fn render(&self) -> String {
        let mut all = self.0.lock().clone();
        all.sort_by_key(|one| (one.row.parse::<u32>().unwrap_or(u32::MAX), one.name.clone()));
        let mut text = String::from(
            "\n| row | test | input | sends ok (directly) | pulls ok (directly) | p99 of sends, before → during (directly) | longest | memory | tries | nothing added | holds |\n\
             |---|---|---|---|---|---|---|---|---|---|---|\n",
        );
        for one in all {
            let of = |kind: Kind| one.healthy.iter().find(|(name, ..)| *name == kind.name());
            let percent = |kind| {
                of(kind).map_or_else(
                    || "–".to_owned(),
                    |(_, _, during)| format!("{:.1} %", during.ok_percent()),
                )
            };
            let (times, longest) = of(Kind::Send).map_or_else(
                || ("–".to_owned(), "–".to_owned()),
                |(_, before, during)| {
                    let millis = |time: std::time::Duration| time.as_secs_f64() * 1e3;
                    (
                        format!(
                            "{:.1} → {:.1} ms ({:.1} ms)",
                            millis(before.p99),
                            millis(during.p99),
                            of(Kind::Direct).map_or(0.0, |(_, _, direct)| millis(direct.p99))
                        ),
                        format!("{:.0} ms", millis(during.longest)),
                    )
                },
            );
            let memory = if one.peak == 0 {
                "–".to_owned()
            } else {
                format!("{} MB", one.peak / 1_000_000)
            };
            let faults: Vec<&str> = one.faults().collect();
            let holds = if faults.is_empty() {
                let mut holds = vec!["yes".to_owned()];
                holds.extend(one.notes.clone());
                holds.join("; ")
            } else {
                format!("**no**: {}", faults.join("; "))
            };
            let strict = match one.strict {
                Some(true) => "yes",
                Some(false) => "no",
                None => "–",
            };
            text.push_str(&format!(
                "| {} | {} | {} | {} ({}) | {} ({}) | {times} | {longest} | {memory} | {} | {strict} | {} |\n",
                one.row,
                one.name.replace('_', " "),
                one.what,
                percent(Kind::Send),
                percent(Kind::Direct),
                percent(Kind::Pull),
                percent(Kind::DirectPull),
                one.tries,
                holds.replace(['|', '\n'], " ")
            ));
        }
        text
    }

    /// Writes the table to a file of Cargo's target folder, and returns its path.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, name: &str) -> Result<PathBuf> {
        let dir = target_dir().join("integration-tests");
        fs::create_dir_all(&dir)?;
        let file = dir.join(format!("{name}.md"));
        fs::write(&file, self.render())?;
        Ok(file)
    }
}
