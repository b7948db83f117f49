//! Spans for a collector of traces, by OpenTelemetry's protocol: OTLP over HTTP, encoded as JSON.
//!
//! ```text
//! statement ── comment ── Context       whose span it hangs under, and whether that one is kept
//!                            │
//! Span ──────────────────────┴── Tracer ══ a bounded queue ══ Exporter ── otlp ── the collector
//! ```
//!
//! It knows nothing of databases: what a span says is its author's business.

mod comment;
mod context;
mod export;
mod otlp;
mod tracer;

pub use comment::context_of;
pub use context::Context;
pub use export::{Exporter, Settings};
pub use tracer::{Counts, Sampled, Span, Tracer, Value};

use thiserror::Error;

/// Why no spans can be sent.
#[derive(Debug, Error)]
pub enum SpansError {
    #[error("a header of the collector's: {0:?} is not name=value")]
    Header(String),
    #[error("the way to the collector: {0}")]
    Client(#[from] reqwest::Error),
}
