//! Statements that the proxy answers by itself: `SET @tidegate_…`, `SELECT @@tidegate_…`,
//! `EXPLAIN FORMAT = TIDEGATE …`.

use super::{Client, Leaving};
use crate::mysql::accept::welcome;
use crate::mysql::session::asked::{Asked, Work};
use crate::mysql::session::command::Head;
use crate::mysql::session::wishes::{PREFIX, words};
use crate::mysql::wire::reply::Kind;
use crate::mysql::wire::table::put_table;
use crate::refusal::Refusal;
use crate::sql::mysql::{Analysis, Assignment, Step};
use bytes::Buf;
use std::sync::Arc;

/// Whether a part of it is to be answered by the proxy.
pub(super) fn is_ours(analysis: &Analysis) -> bool {
    analysis.parts.iter().any(|part| name(&part.step).is_some())
}

/// What somebody who asks for it is told to ask for by itself.
fn name(step: &Step) -> Option<&'static str> {
    match step {
        Step::SetTidegate(_) => Some("SET @tidegate_…"),
        Step::Set(parts) if parts.iter().any(is_own) => Some("SET @tidegate_…"),
        Step::ShowTidegate(_) => Some("SELECT @@tidegate_…"),
        Step::Explain(_) => Some("EXPLAIN FORMAT = TIDEGATE"),
        _ => None,
    }
}

fn is_own(assignment: &Assignment) -> bool {
    matches!(assignment, Assignment::User { name, .. } if name.starts_with(&PREFIX[1..]))
}

/// Why nobody can prepare it; `None`: it is not ours.
pub(super) fn is_not_prepared(analysis: &Analysis) -> Option<Refusal> {
    let name = analysis.parts.iter().find_map(|part| name(&part.step))?;
    Some(Refusal::Unsupported(format!(
        "{name} as a prepared statement (hint: send it as a text, by COM_QUERY)"
    )))
}

/// The answer to one of them.
enum Answer {
    Done,
    Table { columns: Vec<String>, rows: Vec<Vec<String>> },
}

impl Client {
    /// Carries out such a text, which is in the input as a whole.
    pub(super) async fn answer_ours(&mut self, head: Head, asked: Asked) -> Result<(), Leaving> {
        self.relay.begin(Some(Kind::Results), head.sequence);
        let answer = match self.answer(asked).await {
            Ok(answer) => answer,
            Err(refusal) => return self.turn_down(head, &refusal),
        };
        self.relay.begin(None, head.sequence);
        self.input.advance(head.len);
        let sequence = head.sequence.wrapping_add(1);
        let flags = self.session.flags();
        let capabilities = self.session.capabilities;
        match answer {
            Answer::Done => welcome(flags).put(&mut self.output, sequence, 0, capabilities),
            Answer::Table { columns, rows } => {
                put_table(&mut self.output, sequence, (&columns, &rows), (flags, capabilities));
            }
        }
        Ok(())
    }

    async fn answer(&mut self, asked: Asked) -> Result<Answer, Refusal> {
        let Some(analysis) = &asked.analysis else { return Ok(Answer::Done) };
        let step = match &analysis.parts[..] {
            [only] if !matches!(only.step, Step::Set(_)) => &only.step,
            parts => {
                let name = parts.iter().find_map(|part| name(&part.step)).unwrap_or_default();
                return Err(Refusal::NotAlone { name: name.into() });
            }
        };
        match step {
            Step::SetTidegate(assignments) => {
                let words = words(&self.cluster.places);
                self.session.set_own(assignments, &words).map(|()| Answer::Done)
            }
            Step::ShowTidegate(asked) => {
                let (mut columns, mut row) = (Vec::new(), Vec::new());
                for (name, column) in asked {
                    let name = name.strip_prefix(&PREFIX[1..]).unwrap_or(name);
                    row.push(self.show(name).await?);
                    columns.push(column.to_string());
                }
                Ok(Answer::Table { columns, rows: vec![row] })
            }
            Step::Explain(explained) => {
                let marks = analysis.marks;
                let analysis = Arc::new(Analysis { marks, ..(**explained).clone() });
                let wanted = asked.wanted.clone();
                let explained = Asked { work: Work::Text, analysis: Some(analysis), wanted };
                let rows = self.explain(&explained)?.into_iter().map(|line| vec![line]).collect();
                Ok(Answer::Table { columns: vec!["EXPLAIN".into()], rows })
            }
            _ => Ok(Answer::Done),
        }
    }
}
