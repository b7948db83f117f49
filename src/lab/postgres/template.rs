//! An empty database system, made once and copied for every server.
//!
//! It was shut down cleanly, so a copy is a valid base backup: a primary and its replicas start
//! from copies of the same one and share a system identifier, as streaming asks.

use super::install::Install;
use crate::lab::folder::Folder;
use crate::lab::{LabError, spawn};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Weak};
use tokio::sync::Mutex;

/// The user that replicas log in as.
pub(super) const REPLICATION_USER: &str = "replicator";

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
        let template = Template::new(install, false).await?;
        *shared = Arc::downgrade(&template);
        Ok(template)
    }

    /// A template with a system identifier of its own.
    pub(super) async fn new(install: &Install, checksums: bool) -> Result<Arc<Template>, LabError> {
        let folder = Folder::new(install.owner())?;
        let template = Template { folder };
        let data = template.data();
        let mut initdb = install.command("initdb", template.folder.path());
        initdb.arg("-D").arg(&data).args(["-U", "postgres", "-A", "trust", "-E", "UTF8"]);
        initdb.args(["--no-locale", "--no-sync"]);
        if checksums {
            initdb.arg("--data-checksums");
        }
        spawn::run(initdb).await?;
        let mut single = install.command("postgres", template.folder.path());
        single.args(["--single", "-F", "-D"]).arg(&data).arg("postgres");
        single.stdin(template.script()?);
        spawn::run(single).await?;
        Ok(Arc::new(template))
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn script(&self) -> Result<Stdio, LabError> {
        let path = self.folder.path().join("roles.sql");
        let text = format!("CREATE ROLE {REPLICATION_USER} REPLICATION LOGIN;\n");
        fs::write(&path, text).map_err(LabError::io("write the roles of the template"))?;
        Ok(fs::File::open(&path).map_err(LabError::io("read the roles of the template"))?.into())
    }

    /// Copies the template to `to`, which must not exist.
    pub(super) async fn copy(&self, to: &Path) -> Result<(), LabError> {
        let mut copy = Command::new("cp");
        copy.args(["-a", "--reflink=auto"]).arg(self.data()).arg(to);
        spawn::run(copy).await.map(drop)
    }
}
