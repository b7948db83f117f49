//! What a restored server is asked.

use super::{Probe, Refuted, Test};
use crate::lab::LabError;
use crate::lab::postgres::Adopted;

/// Lines of a program's words that a failure shows.
const SHOWN: usize = 6;

impl Test<'_> {
    /// The operator's question, and whether tables and indexes hold together.
    pub(super) async fn checks(&mut self, server: &Adopted) -> Result<(), Refuted> {
        if let Some(probe) = &self.trial.probe {
            self.probe(server, probe).await?;
            self.note("probe", format!("answered {:?}", probe.expect));
        }
        if self.trial.amcheck {
            let says = self.amcheck(server).await?;
            self.note("amcheck", says);
        }
        Ok(())
    }

    async fn probe(&self, server: &Adopted, probe: &Probe) -> Result<(), Refuted> {
        let rows = server.node().sql_in(&probe.database, &probe.sql).await?;
        let answer = rows.into_iter().flatten().next().flatten();
        match answer.as_deref() == Some(&*probe.expect) {
            true => Ok(()),
            false => Err(Refuted::Check {
                name: "probe",
                says: format!(
                    "{:?} answered {:?} instead of {:?}",
                    probe.sql,
                    answer.as_deref().unwrap_or("nothing"),
                    probe.expect
                ),
            }),
        }
    }

    /// Goes over all tables and indexes of all databases.
    async fn amcheck(&self, server: &Adopted) -> Result<&'static str, Refuted> {
        const PROGRAM: &str = "pg_amcheck";
        const THERE: &str = "SELECT count(*) FROM pg_available_extensions WHERE name = 'amcheck'";
        if !self.programs.has(PROGRAM) || server.node().value(THERE).await? == "0" {
            return Ok("left out: it is not installed");
        }
        let socket = server.socket().display().to_string();
        let port = server.node().port().to_string();
        let all = ["--all", "--install-missing", "--no-password", "--username", &self.trial.user];
        let arguments = [&all[..], &["--host", &socket, "--port", &port]].concat();
        let done = self.programs.run(PROGRAM, &arguments).await;
        done.map(|_| "tables and indexes hold together").map_err(|error| said(PROGRAM, error))
    }

    /// The server has stopped cleanly.
    pub(super) async fn page_checksums(&mut self) -> Result<(), Refuted> {
        const PROGRAM: &str = "pg_checksums";
        let data = self.scratch.data().display().to_string();
        let control = self.programs.run("pg_controldata", &["-D", &data]).await?;
        let says = match of_control(&control, "Data page checksum version") {
            Some("0") | None => "left out: the cluster has none",
            Some(_) => {
                let done = self.programs.run(PROGRAM, &["--check", "-D", &data]).await;
                done.map(|_| "every page as its checksum says").map_err(|e| said(PROGRAM, e))?
            }
        };
        self.note("checksums", says);
        Ok(())
    }
}

/// What the program said, without the command.
fn said(name: &'static str, error: LabError) -> Refuted {
    match error {
        LabError::Command { output, .. } => {
            let lines: Vec<&str> = output.lines().map(str::trim).take(SHOWN).collect();
            Refuted::Check { name, says: lines.join("; ") }
        }
        error => error.into(),
    }
}

/// A value of what pg_controldata says.
pub(super) fn of_control<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.map(str::trim)
}
