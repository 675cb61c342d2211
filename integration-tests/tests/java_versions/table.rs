//! The table that the comparison ends with.

use anyhow::Result;

/// What came of one feature of one version.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) version: &'static str,
    pub(crate) feature: &'static str,
    pub(crate) direct: Result<()>,
    pub(crate) proxied: Result<()>,
    /// Whether this version is known to go past any proxy here.
    pub(crate) past_proxies: bool,
}

/// All rows so far, in no order.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<Row>,
}

impl Table {
    pub(crate) fn add(&mut self, row: Row) {
        self.rows.push(row);
    }

    /// The table in Markdown, with versions and features in these orders.
    pub(crate) fn render(&self, versions: &[&str], features: &[&str]) -> String {
        let cell = |outcome: &Result<()>| if outcome.is_ok() { "works" } else { "FAILS" };
        let mut text =
            String::from("\n| client | feature | direct | Remora |\n|---|---|---|---|\n");
        for version in versions {
            for feature in features {
                let same = |row: &&Row| row.version == *version && row.feature == *feature;
                let Some(row) = self.rows.iter().find(same) else {
                    continue;
                };
                let note = if row.past_proxies {
                    ", in part past it"
                } else {
                    ""
                };
                text.push_str(&format!(
                    "| Java {version} | {} | {} | {}{note} |\n",
                    feature.replace('_', " "),
                    cell(&row.direct),
                    cell(&row.proxied),
                ));
            }
        }
        text
    }
}

#[allow(
    clippy::print_stderr,
    reason = "a test program talks to whoever started it"
)]
pub(crate) fn print(text: &str) {
    eprintln!("{text}");
}
