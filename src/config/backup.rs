//! `clusters.NAME.backup`: where backups go, which node they are taken from, how long they are kept.

use super::choices::Engine;
use super::cluster::{Cluster, DAY};
use super::proof::{Hooks, Test};
use super::reading::Reading;
use super::schema::options;
use super::secret::Secret;
use super::values::{Complaint, Size, Value};
use crate::backup::{self, From, Keyring, Schedule, read_key};
use jiff::tz::TimeZone;
use std::sync::Arc;
use std::time::Duration;
use toml::de::DeValue;
use url::Url;

const YEAR: u64 = 365 * DAY;

options! {
    /// Base backups from a replica, and the archive of the log. The monitor's user needs the
    /// attribute REPLICATION (ALTER ROLE tidegate REPLICATION), and a line for the database
    /// "replication" in every node's pg_hba.conf.
    pub struct Backup {
        /// Where backups go: "file:///path", "s3://bucket/path", "gs://bucket/path" or
        /// "az://container/path". Each cluster has a place of its own. A cloud's credentials come
        /// from the environment, by its usual names: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY,
        /// AWS_REGION, AWS_ENDPOINT; GOOGLE_APPLICATION_CREDENTIALS; AZURE_STORAGE_ACCOUNT_NAME,
        /// AZURE_STORAGE_ACCOUNT_KEY. A folder is made for its owner alone. A restored server fetches its
        /// log by itself: its user must be able to read the store, and this file with what it names.
        /// None: there are no backups.
        key store: Option<StoreUrl> => .example("s3://backups/orders").restart();
        /// Which nodes they are taken from. "replica": never the primary; "any": the primary, too,
        /// if no replica is able. Nodes with backup = true go first.
        key from: From = "replica" => .restart();
        /// How old the data of a replica may be at most for a backup to be taken from it.
        key max_lag: Duration = "1m" => .limits(100, DAY).restart();
        /// While the data of the replica is older than this, the copy waits for it.
        key pause_lag: Duration = "10s" => .limits(100, DAY).restart();
        /// Bytes a second that are read from the node, at most. "0B": as many as come.
        key max_rate: Size = "0B" => .limits(0, 1 << 40).restart();
        /// zstd's level: 1 is the fastest.
        key compression: u32 = "1" => .limits(1, 19).restart();
        /// When a running proxy takes backups, as a cron pattern: minute, hour, day of the month,
        /// month, day of the week. One that was missed is made up for at the next start. Give it to
        /// one proxy only. None: backups are taken by command only.
        key schedule: Option<Pattern> => .example("0 3 * * *").restart();
        /// The time zone of schedule, by its name in the IANA database.
        key time_zone: Zone = "UTC" => .restart();
        /// Each moment of schedule is put off by up to so long, by chance.
        key jitter: Duration = "0s" => .limits(0, DAY).restart();
        /// Keys by which what is stored is encrypted (AES-256-GCM), the catalogue excepted. The first one
        /// encrypts; the others open what they encrypted before. Keep them somewhere else, too: without
        /// them no backup is restored. None: nothing is encrypted.
        key keys: Vec<BackupKey>;
        /// Whether a running proxy archives the log, from a replica as long as there is one: then
        /// any moment of the recovery window can be restored, up to the last segment that is whole.
        /// archive_timeout on the servers bounds how long that takes. No server keeps log for the
        /// archive: wal_keep_size must bridge the time in which nobody can fetch it.
        key archive: bool = "true" => .restart();
        /// How much may be lost at most when all servers are lost, as time: what was written must be in
        /// the archive, or else in a backup, after so long. When it is not, the hooks are told. None:
        /// nobody is.
        key rpo: Option<Duration> => .example("15m").limits(1_000, YEAR).restart();
        /// How long backups are kept.
        key keep: Keep;
        /// Test restores.
        key test: Test;
        /// Who is told when something goes wrong.
        key hooks: Hooks;
    }
}

options! {
    /// A key of 64 hexadecimal digits, such as `openssl rand -hex 32` makes.
    pub struct BackupKey {
        /// The key itself.
        secret key: Option<Secret> => .example("/etc/tidegate/backup.key").restart();
    } refused {
        "key" => "a key does not belong in this file",
            "write key_file = \"/etc/tidegate/NAME\" or key_env = \"NAME\"";
    }
}

options! {
    /// How long backups are kept. A backup that any of these asks for stays, and so do the newest
    /// one and those that are held. 0 asks for none.
    pub struct Keep {
        /// Days (UTC) of which the last backup is kept. Days without a backup do not count.
        key daily: u32 = "7" => .limits(0, 10_000).restart();
        /// The same for weeks, which begin on Monday.
        key weekly: u32 = "4" => .limits(0, 10_000).restart();
        /// The same for months.
        key monthly: u32 = "12" => .limits(0, 10_000).restart();
        /// The recovery window: so far back any moment can be restored, with the log that is
        /// archived since then.
        key window: Duration = "7d" => .limits(0, 100 * YEAR).restart();
    }
}

impl Backup {
    /// `None`: there are no backups.
    pub fn settings(&self) -> Option<backup::Settings> {
        Some(backup::Settings {
            store: self.store.as_ref()?.0.clone(),
            from: self.from,
            max_lag: self.max_lag,
            pause_lag: self.pause_lag,
            max_rate: self.max_rate.0,
            level: self.compression,
            schedule: self.schedule(),
            archive: self.archive,
            rpo: self.rpo,
            keys: self.keyring(),
            hooks: self.hooks.settings(),
            keep: backup::Keep {
                daily: self.keep.daily,
                weekly: self.keep.weekly,
                monthly: self.keep.monthly,
                window: self.keep.window,
            },
        })
    }
}

