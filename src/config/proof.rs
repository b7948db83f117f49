//! `clusters.NAME.backup.test` and `.hooks`: how backups are proven, and who is told when they are not.

use super::backup::{Pattern, Zone};
use super::cluster::DAY;
use super::reading::Reading;
use super::schema::options;
use super::secret::Secret;
use super::values::{Complaint, Size, Value};
use crate::backup::{self, Schedule};
use crate::failover::CommandLine;
use crate::pg::backup::{Probe, Trial};
use std::path::PathBuf;
use std::time::Duration;
use toml::de::DeValue;
use url::Url;

options! {
    /// Test restores: the newest backup is restored into a scratch folder, a server of its version is
    /// started on it (at the lowest priority, reached by nobody), recovers, and is looked at. What came
    /// of it is stored with the backup. `tidegate backup test` does the same by hand.
    pub struct Test {
        /// When a running proxy does so, as a cron pattern in backup.time_zone. Give it to one proxy
        /// only. None: by command only.
        key schedule: Option<Pattern> => .example("0 5 * * 0").restart();
        /// Where: a folder with room for the whole cluster. The user postgres must be able to enter it if
        /// this process is root, whom PostgreSQL refuses.
        key scratch: PathBuf = "/var/tmp" => .restart();
        /// Where the server's programs are. None: /usr/lib/postgresql/VERSION/bin.
        key programs: Option<PathBuf> => .example("/usr/lib/postgresql/15/bin").restart();
        /// Whether the archived log is replayed up to its end: otherwise that of the backup alone.
        key log: bool = "true" => .restart();
        /// Bytes a second that are restored, at most. "0B": as many as come.
        key max_rate: Size = "0B" => .limits(0, 1 << 40).restart();
        /// How long a test may take as a whole.
        key patience: Duration = "6h" => .limits(1_000, 30 * DAY).restart();
        /// A superuser of the servers; nobody asks for a password there.
        key user: String = "postgres" => .restart();
        /// Whether pg_amcheck goes over all tables and indexes, where it is installed.
        key amcheck: bool = "true" => .restart();
        /// A question of your own, in SQL. None: nothing is asked.
        key probe: Option<String> => .example("SELECT max(at) > now() - interval '2 days' FROM orders").restart();
        /// The database that it is asked in.
        key database: String = "postgres" => .restart();
        /// What it must answer, in the first column of the first row.
        key expect: String = "t" => .restart();
        /// Further settings of the server, such as libraries that the question needs: none are loaded
        /// otherwise, because some act on the world outside by themselves.
        key settings: Assignments = "[]" => .restart();
    }
}

options! {
    /// Who is told when a backup that was due was not taken (event "backup_failed"), when a test restore
    /// failed ("test_failed"), and when backup.rpo is exceeded ("late").
    pub struct Hooks {
        /// A URL to which the event is posted as JSON: event, cluster, at, backup, says.
        secret webhook: Option<Secret> => .example("/run/secrets/backup-webhook").restart();
        /// A program and its arguments. It gets the same JSON on its standard input, and TIDEGATE_EVENT and
        /// TIDEGATE_CLUSTER in its environment.
        key command: CommandLine = "[]" => .restart();
    } refused {
        "webhook" => "such a URL is a secret, and does not belong in this file",
            "write webhook_file = \"/run/secrets/NAME\" or webhook_env = \"NAME\"";
    }
}

impl Test {
    pub fn trial(&self) -> Trial {
        let probe = self.probe.clone().map(|sql| Probe {
            database: self.database.clone(),
            sql,
            expect: self.expect.clone(),
        });
        Trial {
            scratch: self.scratch.clone(),
            programs: self.programs.clone(),
            log: self.log,
            max_rate: self.max_rate.0,
            patience: self.patience,
            user: self.user.clone(),
            probe,
            amcheck: self.amcheck,
            settings: self.settings.0.clone(),
        }
    }

    pub(super) fn schedule(&self, zone: &Zone) -> Option<Schedule> {
        // Both were read before, so both are good.
        Schedule::read(&self.schedule.as_ref()?.0, &zone.0, Duration::ZERO).ok()
    }
}

impl Hooks {
    pub(super) fn settings(&self) -> backup::Hooks {
        backup::Hooks {
            webhook: self.webhook.as_ref().map(|url| url.expose().trim().to_owned()),
            command: self.command.0.clone(),
        }
    }

    /// `path`: `clusters.NAME.backup.hooks`.
    pub(super) fn check(&self, path: &str, reading: &mut Reading<'_>) {
        let Some(url) = &self.webhook else { return };
        let is_web = |url: &Url| ["http", "https"].contains(&url.scheme()) && url.has_host();
        if !Url::parse(url.expose().trim()).is_ok_and(|url| is_web(&url)) {
            let hint = "such as https://example.com/hook; its text is not shown here".to_string();
            reading.wrong(&format!("{path}.webhook"), "holds no URL of the web", Some(hint));
        }
    }
}

/// Settings of a server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Assignments(pub Vec<(String, String)>);

impl Value for Assignments {
    const QUOTED: bool = false;
    fn allowed() -> String {
        "a list of settings such as [\"work_mem=64MB\"]".into()
    }
    fn from_toml(value: &DeValue<'_>) -> Result<Self, Complaint> {
        let complaint = || Complaint::new(format!("must be {}", Self::allowed()));
        let DeValue::Array(list) = value else { return Err(complaint()) };
        let one = |text: &str| {
            let (key, value) = text.split_once('=')?;
            (!key.trim().is_empty()).then(|| (key.trim().to_owned(), value.trim().to_owned()))
        };
        let all = list.iter().map(|text| text.get_ref().as_str().and_then(one));
        all.collect::<Option<Vec<_>>>().map(Assignments).ok_or_else(complaint)
    }
    fn show(&self) -> String {
        let all: Vec<String> = self.0.iter().map(|(key, value)| format!("{key}={value}")).collect();
        format!("{all:?}")
    }
    fn unset() -> Self {
        Assignments::default()
    }
}
