//! Commands of the console for whoever does not speak its protocol.

use super::Control;
use super::act::act;
use super::command::{self, Command};
use super::failure::{Failure, NOT_SUPPORTED};
use super::table::{Cell, Column};
use serde_json::{Value, json};

/// Why a command was not carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// SQLSTATE
    pub code: String,
    /// In the catalogue of errors: `TG0901`.
    pub number: String,
    pub message: String,
    pub hint: Option<String>,
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Refused {
        let (code, number, message, hint) = failure.told();
        Refused { code: code.to_owned(), number: number.to_string(), message, hint }
    }
}

/// Carries out one command; what changes something is noted in the name of `operator`.
///
/// The answer is `{"columns": […], "rows": [[…], …]}` or `{"done": "RELOAD", "notices": […]}`.
pub async fn execute(control: &dyn Control, operator: &str, text: &str) -> Result<Value, Refused> {
    let mut commands = command::parse(text)?;
    let (Some(command), true) = (commands.pop(), commands.is_empty()) else {
        return Err(Failure::error(NOT_SUPPORTED, "exactly one command is expected").into());
    };
    if let Command::Show(show, select) = &command {
        let names: Vec<&str> = show.columns.iter().map(Column::name).collect();
        let rows = select.apply((show.rows)(&control.view()));
        let rows: Vec<Vec<Value>> =
            rows.into_iter().map(|row| row.into_iter().map(value).collect()).collect();
        return Ok(json!({ "columns": names, "rows": rows }));
    }
    let done = carry_out(control, operator, &command).await?;
    Ok(done.map_or(Value::Null, |done| json!({ "done": done.tag, "notices": done.notices })))
}

/// Does what a command asks for and notes it; `None` for one that changes nothing.
pub(super) async fn carry_out(
    control: &dyn Control,
    operator: &str,
    command: &Command,
) -> Result<Option<super::act::Done>, Failure> {
    let done = act(command, control).await;
    if command.changes() {
        let failed = done.as_ref().err().map(ToString::to_string);
        control.note(operator, &command.to_string(), failed.as_deref());
    }
    done
}

fn value(cell: Cell) -> Value {
    match cell {
        Cell::Text(text) => text.into(),
        Cell::Int(number) => number.into(),
        Cell::Null => Value::Null,
    }
}
