//! Structured logs on standard error, as text or as JSON lines.

use std::fmt;
use std::io::IsTerminal;
use std::str::FromStr;
use thiserror::Error;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    #[default]
    Text,
    Json,
}

impl FromStr for Format {
    type Err = String;
    fn from_str(text: &str) -> Result<Format, String> {
        match text {
            "text" => Ok(Format::Text),
            "json" => Ok(Format::Json),
            _ => Err(format!("{text:?} is not a log format: text or json")),
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Format::Text => "text",
            Format::Json => "json",
        })
    }
}

#[derive(Debug, Error)]
pub enum LogError {
    #[error("log level {level:?}: {source}")]
    Level { level: String, source: tracing_subscriber::filter::ParseError },
    #[error("logs are already being written")]
    Already(#[from] TryInitError),
}

/// Starts logging for the whole process. `level` is one of error, warn, info, debug, trace, or a
/// list such as `info,tidegate::pool=debug`.
pub fn init(level: &str, format: Format) -> Result<(), LogError> {
    let filter = filter(level)?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        Format::Text => builder.with_ansi(std::io::stderr().is_terminal()).finish().try_init()?,
        Format::Json => builder.json().flatten_event(true).finish().try_init()?,
    }
    Ok(())
}

fn filter(level: &str) -> Result<EnvFilter, LogError> {
    let parsed = EnvFilter::builder().parse(level);
    parsed.map_err(|source| LogError::Level { level: level.to_string(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_may_be_given_per_module() {
        let filter = filter("info,tidegate::pool=debug").expect("a filter");
        assert_eq!(filter.to_string(), "tidegate::pool=debug,info");
    }

    #[test]
    fn a_level_that_is_none_is_named_in_the_error() {
        let error = filter("tidegate=loud").expect_err("no such level").to_string();
        assert!(error.starts_with("log level \"tidegate=loud\""), "{error}");
    }
}
