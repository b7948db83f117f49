//! Traces for OpenTelemetry: where they are sent, and which.

use super::reading::Reading;
use super::schema::options;
use super::secret::Secret;
use super::values::{Complaint, Value};
use std::time::Duration;
use toml::de::DeValue;
use url::Url;

const HOUR: u64 = 3_600_000;

options! {
    /// Traces for a collector of OpenTelemetry (OTLP over HTTP, as JSON): a span for each transaction,
    /// or statement outside of one, with where it went, why, and how long it waited. A comment of
    /// sqlcommenter's in a statement, traceparent='…', puts it under the application's span, and says
    /// whether it is kept. Literals are left out.
    pub struct Traces {
        /// Where the collector listens. An address without a path means /v1/traces there. https: the
        /// machine's certificates are trusted, or those of SSL_CERT_FILE. None: nothing is traced.
        key endpoint: Option<Endpoint> => .example("http://127.0.0.1:4318").restart();
        /// What this proxy is called in traces.
        key service_name: String = "tidegate" => .restart();
        /// The part of transactions without a comment that is traced: 0.0 none, 1.0 all.
        key sample_ratio: Ratio = "0.01" => .restart();
        /// Headers that the collector wants, as NAME=VALUE with commas between them.
        secret headers: Option<Secret> => .example("/run/secrets/collector").restart();
        /// How long a span waits for others, to be sent with them.
        key interval: Duration = "5s" => .limits(10, HOUR).restart();
        /// Spans that wait to be sent, at most. Others are dropped, and counted.
        key queue: usize = "4096" => .limits(1, 1_000_000).restart();
    } refused {
        "headers" => "a key does not belong in this file",
            "write headers_file = \"/run/secrets/NAME\" or headers_env = \"NAME\"";
    }
}

/// A collector's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint(pub Url);

impl Value for Endpoint {
    const QUOTED: bool = true;
    fn allowed() -> String {
        "a URL such as \"http://127.0.0.1:4318\"".into()
    }
    fn from_toml(value: &DeValue<'_>) -> Result<Self, Complaint> {
        let complaint = || Complaint::new(format!("must be {}", Self::allowed()));
        let text = value.as_str().ok_or_else(complaint)?;
        let mut url = Url::parse(text).map_err(|_| complaint())?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(complaint());
        }
        if !url.username().is_empty() || url.password().is_some() {
            let hint = "put authorization=Basic%20… into headers_file";
            return Err(Complaint::new("must not hold a user or a password").hint(hint));
        }
        if url.path() == "/" {
            url.set_path("/v1/traces");
        }
        Ok(Endpoint(url))
    }
    fn show(&self) -> String {
        format!("\"{}\"", self.0)
    }
    fn unset() -> Self {
        Endpoint(Url::parse("http://127.0.0.1:4318/v1/traces").expect("a URL"))
    }
}

/// A part, from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ratio(pub f64);

impl Value for Ratio {
    const QUOTED: bool = false;
    fn allowed() -> String {
        "a number from 0.0 to 1.0".into()
    }
    fn from_toml(value: &DeValue<'_>) -> Result<Self, Complaint> {
        let text = match value {
            DeValue::Float(number) => number.as_str(),
            DeValue::Integer(number) => number.as_str(),
            _ => "",
        };
        match text.parse() {
            Ok(ratio) if (0.0..=1.0).contains(&ratio) => Ok(Ratio(ratio)),
            _ => Err(Complaint::new(format!("must be {}", Self::allowed()))),
        }
    }
    fn show(&self) -> String {
        format!("{:?}", self.0)
    }
    fn unset() -> Self {
        Ratio(0.0)
    }
}

pub(super) fn check(traces: &Traces, reading: &mut Reading<'_>) {
    if traces.endpoint.is_none() && traces.headers.is_some() {
        let hint = "name the collector's address, or remove the headers".to_string();
        reading.wrong("tracing.endpoint", "is missing: nothing is traced without it", Some(hint));
    }
}
