//! The one table from a refusal to what a PostgreSQL client is told: SQLSTATE, message, hint.

use super::client::Leaving;
use super::exchange::Ended;
use super::session::receive::Desync;
use super::wire::{self, ErrorText};
use crate::refusal::catalogue::numbered;
use crate::refusal::{LOST_POSITION, Refusal};
use bytes::BytesMut;
use std::sync::Arc;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Severity {
    /// The session goes on.
    Error,
    /// The connection ends.
    Fatal,
}

/// Appends the ErrorResponse for `refusal`.
pub(super) fn put(out: &mut BytesMut, refusal: &Refusal, severity: Severity) {
    let (code, hint) = code_and_hint(refusal);
    let message = match refusal {
        // Applications and tests know PostgreSQL's own words.
        Refusal::Authentication(user) => {
            format!("password authentication failed for user \"{user}\"")
        }
        Refusal::ServerEnded { message, .. } => message.clone(),
        other => other.to_string(),
    };
    let severity = if severity == Severity::Fatal { "FATAL" } else { "ERROR" };
    let hint = refusal.number().map_or(hint.to_owned(), |number| numbered(hint, number));
    wire::put_error(out, &ErrorText { severity, code, message: &message, hint: &hint });
}

/// Appends the NoticeResponse for a position that a promotion left behind.
pub(super) fn put_lost_position(out: &mut BytesMut, position: &impl std::fmt::Display) {
    let message = format!("the write at {position} was lost when another node became the primary");
    let hint = numbered("Reads go on from where the new primary began.", LOST_POSITION);
    let warning = ErrorText { severity: "WARNING", code: "01000", message: &message, hint: &hint };
    wire::put_notice(out, &warning);
}

/// The SQLSTATE of a refusal.
pub(super) fn sqlstate(refusal: &Refusal) -> &str {
    code_and_hint(refusal).0
}

#[expect(clippy::too_many_lines, reason = "one table, without a decision")]
fn code_and_hint(refusal: &Refusal) -> (&str, &'static str) {
    match refusal {
        Refusal::UnknownDatabase(_) => {
            ("3D000", "Add it to the `databases` of a cluster in the configuration.")
        }
        Refusal::Authentication(_) => ("28P01", ""),
        Refusal::Certificate(_) => ("28000", "The certificate's common name must be the user."),
        Refusal::Throttled { .. } => ("28000", "Mend the password that is used there."),
        Refusal::NoRule { .. } | Refusal::RejectedByRule { .. } => {
            ("28000", "The rules are tried in their order, and the first that matches decides.")
        }
        Refusal::Lookup(_) => ("08004", "auth_query failed: see the proxy's log."),
        Refusal::TlsRequired => ("28000", "Connect with sslmode=require or stronger."),
        Refusal::Protocol(_) => {
            ("08P01", "The client and the proxy do not speak the same protocol.")
        }
        Refusal::Unsupported(_) => ("0A000", ""),
        Refusal::ReplicationOff { .. } => {
            ("0A000", "Set clusters.NAME.replication to \"primary\" or the name of a node.")
        }
        Refusal::ReplicationValue(_) => {
            ("22023", "Valid values are: \"false\", 0, \"true\", 1, \"database\".")
        }
        Refusal::ReplicationWhere { .. } => {
            ("3D000", "Name a database of the cluster, or give one cluster databases = \"*\".")
        }
        Refusal::Setting { .. } => {
            ("22023", "It was set by SET, by the connection's options, or by a leading comment.")
        }
        Refusal::WeakCommit => {
            ("22023", "Leave it as it is; failover.guarantee = \"strict\" of the cluster says so.")
        }
        Refusal::UnknownSetting { .. } => (
            "42704",
            "To be set: tidegate.consistency, route, read_after. To be shown: these, \
             tidegate.position, last_route, cluster, version.",
        ),
        Refusal::NotAlone { .. } => ("0A000", "Send it when what goes before it is answered."),
        Refusal::ForeignPosition => {
            ("22023", "RESET tidegate.read_after; a position is of use in its own cluster only.")
        }
        Refusal::LoginTimeout(_) => ("57014", "The login has to be finished sooner."),
        Refusal::TooManyClients { .. } => {
            ("53300", "Raise the limit named here, or let clients close what they do not use.")
        }
        Refusal::TooManyStatements { .. } => {
            ("53400", "Close what is not used any more (DEALLOCATE), or raise the limit.")
        }
        Refusal::PoolExhausted { .. } => {
            ("53300", "Raise the limit named here, shorten transactions, or raise pool.query_wait.")
        }
        Refusal::RolledBack { .. } => {
            ("40001", "Nothing of it is there: try the whole transaction again.")
        }
        Refusal::NoPrimary { .. } => {
            ("57P03", "Nothing was executed: try again; SHOW NODES on the console tells why.")
        }
        Refusal::Disabled { .. } => ("57P03", "Try again after ENABLE on the proxy's console."),
        Refusal::NoFreshReplica { .. } => {
            ("57P03", "Raise route.max_staleness, or set route.fallback = \"primary\".")
        }
        Refusal::ServerUnreachable { .. } => ("08006", "Nothing was executed: try again."),
        Refusal::ServerRefused { .. } => {
            ("08004", "The server refused the proxy's login: see the proxy's log.")
        }
        Refusal::ServerLost { .. } => {
            ("08006", "The transaction was rolled back with its connection: try it again.")
        }
        // Other codes are refusals of a login: nothing had begun.
        Refusal::ServerEnded { code, .. } if code.starts_with("57P") || code.starts_with("40") => {
            (code, "The transaction was rolled back: try it again.")
        }
        Refusal::ServerEnded { code, .. } => (code, ""),
        Refusal::OutcomeUnknown { .. } | Refusal::NotReplicated { .. } => {
            ("08007", "It may or may not have been committed: look before you repeat it.")
        }
        Refusal::AnswerCut { .. } => ("40001", "Discard the rows received so far and try again."),
        Refusal::Desynchronised { .. } => ("08P01", "The server connection was closed."),
        Refusal::Parameter { .. } => {
            ("22023", "RESET the parameter, or set it to what is allowed.")
        }
        Refusal::Overflow => (
            "54000",
            "Read the connection while it is idle, and do not leave it in a transaction for long.",
        ),
        Refusal::ShuttingDown | Refusal::Killed | Refusal::ReignEnded { .. } => {
            ("57P01", "Connect again.")
        }
        Refusal::Internal(_) => ("XX000", "Please report it, with the proxy's log."),
    }
}

