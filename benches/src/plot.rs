//! A plot of what was measured side by side, as SVG.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::rounds::{Measured, Metric};
use crate::stack::{DIRECT, HAPROXY, JAVA, REMORA};
use crate::stats::number;

const WIDTH: f64 = 960.0;
const LEFT: f64 = 60.0;
const TOP: f64 = 60.0;
const PANEL: f64 = 220.0;
/// Between the panels, and below the last: shapes are named there.
const GAP: f64 = 110.0;

/// A target's colour; readable in print and by those who do not see red and green apart.
const COLOURS: &[(&str, &str)] = &[
    (DIRECT, "#999999"),
    (HAPROXY, "#56b4e9"),
    (JAVA, "#e69f00"),
    (REMORA, "#0072b2"),
];

/// How a value becomes a height.
#[derive(Clone, Copy)]
enum Scale {
    Linear,
    /// Values differ by two orders of magnitude.
    Logarithmic,
}

/// Writes the plot: requests per second over those of the direct way, and CPU time of the proxy.
///
/// # Errors
/// When the file cannot be written.
pub fn write(file: &Path, title: &str, all: &[Measured]) -> Result<()> {
    fs::write(file, draw(title, all)).with_context(|| format!("cannot write {}", file.display()))
}

fn draw(title: &str, all: &[Measured]) -> String {
    let height = TOP + 2.0 * (PANEL + GAP);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"white\"/>\n\
         <text x=\"{LEFT}\" y=\"20\" font-size=\"15\">{}</text>\n",
        escaped(title)
    );
    let shown = |name: &str| {
        all.first()
            .is_some_and(|first| !first.samples(name).is_empty())
    };
    let mut x = LEFT;
    for (name, colour) in COLOURS.iter().filter(|(name, _)| shown(name)) {
        svg.push_str(&format!(
            "<rect x=\"{x}\" y=\"30\" width=\"10\" height=\"10\" fill=\"{colour}\"/>\
             <text x=\"{}\" y=\"39\">{name}</text>\n",
            x + 14.0
        ));
        x += 100.0;
    }
    panel(
        &mut svg,
        TOP,
        "requests per second, direct = 1",
        Scale::Linear,
        all,
        |measured, name| Some(measured.ratio(name, DIRECT, Metric::Rate)?.median),
    );
    panel(
        &mut svg,
        TOP + PANEL + GAP,
        "CPU time of the proxy per request in µs, logarithmic",
        Scale::Logarithmic,
        all,
        |measured, name| Some(measured.spread(name, Metric::ProxyCpu)?.median),
    );
    svg.push_str("</svg>\n");
    svg
}

fn panel(
    svg: &mut String,
    top: f64,
    title: &str,
    scale: Scale,
    all: &[Measured],
    value: impl Fn(&Measured, &str) -> Option<f64>,
) {
    let values = all.iter().flat_map(|measured| {
        let names = COLOURS.iter().map(|(name, _)| *name);
        names
            .filter_map(|name| value(measured, name))
            .collect::<Vec<_>>()
    });
    let most = values.fold(1.0, f64::max);
    let height = |value: f64| match scale {
        Scale::Linear => value / most * PANEL,
        // From a tenth up.
        Scale::Logarithmic => (value.max(0.1) * 10.0).ln() / (most * 10.0).ln() * PANEL,
    };
    let bottom = top + PANEL;
    svg.push_str(&format!(
        "<text x=\"{LEFT}\" y=\"{}\" font-size=\"12\">{title}</text>\n",
        top - 6.0
    ));
    let marks: Vec<f64> = match scale {
        Scale::Linear => (0_i32..)
            .map(|mark| f64::from(mark) * 0.5)
            .take_while(|mark| *mark <= most)
            .collect(),
        Scale::Logarithmic => (-1_i32..)
            .map(|mark| 10_f64.powi(mark))
            .take_while(|mark| *mark <= most)
            .collect(),
    };
    for mark in marks {
        let y = bottom - height(mark);
        svg.push_str(&format!(
            "<line x1=\"{LEFT}\" x2=\"{WIDTH}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"#dddddd\"/>\
             <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{mark}</text>\n",
            LEFT - 6.0,
            y + 4.0
        ));
    }
    let slot = (WIDTH - LEFT) / all.len().max(1) as f64;
    let bar = slot * 0.8 / COLOURS.len() as f64;
    for (nth, measured) in all.iter().enumerate() {
        let left = LEFT + slot * (nth as f64 + 0.1);
        for (place, (name, colour)) in COLOURS.iter().enumerate() {
            let Some(value) = value(measured, name) else {
                continue;
            };
            let high = height(value).max(0.5);
            svg.push_str(&format!(
                "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{bar:.1}\" height=\"{high:.1}\" fill=\"{colour}\">\
                 <title>{}, {name}: {}</title></rect>\n",
                left + bar * place as f64,
                bottom - high,
                escaped(&measured.shape.name()),
                number(value)
            ));
        }
        let (x, y) = (left + slot * 0.4, bottom + 12.0);
        svg.push_str(&format!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"end\" transform=\"rotate(-35 {x:.1} {y:.1})\">{}</text>\n",
            escaped(&measured.shape.name())
        ));
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
