//! What the startup packet asks for.

use crate::pg::options;
use crate::pg::params::Params;
use crate::pg::wire::startup::Startup;
use crate::refusal::Refusal;
use std::sync::Arc;

pub(super) struct Asked {
    pub(super) user: String,
    pub(super) database: String,
    pub(super) params: Arc<Params>,
}

impl Asked {
    pub(super) fn read(hello: &Startup) -> Result<Asked, Refusal> {
        let text = |name: &str| -> Result<Option<String>, Refusal> {
            let bytes = hello.get(name).filter(|v| !v.is_empty());
            let text = bytes.map(|v| String::from_utf8(v.to_vec())).transpose();
            text.map_err(|_| Refusal::Protocol(format!("{name} is not valid UTF-8")))
        };
        let user = text("user")?
            .ok_or_else(|| Refusal::Protocol("no PostgreSQL user name in startup packet".into()))?;
        let database = text("database")?.unwrap_or_else(|| user.clone());
        if text("replication")?.is_some_and(|v| !matches!(&*v, "false" | "off" | "no" | "0")) {
            return Err(Refusal::Unsupported("replication connections".into()));
        }
        let mut params = Params::default();
        for (name, value) in &hello.parameters {
            options::startup_parameter(&mut params, name, value)?;
        }
        Ok(Asked { user, database, params: Arc::new(params) })
    }
}