/// What the client was in the middle of when its server went away.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Circumstances {
    /// A part of the answer is with the client already.
    pub delivered: bool,
    /// That part ends inside a frame, so nothing can be added.
    pub inside_frame: bool,
    /// The batch could have committed something.
    pub may_have_committed: bool,
    /// The session needed this very connection.
    pub pinned: bool,
}

/// After a broken exchange: the error for the client, or the end of its connection.
pub(super) fn after(ended: Ended, node: Arc<str>, was: Circumstances) -> Result<Refusal, Leaving> {
    let refusal = match ended {
        Ended::Done | Ended::ClientLeft | Ended::Killed => return Err(Leaving::Gone),
        Ended::ClientBroke(error) => {
            return Err(Leaving::Refused(Refusal::Protocol(error.to_string())));
        }
        Ended::Desync(Desync::Replay(cause)) => Refusal::Parameter { node, cause },
        Ended::Unreplicated => Refusal::NotReplicated { node },
        Ended::Desync(desync) => Refusal::Desynchronised { node, what: desync.to_string() },
        Ended::Retry(fault) | Ended::Fatal(fault) if !was.may_have_committed => {
            let code = fault.sqlstate().to_string();
            Refusal::ServerEnded { node, code, message: fault.message }
        }
        Ended::ServerLost(error) if !was.may_have_committed => match was.delivered {
            true => Refusal::AnswerCut { node },
            false => Refusal::ServerLost { node, cause: error.to_string() },
        },
        Ended::Retry(_) | Ended::Fatal(_) | Ended::ServerLost(_) => {
            Refusal::OutcomeUnknown { node }
        }
    };
    if was.inside_frame {
        return Err(Leaving::Told);
    }
    match was.pinned {
        true => Err(Leaving::Refused(refusal)),
        false => Ok(refusal),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::refusal::catalogue;

    #[test]
    fn codes_are_those_of_the_catalogue_and_the_number_ends_the_hint() {
        for refusal in Refusal::samples() {
            let number = refusal.number().expect("a number").to_string();
            let entry = catalogue::find(&number).expect("an entry");
            assert_eq!(sqlstate(&refusal), entry.sqlstate, "{refusal}");
            let mut out = BytesMut::new();
            put(&mut out, &refusal, Severity::Error);
            let end = format!("({number})\0\0");
            assert!(out.ends_with(end.as_bytes()), "{refusal}");
        }
        let ended =
            Refusal::ServerEnded { node: "b".into(), code: "57P01".into(), message: "m".into() };
        assert_eq!(ended.number(), None);
    }
}
