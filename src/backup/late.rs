//! How much would be lost if all servers were lost now.

use std::time::Duration;

/// What is safe, as ages.
#[derive(Clone, Copy, Debug)]
pub struct Safe {
    /// Of the newest backup.
    pub backup: Option<Duration>,
    /// The log is archived; how long some of it has been waiting.
    pub archive: Option<Duration>,
    /// How long somebody has been looking.
    pub watched: Duration,
}

impl Safe {
    /// What was written for so long would be lost. Log without a backup restores nothing.
    pub fn exposed(self) -> Duration {
        match (self.backup, self.archive) {
            (None, _) => self.watched,
            (Some(_), Some(waiting)) => waiting,
            (Some(age), None) => age,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    fn exposed(backup: Option<Duration>, archive: Option<Duration>) -> Duration {
        Safe { backup, archive, watched: 2 * HOUR }.exposed()
    }

    #[test]
    fn the_log_bounds_the_loss_only_behind_a_backup() {
        assert_eq!(exposed(Some(24 * HOUR), Some(Duration::ZERO)), Duration::ZERO);
        assert_eq!(exposed(Some(24 * HOUR), Some(HOUR)), HOUR);
        assert_eq!(exposed(Some(24 * HOUR), None), 24 * HOUR);
        assert_eq!(exposed(None, Some(Duration::ZERO)), 2 * HOUR);
    }
}
