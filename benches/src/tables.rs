//! Tables in Markdown.

use crate::checks::Outcome;
use crate::load::Sample;
use crate::rounds::{Measured, Metric};
use crate::shape::Shape;
use crate::stats::Spread;

/// A table of cells, under these heads.
#[must_use]
pub fn table(heads: &[&str], rows: &[Vec<String>]) -> String {
    let mut text = format!(
        "| {} |\n|{}\n",
        heads.join(" | "),
        "---|".repeat(heads.len())
    );
    for row in rows {
        text.push_str(&format!("| {} |\n", row.join(" | ")));
    }
    text
}

/// A figure of every target in every shape.
#[must_use]
pub fn figures(all: &[Measured], metric: Metric) -> String {
    figures_of(all, |_, sample| metric.of(sample))
}

/// What is made of the samples of every target in every shape.
#[must_use]
pub fn figures_of(all: &[Measured], of: impl Fn(&Shape, &Sample) -> Option<f64>) -> String {
    let spread = |measured: &Measured, name: &str| {
        measured.spread_of(name, |sample| of(&measured.shape, sample))
    };
    let names: Vec<&str> = all
        .first()
        .map(|first| first.targets.iter().map(|(name, _)| *name).collect())
        .unwrap_or_default();
    // A proxy's figures are none of the direct way.
    let has_figures = |name: &&str| all.iter().any(|measured| spread(measured, name).is_some());
    let names: Vec<&str> = names.into_iter().filter(has_figures).collect();
    let rows = all.iter().map(|measured| {
        let cells = names.iter().map(|name| shown(spread(measured, name)));
        [measured.shape.name()].into_iter().chain(cells).collect()
    });
    let heads: Vec<&str> = ["shape"].into_iter().chain(names.iter().copied()).collect();
    table(&heads, &rows.collect::<Vec<_>>())
}

/// A figure of every target over that of the first, in each shape: heads and rows of a table.
#[must_use]
pub fn ratios(all: &[Measured], metric: Metric) -> (Vec<String>, Vec<Vec<String>>) {
    let mut names = all.first().into_iter().flat_map(|first| &first.targets);
    let Some((base, _)) = names.next() else {
        return Default::default();
    };
    let others: Vec<&str> = names.map(|(name, _)| *name).collect();
    let rows = others.iter().map(|name| {
        let cells = all
            .iter()
            .map(|measured| shown(measured.ratio(name, base, metric)));
        [(*name).to_owned()].into_iter().chain(cells).collect()
    });
    let shapes = all.iter().map(|measured| measured.shape.name());
    let heads = [format!("against {base}")].into_iter().chain(shapes);
    (heads.collect(), rows.collect())
}

/// What is asked for, and what became of it.
#[must_use]
pub fn outcomes(all: &[Outcome]) -> String {
    let rows = all.iter().map(|outcome| {
        vec![
            outcome.shape.clone(),
            outcome.what.clone(),
            outcome.figure.to_string(),
            outcome.bound.to_string(),
            outcome.verdict().to_owned(),
        ]
    });
    let heads = ["shape", "figure", "median (quartiles)", "goal", ""];
    table(&heads, &rows.collect::<Vec<_>>())
}

fn shown(spread: Option<Spread>) -> String {
    spread.map_or("–".to_owned(), |spread| spread.to_string())
}
