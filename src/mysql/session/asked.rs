//! What a command asks for, as far as its text tells.

use crate::dispatch::Wanted;
use crate::mysql::statement::Statement;
use crate::route::{Place, Wants};
use crate::sql::Why;
use crate::sql::mysql::{Analysis, Uses};
use std::sync::Arc;

#[derive(Clone, Debug, Default)]
pub(in crate::mysql) struct Asked {
    pub(in crate::mysql) work: Work,
    /// `None`: nothing was to be looked at.
    pub(in crate::mysql) analysis: Option<Arc<Analysis>>,
    /// What comments in front of it want.
    pub(in crate::mysql) wanted: Option<Box<Wanted>>,
}

/// What kind of command it is; statements with the numbers that the client knows them by.
#[derive(Clone, Debug, Default)]
pub(in crate::mysql) enum Work {
    /// One without a text, or in a session that keeps its server.
    #[default]
    Command,
    Text,
    Preparation(Arc<Statement>),
    Execution(u32, Arc<Statement>),
    LongData(u32, Arc<Statement>),
    Fetch(u32, Arc<Statement>),
    /// COM_STMT_RESET of one that has left something at its server.
    Reset(u32, Arc<Statement>),
}

impl Asked {
    /// The statement that the server must have prepared.
    pub(in crate::mysql) fn statement(&self) -> Option<(u32, &Arc<Statement>)> {
        match &self.work {
            Work::Execution(id, statement)
            | Work::LongData(id, statement)
            | Work::Fetch(id, statement)
            | Work::Reset(id, statement) => Some((*id, statement)),
            Work::Command | Work::Text | Work::Preparation(_) => None,
        }
    }

    /// What is carried out now.
    pub(in crate::mysql) fn runs(&self) -> Option<&Arc<Analysis>> {
        match &self.work {
            Work::Text | Work::Execution(..) => self.analysis.as_ref(),
            _ => None,
        }
    }

    pub(in crate::mysql) fn uses(&self) -> Uses {
        self.runs().map_or(Uses::NONE, |analysis| analysis.uses())
    }

    pub(in crate::mysql) fn marks(&self) -> u64 {
        self.analysis.as_ref().map_or(0, |analysis| analysis.marks)
    }

    /// Whether any fresh replica may do it.
    pub(in crate::mysql) fn wants(&self) -> Wants {
        let primary = match (&self.work, &self.analysis) {
            (Work::Command, _) | (_, None) => Some(Why::Session),
            (Work::Preparation(statement), _) => statement.primary(),
            (_, Some(analysis)) => {
                let statement = self.statement();
                statement.map_or(analysis.primary, |(_, statement)| statement.primary())
            }
        };
        match primary {
            Some(why) if !self.is_overruled() => Wants::Primary(why),
            _ => Wants::Read,
        }
    }

    /// A hint sends it to a replica although it may have an effect: its author knows better, and
    /// the replica will refuse what writes.
    fn is_overruled(&self) -> bool {
        let place = self.wanted.as_ref().and_then(|wanted| wanted.wish.place);
        let insists = self.analysis.as_ref().is_none_or(|analysis| analysis.insists());
        !insists && matches!(place, Some(Place::Replica | Place::Nodes(_)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::Wish;

    fn text(primary: Option<Why>, place: Option<Place>) -> Wants {
        let analysis = Some(Arc::new(Analysis { primary, ..Analysis::default() }));
        let wish = Wish { place, ..Wish::default() };
        let wanted = Some(Box::new(Wanted { wish, after: None }));
        Asked { work: Work::Text, analysis, wanted }.wants()
    }

    #[test]
    fn a_hint_overrules_doubt_but_not_what_changes_the_session() {
        let replica = Some(Place::Replica);
        assert_eq!(text(None, None), Wants::Read);
        assert_eq!(text(Some(Why::Function), None), Wants::Primary(Why::Function));
        assert_eq!(text(Some(Why::Function), replica), Wants::Read);
        assert_eq!(text(Some(Why::Session), replica), Wants::Primary(Why::Session));
        assert_eq!(Asked::default().wants(), Wants::Primary(Why::Session));
    }
}
