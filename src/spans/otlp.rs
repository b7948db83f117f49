//! Spans as a request of OTLP, encoded as JSON: numbers of traces and spans in hexadecimal digits,
//! whole numbers of 64 bits as texts.
//!
//! Source: <https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>, and
//! `opentelemetry/proto/trace/v1/trace.proto`.

use super::tracer::{Numbered, Sampled, Value};
use serde::{Deserialize, Serialize};
use std::fmt::Write;
use std::time::SystemTime;

/// The version of the semantic conventions that names are of.
const SCHEMA: &str = "https://opentelemetry.io/schemas/1.36.0";
/// `SPAN_KIND_CLIENT`: a call of a database.
const CLIENT: u8 = 3;
/// `STATUS_CODE_ERROR`
const FAILED: u8 = 2;
/// The trace is kept; whether the parent is another process's is known; it is.
const FLAGS: u32 = 0x001;
const FLAGS_REMOTE: u32 = 0x301;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Request<'a> {
    resource_spans: [ResourceSpans<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ResourceSpans<'a> {
    resource: Resource<'a>,
    scope_spans: [ScopeSpans<'a>; 1],
    schema_url: &'static str,
}

#[derive(Serialize)]
struct Resource<'a> {
    attributes: Vec<Attribute<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ScopeSpans<'a> {
    scope: Scope,
    spans: Vec<Span<'a>>,
    schema_url: &'static str,
}

#[derive(Serialize)]
struct Scope {
    name: &'static str,
    version: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Span<'a> {
    trace_id: String,
    span_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_state: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_span_id: Option<String>,
    flags: u32,
    name: &'a str,
    kind: u8,
    start_time_unix_nano: String,
    end_time_unix_nano: String,
    attributes: Vec<Attribute<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status<'a>>,
}

#[derive(Serialize)]
struct Status<'a> {
    code: u8,
    message: &'a str,
}

#[derive(Serialize)]
struct Attribute<'a> {
    key: &'a str,
    value: AnyValue<'a>,
}

#[derive(Serialize)]
enum AnyValue<'a> {
    #[serde(rename = "stringValue")]
    Text(&'a str),
    #[serde(rename = "intValue")]
    Whole(String),
    #[serde(rename = "doubleValue")]
    Fraction(f64),
}

/// What a collector says that took some and not others.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Answer {
    pub(super) partial_success: PartialSuccess,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct PartialSuccess {
    /// A number, or a text that is one.
    rejected_spans: serde_json::Value,
    pub(super) error_message: String,
}

impl PartialSuccess {
    pub(super) fn rejected(&self) -> u64 {
        let text = self.rejected_spans.as_str().and_then(|text| text.parse().ok());
        text.or(self.rejected_spans.as_u64()).unwrap_or(0)
    }
}

/// The request for these spans of the service of this name.
pub(super) fn request<'a>(service: &'a str, spans: &'a [Numbered]) -> Request<'a> {
    let version = env!("CARGO_PKG_VERSION");
    let text = |key, value| Attribute { key, value: AnyValue::Text(value) };
    let resource = Resource {
        attributes: vec![text("service.name", service), text("service.version", version)],
    };
    let spans = spans.iter().map(span).collect();
    let scope = Scope { name: "tidegate", version };
    let scope_spans = [ScopeSpans { scope, spans, schema_url: SCHEMA }];
    Request { resource_spans: [ResourceSpans { resource, scope_spans, schema_url: SCHEMA }] }
}

fn span(numbered: &Numbered) -> Span<'_> {
    let span = &numbered.span;
    let context = match &span.place {
        Sampled::Under(context) => Some(context),
        Sampled::ByLot => None,
    };
    Span {
        trace_id: hex(&numbered.trace),
        span_id: hex(&numbered.id),
        trace_state: context.and_then(|context| context.state.as_deref()),
        parent_span_id: context.map(|context| hex(&context.parent)),
        flags: if context.is_some() { FLAGS_REMOTE } else { FLAGS },
        name: &span.name,
        kind: CLIENT,
        start_time_unix_nano: nanoseconds(span.start),
        end_time_unix_nano: nanoseconds(span.start + span.took),
        attributes: span.attributes.iter().map(|(key, value)| attribute(key, value)).collect(),
        status: span.failure.as_deref().map(|message| Status { code: FAILED, message }),
    }
}

fn attribute<'a>(key: &'a str, value: &'a Value) -> Attribute<'a> {
    let value = match value {
        Value::Text(text) => AnyValue::Text(text),
        Value::Whole(number) => AnyValue::Whole(number.to_string()),
        Value::Fraction(number) => AnyValue::Fraction(*number),
    };
    Attribute { key, value }
}

/// Since 1970.
fn nanoseconds(at: SystemTime) -> String {
    at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos().to_string()
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spans::Context;
    use std::time::Duration;

    #[test]
    fn a_span_has_the_form_of_the_protocol() {
        let context =
            Context { trace: [0xab; 16], parent: [1; 8], sampled: true, state: Some("a=b".into()) };
        let span = crate::spans::Span {
            place: Sampled::Under(context),
            name: "SELECT t".into(),
            start: SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000),
            took: Duration::from_nanos(1500),
            attributes: vec![
                ("db.namespace", "shop".into()),
                ("server.port", Value::Whole(5432)),
                ("tidegate.wait", Value::Fraction(0.5)),
            ],
            failure: Some("40001".into()),
        };
        let spans = [Numbered { trace: [0xab; 16], id: [2; 8], span }];
        let json = serde_json::to_value(request("shop-proxy", &spans)).expect("plain data");
        let of = &json["resourceSpans"][0];
        assert_eq!(of["resource"]["attributes"][0]["value"]["stringValue"], "shop-proxy");
        let span = &of["scopeSpans"][0]["spans"][0];
        assert_eq!(span["traceId"], "abababababababababababababababab");
        assert_eq!(span["parentSpanId"], "0101010101010101");
        assert_eq!(span["traceState"], "a=b");
        assert_eq!(span["startTimeUnixNano"], "1700000000000000000");
        assert_eq!(span["endTimeUnixNano"], "1700000000000001500");
        assert_eq!(span["attributes"][1]["value"]["intValue"], "5432");
        assert_eq!(span["attributes"][2]["value"]["doubleValue"], 0.5);
        assert_eq!(span["status"]["code"], 2);
    }

    #[test]
    fn what_a_collector_rejects_is_a_number_or_a_text() {
        let rejected = |text: &str| {
            serde_json::from_str::<Answer>(text).expect("an answer").partial_success.rejected()
        };
        assert_eq!(rejected("{}"), 0);
        assert_eq!(rejected(r#"{"partialSuccess":{}}"#), 0);
        assert_eq!(rejected(r#"{"partialSuccess":{"rejectedSpans":"3","errorMessage":"x"}}"#), 3);
        assert_eq!(rejected(r#"{"partialSuccess":{"rejectedSpans":4}}"#), 4);
    }
}