impl Backup {
    fn keyring(&self) -> Arc<Keyring> {
        let secrets = self.keys.iter().filter_map(|key| key.key.as_ref());
        let keys: Vec<_> = secrets.filter_map(|key| read_key(key.expose())).collect();
        Arc::new(Keyring::new(&keys))
    }

    /// When the newest one is restored for a test; `None`: when somebody says so.
    pub fn test_schedule(&self) -> Option<Schedule> {
        self.test.schedule(&self.time_zone)
    }

    fn schedule(&self) -> Option<Schedule> {
        // Both were read before, so both are good.
        Schedule::read(&self.schedule.as_ref()?.0, &self.time_zone.0, self.jitter).ok()
    }
}

/// A cron pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(pub String);

impl Value for Pattern {
    const QUOTED: bool = true;
    fn allowed() -> String {
        "a cron pattern such as \"0 3 * * *\"".into()
    }
    fn from_toml(value: &DeValue<'_>) -> Result<Self, Complaint> {
        let complaint = || Complaint::new(format!("must be {}", Self::allowed()));
        let text = value.as_str().ok_or_else(complaint)?;
        match Schedule::read(text, "UTC", Duration::ZERO) {
            Ok(_) => Ok(Pattern(text.to_owned())),
            Err(why) => Err(complaint().hint(why)),
        }
    }
    fn show(&self) -> String {
        format!("{:?}", self.0)
    }
    fn unset() -> Self {
        Pattern(String::new())
    }
}

/// The name of a time zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone(pub String);

impl Value for Zone {
    const QUOTED: bool = true;
    fn allowed() -> String {
        "a time zone such as \"UTC\" or \"Europe/Berlin\"".into()
    }
    fn from_toml(value: &DeValue<'_>) -> Result<Self, Complaint> {
        let complaint = || Complaint::new(format!("must be {}", Self::allowed()));
        let text = value.as_str().ok_or_else(complaint)?;
        match TimeZone::get(text) {
            Ok(_) => Ok(Zone(text.to_owned())),
            Err(why) => Err(complaint().hint(why.to_string())),
        }
    }
    fn show(&self) -> String {
        format!("{:?}", self.0)
    }
    fn unset() -> Self {
        Zone("UTC".into())
    }
}

/// Where a store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreUrl(pub String);

const SCHEMES: &[&str] = &["file", "s3", "gs", "az"];

impl Value for StoreUrl {
    const QUOTED: bool = true;
    fn allowed() -> String {
        "a place such as \"file:///var/backups/orders\" or \"s3://bucket/orders\"".into()
    }
    fn from_toml(value: &DeValue<'_>) -> Result<Self, Complaint> {
        let complaint = || Complaint::new(format!("must be {}", Self::allowed()));
        let text = value.as_str().ok_or_else(complaint)?;
        let url = Url::parse(text).map_err(|_| complaint())?;
        if !SCHEMES.contains(&url.scheme()) {
            return Err(complaint().hint(format!("it begins with one of: {}", SCHEMES.join(", "))));
        }
        if !url.username().is_empty() || url.password().is_some() {
            let says = "credentials do not belong in this file";
            return Err(Complaint::new(says).hint("they come from the environment"));
        }
        let is_whole = match url.scheme() {
            "file" => url.host_str().is_none_or(str::is_empty) && url.path().len() > 1,
            _ => url.host_str().is_some_and(|host| !host.is_empty()),
        };
        is_whole.then(|| StoreUrl(text.to_owned())).ok_or_else(complaint)
    }
    fn show(&self) -> String {
        format!("{:?}", self.0)
    }
    fn unset() -> Self {
        StoreUrl(String::new())
    }
}

/// `path`: `clusters.NAME`.
pub(super) fn check(path: &str, cluster: &Cluster, reading: &mut Reading<'_>) {
    let backup = &cluster.backup;
    let store = format!("{path}.backup.store");
    if backup.store.is_none() || reading.is_wrong(&store) {
        return;
    }
    if cluster.engine != Engine::Postgres {
        let hint =
            "remove this section; mariadb-backup and mysqldump are at your service".to_string();
        reading.wrong(&store, "backups are not built yet for MySQL and MariaDB", Some(hint));
        return;
    }
    for (number, key) in backup.keys.iter().enumerate() {
        let says = match &key.key {
            None => "names no key",
            Some(key) if read_key(key.expose()).is_none() => "is no key of 64 hexadecimal digits",
            Some(_) => continue,
        };
        let hint =
            "key_file = \"/etc/tidegate/backup.key\", made by: openssl rand -hex 32".to_string();
        reading.wrong(&format!("{path}.backup.keys[{number}]"), says, Some(hint));
    }
    backup.hooks.check(&format!("{path}.backup.hooks"), reading);
    if cluster.nodes.len() == 1 && backup.from == From::Replica {
        let hint = "set \"any\", or add a replica to nodes".to_string();
        let says = "no backup will be taken: there is no replica";
        reading.warn(&format!("{path}.backup.from"), says, Some(hint));
    }
    if backup.pause_lag > backup.max_lag {
        let says = format!("must be at most {path}.backup.max_lag, {:?}", backup.max_lag);
        let hint = "a replica that is further behind is not taken at all".to_string();
        reading.wrong(&format!("{path}.backup.pause_lag"), says, Some(hint));
    }
}
