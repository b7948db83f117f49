//! What is wrong with a configuration: every problem names its line, key, value and a way out.

use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Tidegate does not start, or does not reload.
    Error,
    /// It starts, but somebody should know.
    Warning,
}

/// One thing to mend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub severity: Severity,
    /// The file, as it was named on the command line.
    pub origin: String,
    /// From 1; `None` when the problem is the file itself.
    pub line: Option<usize>,
    /// The full path of the key, `clusters.orders.pool.size`; empty for the file itself.
    pub key: String,
    /// As it stands in the file; never a secret.
    pub value: Option<String>,
    pub says: String,
    pub hint: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.origin)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if self.severity == Severity::Warning {
            f.write_str(": warning")?;
        }
        match (&self.value, self.key.is_empty()) {
            (Some(value), false) => write!(f, ": {} = {value}: {}", self.key, self.says)?,
            (None, false) => write!(f, ": {}: {}", self.key, self.says)?,
            (_, true) => write!(f, ": {}", self.says)?,
        }
        match &self.hint {
            Some(hint) => write!(f, "\n  hint: {hint}"),
            None => Ok(()),
        }
    }
}

/// All problems of one file, by line, warnings included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    /// How many of them keep Tidegate from starting.
    pub fn errors(&self) -> usize {
        self.0.iter().filter(|p| p.severity == Severity::Error).count()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(Problem::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for Problems {}
