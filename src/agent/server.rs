//! The server's process and its own programs.

use super::settings::Postgres;
use crate::orders::{How, Source};
use crate::pg::govern::aim;
use crate::proctree;
use rustix::process::Signal;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant, SystemTime};
use thiserror::Error;
use tokio::process::Command;
use tokio::time::sleep;

/// Between two looks at something that takes milliseconds.
const GLANCE: Duration = Duration::from_millis(20);

/// How long an immediate stop may take before the processes are killed.
const POLITE: Duration = Duration::from_millis(300);

/// How long the kernel may take to remove what was killed.
const KILLED: Duration = Duration::from_secs(5);

/// Lines of a program's output that an error shows.
const TAIL: usize = 5;

/// Files of the operator's in a data directory: they are not the source's.
const OWN: [&str; 4] = ["postgresql.conf", "postgresql.auto.conf", "pg_hba.conf", "pg_ident.conf"];

/// Why something could not be done.
#[derive(Debug, Error)]
pub(super) enum ServerError {
    #[error("cannot {what}: {source}")]
    Io { what: String, source: io::Error },
    #[error("{program} failed: {says}")]
    Program { program: &'static str, says: String },
    #[error("the server still runs after {0:?}")]
    StillRuns(Duration),
    #[error("the server does not run after its start; its log is {}", log.display())]
    NotStarted { log: PathBuf },
    #[error("{0}")]
    Conninfo(String),
    #[error("the source belongs to database system {theirs}, not to {ours}")]
    OtherSystem { ours: u64, theirs: u64 },
}

impl ServerError {
    fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> ServerError {
        let what = what.into();
        move |source| ServerError::Io { what, source }
    }
}

/// What its control file says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Control {
    pub(super) system: u64,
    pub(super) timeline: u32,
}

/// One PostgreSQL server, running or not.
#[derive(Clone, Debug)]
pub(super) struct Server {
    settings: Postgres,
    /// Where the operator's files are kept while the data are not whole.
    aside: PathBuf,
}

impl Server {
    pub(super) fn new(settings: Postgres, state_dir: &Path) -> Server {
        Server { settings, aside: state_dir.join("configuration") }
    }

    fn data(&self) -> &Path {
        &self.settings.data_dir
    }

    /// The postmaster, if it is alive: the pid file alone may be older than the machine's start.
    pub(super) fn pid(&self) -> Option<u32> {
        let text = fs::read_to_string(self.data().join("postmaster.pid")).ok()?;
        let pid = text.lines().next()?.trim().parse().ok()?;
        let at = fs::read_link(format!("/proc/{pid}/cwd")).ok()?;
        let ours = fs::canonicalize(self.data()).is_ok_and(|data| data == at);
        (ours && proctree::is_alive(pid)).then_some(pid)
    }

    pub(super) fn is_standby(&self) -> bool {
        self.data().join("standby.signal").exists()
    }

    /// Of data that are not there, nothing is known.
    pub(super) async fn control(&self) -> Result<Control, ServerError> {
        match self.data().join("global/pg_control").exists() {
            true => self.control_of(self.data()).await,
            false => Ok(Control::default()),
        }
    }

