//! Statements that change the session, its server or the schema; whatever is left is a write.

use super::analysis::{Step, Uses};
use super::classify::Told;
use super::functions::Functions;
use super::lexer::Kind;
use super::scan::scan;
use super::text::Statement;
use super::transaction::kill;
use crate::sql::Why;

pub(super) fn tell(statement: &Statement<'_>, functions: &Functions) -> Told {
    let session = |step| Told::step(Some(Why::Session), step);
    let name = |at| Box::<str>::from(statement.name(at).unwrap_or_default());
    match statement.word(0) {
        "use" => session(Step::Use(name(1))),
        "prepare" => session(Step::Prepare(lower(statement, 1))).never_by_shape(),
        "execute" => execute(statement, functions),
        "deallocate" => session(Step::Deallocate(lower(statement, 2))),
        "drop" if statement.word(1) == "prepare" => session(Step::Deallocate(lower(statement, 2))),
        "lock" => Told::step(Some(Why::Locks), Step::LockTables).with(Uses::COMMITS),
        "unlock" => session(Step::UnlockTables).with(Uses::COMMITS),
        "backup" => backup(statement),
        "flush" => flush(statement),
        "kill" => kill(statement),
        "load" => load(statement, functions),
        "do" => Told::new(Some(Why::Doubtful), Step::Plain, scan(statement, functions)),
        "call" => {
            let found = scan(statement, functions);
            let code = Uses::CODE | Uses::COMMITS | Uses::DROPS;
            Told::new(Some(Why::Function), Step::Plain, found).with(code)
        }
        "get" => session(Step::Plain).with(Uses::DIAGNOSTICS | Uses::ASSIGNS_VARIABLES),
        "signal" | "resignal" | "help" | "checksum" => session(Step::Plain),
        "handler" => handler(statement, functions),
        _ => definition(statement),
    }
}

fn lower(statement: &Statement<'_>, at: usize) -> Box<str> {
    statement.name(at).unwrap_or_default().to_lowercase().into()
}

/// `EXECUTE name [INTO …] [USING …]`, `EXECUTE IMMEDIATE …`: what runs is not in this text.
fn execute(statement: &Statement<'_>, functions: &Functions) -> Told {
    let found = scan(statement, functions);
    let step = match statement.word(1) {
        "immediate" => Step::Plain,
        _ => Step::Execute(lower(statement, 1)),
    };
    let told = Told::new(Some(Why::Session), step, found);
    told.with(Uses::CODE | Uses::COMMITS | Uses::DROPS)
}

/// MariaDB's BACKUP LOCK, UNLOCK, STAGE.
fn backup(statement: &Statement<'_>) -> Told {
    let step = match (statement.word(1), statement.word(2)) {
        ("unlock", _) | ("stage", "end") => Step::UnlockTables,
        _ => Step::LockTables,
    };
    Told::step(Some(Why::Locks), step).with(Uses::COMMITS)
}

fn flush(statement: &Statement<'_>) -> Told {
    let locks = statement.find(1, "lock").is_some() || statement.find(1, "export").is_some();
    match locks {
        true => Told::step(Some(Why::Locks), Step::LockTables).with(Uses::COMMITS),
        false => Told::plain(Some(Why::Write), Uses::COMMITS),
    }
}

/// LOAD DATA, LOAD XML, LOAD INDEX.
fn load(statement: &Statement<'_>, functions: &Functions) -> Told {
    let found = scan(statement, functions);
    let local = (2..5).any(|at| statement.word(at) == "local");
    let step = if local { Step::LoadLocal } else { Step::Plain };
    let variables = statement.pieces.iter().any(|piece| piece.kind == Kind::User);
    let uses = if variables { Uses::ASSIGNS_VARIABLES } else { Uses::NONE };
    Told { primary: Some(Why::Write), ..Told::new(None, step, found) }.with(uses)
}

fn handler(statement: &Statement<'_>, functions: &Functions) -> Told {
    let has = |word| (1..statement.len()).any(|at| statement.word(at) == word);
    let step = match (has("open"), has("close")) {
        (true, _) => Step::HandlerOpen,
        (_, true) => Step::HandlerClose,
        _ => Step::Plain,
    };
    Told::new(Some(Why::Locks), step, scan(statement, functions))
}

/// Whatever is left changes the schema, the users or the server.
fn definition(statement: &Statement<'_>) -> Told {
    let write = |step, uses| Told::step(Some(Why::Write), step).with(uses);
    let early = |word| (1..statement.len().min(4)).any(|at| statement.word(at) == word);
    let temporary = early("temporary");
    let assigns = match statement.pieces.iter().any(|piece| piece.kind == Kind::Assign) {
        true => Uses::ASSIGNS_VARIABLES,
        false => Uses::NONE,
    };
    match statement.word(0) {
        "create" if temporary => write(Step::Plain, Uses::TEMPORARY | assigns),
        "create" => write(Step::Plain, Uses::COMMITS | assigns),
        "drop" if temporary => write(Step::Plain, Uses::DROPS),
        "drop" if matches!(statement.word(1), "database" | "schema") => {
            let at = 2 + 2 * usize::from(statement.words(2, &["if", "exists"]));
            let name = statement.name(at).unwrap_or_default();
            write(Step::DropDatabase(name.into()), Uses::COMMITS)
        }
        "drop" | "alter" | "rename" => write(Step::Plain, Uses::DROPS | Uses::COMMITS),
        "truncate" | "grant" | "revoke" | "analyze" | "optimize" | "repair" | "check" | "cache"
        | "install" | "uninstall" | "reset" | "purge" | "change" | "stop" => {
            write(Step::Plain, Uses::COMMITS)
        }
        // Nobody knows it, or it stops the server, or replays a log.
        _ => write(Step::Plain, Uses::CODE | Uses::COMMITS),
    }
}
