//! An empty data folder, made once and copied for every server.
//!
//! It was made without a binary log, so a copy has no history: a primary and its replicas start
//! from copies of the same one, and replicas replicate from the first event.

use super::install::Install;
use crate::lab::folder::Folder;
use crate::lab::{LabError, spawn};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Weak};
use tokio::sync::Mutex;

/// The user that replicas log in as.
pub(super) const REPLICATION_USER: &str = "replicator";

/// Small files: they are copied for every server. A server must be started with them, too.
pub(super) const SIZES: [&str; 3] = [
    "innodb-log-file-size=8M",
    "innodb-data-file-path=ibdata1:4M:autoextend",
    "innodb-temp-data-file-path=ibtmp1:1M:autoextend",
];

/// Users without a name would catch logins of others; host names are not looked up here.
const USERS: &str = "\
DELETE FROM mysql.global_priv WHERE User = '' OR Host NOT IN ('localhost', '127.0.0.1');
FLUSH PRIVILEGES;
CREATE USER replicator@'127.0.0.1';
GRANT REPLICATION SLAVE ON *.* TO replicator@'127.0.0.1';
";

#[derive(Debug)]
pub(super) struct Template {
    folder: Folder,
}

impl Template {
    /// The template that the clusters of this process share; gone with the last of them.
    pub(super) async fn shared(install: &Install) -> Result<Arc<Template>, LabError> {
        static SHARED: Mutex<Weak<Template>> = Mutex::const_new(Weak::new());
        let mut shared = SHARED.lock().await;
        if let Some(template) = shared.upgrade() {
            return Ok(template);
        }
        let template = Arc::new(Template::new(install).await?);
        *shared = Arc::downgrade(&template);
        Ok(template)
    }

    async fn new(install: &Install) -> Result<Template, LabError> {
        let template = Template { folder: Folder::new(install.owner())? };
        let folder = template.folder.path();
        let users = folder.join("users.sql");
        fs::write(&users, USERS).map_err(LabError::io("write the users of the template"))?;
        let mut installer = install.installer(folder);
        installer.args(["--no-defaults", "--auth-root-authentication-method=normal"]);
        installer.arg(option("datadir", &template.data())).arg(option("extra-file", &users));
        installer.args(["--skip-name-resolve", "--innodb-use-native-aio=0"]);
        installer.arg("--innodb-flush-log-at-trx-commit=0");
        installer.args(SIZES.map(|size| format!("--{size}")));
        spawn::run(installer).await?;
        Ok(template)
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Copies the template to `to`, which must not exist.
    pub(super) async fn copy(&self, to: &Path) -> Result<(), LabError> {
        let mut copy = Command::new("cp");
        copy.args(["-a", "--reflink=auto"]).arg(self.data()).arg(to);
        spawn::run(copy).await.map(drop)
    }
}

fn option(name: &str, path: &Path) -> String {
    format!("--{name}={}", path.display())
}