    async fn control_of(&self, data: &Path) -> Result<Control, ServerError> {
        let program = "pg_controldata";
        let mut command = self.program(program);
        command.arg("-D").arg(data);
        let text = run(program, command).await?;
        let value = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name))?;
            line.trim_start_matches(':').trim().parse::<u64>().ok()
        };
        let timeline = value("Latest checkpoint's TimeLineID").and_then(|t| u32::try_from(t).ok());
        match value("Database system identifier").zip(timeline) {
            Some((system, timeline)) => Ok(Control { system, timeline }),
            None => Err(ServerError::Program { program, says: "it was not understood".into() }),
        }
    }

    /// All that runs in its data directory, with or without a postmaster.
    fn processes(&self) -> Vec<u32> {
        let Ok(data) = fs::canonicalize(self.data()) else { return Vec::new() };
        let link = |pid: u32, name: &str| fs::read_link(format!("/proc/{pid}/{name}")).ok();
        let ours = |pid: &u32| {
            let program = link(*pid, "exe");
            let program = program.as_deref().and_then(Path::file_name);
            program.is_some_and(|name| name.to_string_lossy().starts_with("postgres"))
                && link(*pid, "cwd").is_some_and(|at| at == data)
        };
        proctree::all().filter(ours).filter(|pid| proctree::is_alive(*pid)).collect()
    }

    /// All its processes are gone when this answers.
    pub(super) async fn stop(&self, how: How) -> Result<String, ServerError> {
        match how {
            How::Fast => {
                let Some(pid) = self.pid() else { return self.stop_now().await };
                let known = self.processes();
                proctree::thaw(pid);
                proctree::signal(pid, Signal::INT);
                match self.gone(&known, self.settings.patience).await {
                    true => Ok("it shut down".into()),
                    false => Err(ServerError::StillRuns(self.settings.patience)),
                }
            }
            How::Immediate => self.stop_now().await,
        }
    }

    async fn stop_now(&self) -> Result<String, ServerError> {
        let mut known = self.processes();
        if known.is_empty() {
            return Ok("no process of it runs".into());
        }
        if let Some(pid) = self.pid() {
            proctree::signal(pid, Signal::QUIT);
            if self.gone(&known, POLITE).await {
                return Ok("it quit at once, and no process of it is left".into());
            }
            proctree::kill(pid);
        }
        // Those whose postmaster is gone go on with what they are at.
        let left = self.processes();
        left.iter().for_each(|pid| proctree::signal(*pid, Signal::KILL));
        known.extend(left);
        match self.gone(&known, KILLED).await {
            true => Ok("it was killed, and no process of it is left".into()),
            false => Err(ServerError::StillRuns(POLITE + KILLED)),
        }
    }

    /// Whether all its processes end in time; `known`: some of them. One that is about to end shows
    /// no more where it runs.
    async fn gone(&self, known: &[u32], within: Duration) -> bool {
        let end = Instant::now() + within;
        let ended = || !known.iter().any(|pid| proctree::is_alive(*pid));
        while !(ended() && self.processes().is_empty()) {
            if Instant::now() > end {
                return false;
            }
            sleep(GLANCE).await;
        }
        true
    }

    pub(super) async fn start(&self) -> Result<String, ServerError> {
        if self.pid().is_some() {
            return Ok("it ran already".into());
        }
        let mut command = self.program("pg_ctl");
        let mut options = self.settings.options.clone().unwrap_or_default();
        if let Some(file) = &self.settings.config_file {
            options.push_str(&format!(" -c config_file={}", file.display()));
        }
        let seconds = self.settings.patience.as_secs().max(1).to_string();
        command.args(["start", "-w", "-t", &seconds, "-o", &options]);
        command.arg("-D").arg(self.data()).arg("-l").arg(&self.settings.log);
        let started = run("pg_ctl", command).await;
        match (self.pid(), started) {
            // A standby may wait for log before it lets anybody in.
            (Some(pid), _) => Ok(format!("it runs as process {pid}")),
            (None, Err(error)) => Err(error),
            (None, Ok(_)) => Err(ServerError::NotStarted { log: self.settings.log.clone() }),
        }
    }

    /// Takes the data back to where they parted from the source's, and on from there.
    pub(super) async fn rewind(&self, source: &Source) -> Result<String, ServerError> {
        self.put_aside()?;
        let mut command = self.program("pg_rewind");
        command.arg("--target-pgdata").arg(self.data());
        if let Some(file) = &self.settings.config_file {
            command.arg("--config-file").arg(file);
        }
        let from = conninfo(&self.settings.rewind_conninfo, source)?;
        command.arg("--source-server").arg(from);
        let done = run("pg_rewind", command).await;
        self.put_back(self.data())?;
        let said = done?;
        let last = said.lines().map(str::trim).rfind(|line| !line.is_empty());
        Ok(last.unwrap_or("done").trim_start_matches("pg_rewind: ").to_owned())
    }

    /// Copies the source, then changes places: the old data stay beside the new ones. `torn`: they are
    /// half rewound, and the operator's files were put aside before.
    pub(super) async fn copy(
        &self,
        source: &Source,
        system: u64,
        torn: bool,
    ) -> Result<String, ServerError> {
        let new = beside(self.data(), "tidegate-clone");
        if new.exists() {
            // Of an earlier attempt: nothing else has this name.
            fs::remove_dir_all(&new)
                .map_err(ServerError::io(format!("remove {}", new.display())))?;
        }
        let mut command = self.program("pg_basebackup");
        // Without a terminal pg_basebackup would ask for a missing password for ever.
        command.arg("-D").arg(&new).args(["-X", "stream", "-c", "fast", "--no-password"]);
        command.arg("-d").arg(conninfo(&self.settings.replication_conninfo, source)?);
        run("pg_basebackup", command).await?;
        let theirs = self.control_of(&new).await?.system;
        if theirs != system {
            return Err(ServerError::OtherSystem { ours: system, theirs });
        }
        if self.data().exists() {
            if !torn {
                self.put_aside()?;
            }
            self.put_back(&new)?;
        }
        make_standby(&new)?;
        let kept = self.change_places(&new)?;
        Ok(match kept {
            Some(kept) => format!("copied; the old data are kept in {}", kept.display()),
            None => "copied".into(),
        })
    }

    /// Answers with where the old data are now.
    fn change_places(&self, new: &Path) -> Result<Option<PathBuf>, ServerError> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let seconds = now.map_or(0, |since| since.as_secs());
        let kept = beside(self.data(), &format!("kept-{seconds}"));
        let there = self.data().exists();
        if there {
            fs::rename(self.data(), &kept)
                .map_err(ServerError::io(format!("rename {}", self.data().display())))?;
        }
        if let Err(error) = fs::rename(new, self.data()) {
            if there {
                let back = fs::rename(&kept, self.data());
                back.map_err(ServerError::io(format!("rename {} back", kept.display())))?;
            }
            return Err(ServerError::io(format!("rename {}", new.display()))(error));
        }
        sync_folder(self.data().parent().unwrap_or(Path::new("/")))?;
        Ok(there.then_some(kept))
    }

    /// It follows the source when it is started next.
    pub(super) fn follow(&self, source: &Source) -> Result<String, ServerError> {
        let to = conninfo(&self.settings.replication_conninfo, source)?;
        let path = self.data().join("postgresql.auto.conf");
        let what = || ServerError::io(format!("change {}", path.display()));
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(what()(error)),
        };
        let new = path.with_extension("conf.tidegate");
        fs::write(&new, with_primary(&text, &to)).map_err(what())?;
        File::open(&new).and_then(|file| file.sync_all()).map_err(what())?;
        fs::rename(&new, &path).map_err(what())?;
        make_standby(self.data())?;
        Ok(format!("it follows {} when it is started", source.address))
    }

    /// Copies the operator's files: pg_rewind puts the source's in their place.
    fn put_aside(&self) -> Result<(), ServerError> {
        let what = || ServerError::io(format!("keep a copy in {}", self.aside.display()));
        fs::create_dir_all(&self.aside).map_err(what())?;
        for name in OWN {
            let (from, to) = (self.data().join(name), self.aside.join(name));
            if from.exists() {
                fs::copy(from, to).map_err(what())?;
            }
        }
        Ok(())
    }

    fn put_back(&self, data: &Path) -> Result<(), ServerError> {
        let what = || ServerError::io(format!("put back the files in {}", self.aside.display()));
        for name in OWN {
            let (from, to) = (self.aside.join(name), data.join(name));
            if from.exists() {
                fs::copy(from, to).map_err(what())?;
            }
        }
        Ok(())
    }

    /// One of the server's programs; settings of libpq in our environment are not meant for it.
    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.settings.bin_dir.join(name));
        for (variable, _) in std::env::vars_os() {
            if variable.to_string_lossy().starts_with("PG") {
                command.env_remove(variable);
            }
        }
        command.env("LC_ALL", "C").stdin(Stdio::null());
        command
    }
}

