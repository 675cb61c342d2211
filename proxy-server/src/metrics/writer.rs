//! Families of metrics as text.

use std::collections::BTreeMap;
use std::fmt::{self, Write};

use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder};
use prometheus_client::metrics::MetricType;
use remoting_transport::metrics::{DURATIONS, Snapshot};

/// Label names and values.
pub(super) type LabelSet = Vec<(&'static str, String)>;

/// Metrics of one name, by their labels.
pub(super) type Family<T> = BTreeMap<LabelSet, T>;

/// Writes families of metrics in OpenMetrics text.
pub(super) struct Writer<'a, 'b>(pub(super) &'a mut DescriptorEncoder<'b>);

impl Writer<'_, '_> {
    fn family<T>(
        &mut self,
        name: &str,
        help: &str,
        kind: MetricType,
        family: &Family<T>,
        each: impl Fn(MetricEncoder<'_>, &T) -> fmt::Result,
    ) -> fmt::Result {
        if family.is_empty() {
            return Ok(());
        }
        let mut encoder = self.0.encode_descriptor(name, help, None, kind)?;
        for (labels, value) in family {
            each(encoder.encode_family(labels)?, value)?;
        }
        Ok(())
    }

    pub(super) fn counters(&mut self, name: &str, help: &str, family: &Family<u64>) -> fmt::Result {
        self.family(name, help, MetricType::Counter, family, |mut out, value| {
            out.encode_counter::<LabelSet, _, u64>(value, None)
        })
    }

    pub(super) fn gauges(&mut self, name: &str, help: &str, family: &Family<i64>) -> fmt::Result {
        self.family(name, help, MetricType::Gauge, family, |mut out, value| {
            out.encode_gauge(value)
        })
    }

    pub(super) fn gauge(&mut self, name: &str, help: &str, value: f64) -> fmt::Result {
        let family = Family::from([(Vec::new(), value)]);
        self.family(name, help, MetricType::Gauge, &family, |mut out, value| {
            out.encode_gauge(value)
        })
    }

    pub(super) fn counter(&mut self, name: &str, help: &str, value: f64) -> fmt::Result {
        let family = Family::from([(Vec::new(), value)]);
        self.family(
            name,
            help,
            MetricType::Counter,
            &family,
            |mut out, value| out.encode_counter::<LabelSet, _, u64>(value, None),
        )
    }

    /// Histograms whose values are divided by `scale` to convert their unit. Bounds for which
    /// `keep` is false are merged into the next.
    pub(super) fn histograms(
        &mut self,
        (name, help): (&str, &str),
        bounds: &[u64],
        scale: f64,
        keep: impl Fn(u64) -> bool,
        family: &Family<Snapshot>,
    ) -> fmt::Result {
        self.family(
            name,
            help,
            MetricType::Histogram,
            family,
            |mut out, value| {
                let mut buckets = Vec::new();
                let mut pending = 0;
                for (bound, count) in bounds.iter().zip(&value.counts) {
                    pending += count;
                    if keep(*bound) {
                        buckets.push((*bound as f64 / scale, pending));
                        pending = 0;
                    }
                }
                let above = value.counts.last().copied().unwrap_or_default();
                buckets.push((f64::INFINITY, pending + above));
                let count = value.counts.iter().sum();
                out.encode_histogram::<LabelSet>(value.sum as f64 / scale, count, &buckets, None)
            },
        )
    }

    pub(super) fn seconds(
        &mut self,
        name: &str,
        help: &str,
        family: &Family<Snapshot>,
    ) -> fmt::Result {
        self.histograms((name, help), DURATIONS, 1e6, |_| true, family)
    }
}

/// Adds a value to the metric with these labels, which starts at zero.
pub(super) fn add<T: Default + std::ops::AddAssign>(
    family: &mut Family<T>,
    labels: LabelSet,
    value: T,
) {
    *family.entry(labels).or_default() += value;
}

/// Adds the values of a snapshot to the histogram with these labels.
pub(super) fn join(family: &mut Family<Snapshot>, labels: LabelSet, snapshot: &Snapshot) {
    family.entry(labels).or_default().add(snapshot);
}

/// In the older format a counter is called what its sample is called, and there is no end mark.
pub(super) fn older(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut counters = Vec::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ")
            && let Some((name, "counter")) = rest.split_once(' ')
        {
            counters.push(name);
        }
    }
    for line in text.lines() {
        let mut words = line.splitn(4, ' ');
        if line == "# EOF" {
            continue;
        }
        let (Some("#"), Some(what), Some(name)) = (words.next(), words.next(), words.next()) else {
            let _ = writeln!(out, "{line}");
            continue;
        };
        let total = if counters.contains(&name) {
            "_total"
        } else {
            ""
        };
        if matches!(what, "HELP" | "TYPE") {
            let _ = writeln!(
                out,
                "# {what} {name}{total} {}",
                words.next().unwrap_or_default()
            );
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_older_format_calls_counters_by_their_samples() {
        let text = "# HELP a_b Help.\n# TYPE a_b counter\na_b_total{x=\"1\"} 2\n# HELP g Help.\n# TYPE g gauge\ng 1\n# EOF\n";
        let expected = "# HELP a_b_total Help.\n# TYPE a_b_total counter\na_b_total{x=\"1\"} 2\n# HELP g Help.\n# TYPE g gauge\ng 1\n";
        assert_eq!(older(text), expected);
    }
}
