//! The text format of Prometheus, version 0.0.4.
//!
//! Source: <https://prometheus.io/docs/instrumenting/exposition_formats/>.

use super::Distribution;
use std::fmt::Write;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        }
    }
}

/// One metric: its unit is the end of its name.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    pub name: &'static str,
    pub kind: Kind,
    pub help: &'static str,
    /// Names of its labels, in the order in which samples give their values.
    pub labels: &'static [&'static str],
}

/// A page being written.
#[derive(Debug, Default)]
pub struct Exposition {
    text: String,
}

impl Exposition {
    /// Starts a metric; its samples follow.
    pub fn metric(&mut self, metric: &Metric) {
        let Metric { name, kind, help, .. } = metric;
        let help = help.replace('\\', "\\\\").replace('\n', "\\n");
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {}", kind.name());
    }

    pub fn sample(&mut self, metric: &Metric, labels: &[&str], value: f64) {
        self.line(metric, "", labels, None, value);
    }

    pub fn distribution(&mut self, metric: &Metric, labels: &[&str], seen: &Distribution) {
        for (bound, count) in seen.cumulative() {
            self.line(metric, "_bucket", labels, Some(&bound.to_string()), count as f64);
        }
        self.line(metric, "_bucket", labels, Some("+Inf"), seen.count() as f64);
        self.line(metric, "_sum", labels, None, seen.sum().as_secs_f64());
        self.line(metric, "_count", labels, None, seen.count() as f64);
    }

    fn line(&mut self, metric: &Metric, end: &str, labels: &[&str], le: Option<&str>, value: f64) {
        self.text.push_str(metric.name);
        self.text.push_str(end);
        let pairs = metric.labels.iter().copied().zip(labels.iter().copied());
        let mut open = '{';
        for (name, value) in pairs.chain(le.map(|le| ("le", le))) {
            let _ = write!(self.text, "{open}{name}=\"{}\"", escaped(value));
            open = ',';
        }
        if open == ',' {
            self.text.push('}');
        }
        let _ = writeln!(self.text, " {value}");
    }

    pub fn finish(self) -> String {
        self.text
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Histogram;
    use std::time::Duration;

    const READS: Metric =
        Metric { name: "reads_total", kind: Kind::Counter, help: "Reads.", labels: &["node"] };

    #[test]
    fn a_label_cannot_break_out_of_its_quotes() {
        let mut page = Exposition::default();
        page.metric(&READS);
        page.sample(&READS, &["a\"\\\n"], 3.0);
        let expected = "# HELP reads_total Reads.\n# TYPE reads_total counter\n\
                        reads_total{node=\"a\\\"\\\\\\n\"} 3\n";
        assert_eq!(page.finish(), expected);
    }

    #[test]
    fn a_histogram_ends_with_infinity_sum_and_count() {
        const WAIT: Metric =
            Metric { name: "wait_seconds", kind: Kind::Histogram, help: "Wait.", labels: &[] };
        let histogram = Histogram::default();
        histogram.observe(Duration::from_millis(500));
        let mut page = Exposition::default();
        page.distribution(&WAIT, &[], &histogram.distribution());
        let text = page.finish();
        assert!(text.contains("wait_seconds_bucket{le=\"0.262144\"} 0\n"), "{text}");
        assert!(text.contains("wait_seconds_bucket{le=\"0.524288\"} 1\n"), "{text}");
        let end = "{le=\"+Inf\"} 1\nwait_seconds_sum 0.5\nwait_seconds_count 1\n";
        assert!(text.ends_with(end), "{text}");
    }
}