async fn run(program: &'static str, mut command: Command) -> Result<String, ServerError> {
    let output = command.output().await.map_err(ServerError::io(format!("run {program}")))?;
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    if output.status.success() {
        return Ok(text);
    }
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let says = lines[lines.len().saturating_sub(TAIL)..].join("; ");
    Err(ServerError::Program { program, says })
}

fn conninfo(given: &str, to: &Source) -> Result<String, ServerError> {
    aim(given, &to.address, &to.follower).map_err(|e| ServerError::Conninfo(e.to_string()))
}

/// A name beside this one, on the same file system.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{suffix}"));
    path.with_file_name(name)
}

fn make_standby(data: &Path) -> Result<(), ServerError> {
    let signal = data.join("standby.signal");
    let what = || ServerError::io(format!("write {}", signal.display()));
    File::create(&signal).and_then(|file| file.sync_all()).map_err(what())?;
    match fs::remove_file(data.join("recovery.signal")) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(what()(error)),
        _ => {}
    }
    sync_folder(data)
}

fn sync_folder(folder: &Path) -> Result<(), ServerError> {
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(ServerError::io(format!("sync {}", folder.display())))
}

/// The settings with another `primary_conninfo`: the last line of a name counts.
fn with_primary(text: &str, conninfo: &str) -> String {
    let other = |line: &&str| {
        let name = line.split(['=', ' ', '\t']).next().unwrap_or_default();
        !name.eq_ignore_ascii_case("primary_conninfo")
    };
    let mut kept: String = text.lines().filter(other).map(|line| format!("{line}\n")).collect();
    let value = conninfo.replace('\\', "\\\\").replace('\'', "''");
    kept.push_str(&format!("primary_conninfo = '{value}'\n"));
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_primary_takes_the_place_of_the_old_one_and_nothing_else_changes() {
        let text = "work_mem = '4MB'\nprimary_conninfo = 'host=old'\nport=7\n";
        let new = with_primary(text, "host='b' password='it\\'s'");
        let line = r"primary_conninfo = 'host=''b'' password=''it\\''s'''";
        assert_eq!(new, format!("work_mem = '4MB'\nport=7\n{line}\n"));
    }

    #[test]
    fn kept_data_lie_beside_the_new_ones() {
        let path = Path::new("/var/lib/postgresql/15/main");
        assert_eq!(beside(path, "kept-7"), Path::new("/var/lib/postgresql/15/main.kept-7"));
    }
}
