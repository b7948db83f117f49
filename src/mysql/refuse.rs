//! What a MySQL client is told: error number, SQLSTATE, message, and behind it a hint and the number in
//! the catalogue, since the protocol has no place of its own for them.

use super::wire::ok::put_error;
use crate::refusal::Refusal;
use crate::refusal::catalogue::numbered;
use bytes::BytesMut;
use std::net::IpAddr;

/// An error as the client gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Words {
    pub(super) code: u16,
    pub(super) sqlstate: &'static str,
    pub(super) message: String,
}

/// Appends the ERR packet for `refusal`.
pub(super) fn put(out: &mut BytesMut, sequence: u8, refusal: &Refusal) {
    let words = words(refusal);
    put_error(out, sequence, words.code, words.sqlstate, &words.message);
}

/// The error of a login that failed, in the servers' own words.
pub(super) fn access_denied(user: &str, address: IpAddr, with_password: bool) -> Refusal {
    let using = if with_password { "YES" } else { "NO" };
    let address = address.to_canonical();
    Refusal::Authentication(format!("'{user}'@'{address}' (using password: {using})"))
}

pub(super) fn words(refusal: &Refusal) -> Words {
    let (code, sqlstate, hint) = code_and_hint(refusal);
    let message = match refusal {
        // Applications and tests know the servers' own words.
        Refusal::Authentication(who) => format!("Access denied for user {who}"),
        Refusal::UnknownDatabase(name) => format!("Unknown database '{name}'"),
        Refusal::ServerEnded { message, .. } => message.clone(),
        other => other.to_string(),
    };
    let message = if hint.is_empty() { message } else { format!("{message} (hint: {hint})") };
    let message = match refusal.number() {
        Some(number) => numbered(&message, number),
        None => message,
    };
    Words { code, sqlstate, message }
}

fn code_and_hint(refusal: &Refusal) -> (u16, &'static str, &'static str) {
    match refusal {
        Refusal::UnknownDatabase(_) => {
            (1049, "42000", "add it to the `databases` of a cluster in tidegate's configuration")
        }
        Refusal::Authentication(_) | Refusal::Certificate(_) => (1045, "28000", ""),
        Refusal::Throttled { .. } => (1045, "28000", "mend the password that is used there"),
        Refusal::NoRule { .. } | Refusal::RejectedByRule { .. } => {
            (1045, "28000", "the rules are tried in their order, and the first match decides")
        }
        Refusal::Lookup(_) => (1045, "28000", "see the proxy's log"),
        Refusal::TlsRequired => (3159, "HY000", "connect with TLS"),
        Refusal::Protocol(_) => {
            (1835, "HY000", "the client and the proxy do not speak the same protocol")
        }
        Refusal::Unsupported(_)
        | Refusal::ReplicationOff { .. }
        | Refusal::ReplicationValue(_)
        | Refusal::ReplicationWhere { .. } => (1235, "42000", ""),
        Refusal::LoginTimeout(_) => (1159, "08S01", "the login has to be finished sooner"),
        Refusal::TooManyClients { what, .. } if what.starts_with("user ") => {
            (1226, "42000", "raise the limit named here, or close what is not used")
        }
        Refusal::TooManyClients { .. } => {
            (1040, "08004", "raise the limit named here, or close what is not used")
        }
        Refusal::TooManyStatements { .. } => {
            (1461, "42000", "close statements that are not used any more, or raise the limit")
        }
        Refusal::PoolExhausted { .. } => {
            (1040, "08004", "raise the limit named here, or raise pool.query_wait")
        }
        Refusal::NoPrimary { .. } => {
            (2003, "HY000", "nothing was executed: try again; SHOW NODES on the console tells why")
        }
        Refusal::Disabled { .. } => {
            (3032, "HY000", "try again after ENABLE on the proxy's console")
        }
        Refusal::NoFreshReplica { .. } => {
            (2003, "HY000", "raise route.max_staleness, or set route.fallback = \"primary\"")
        }
        Refusal::ServerUnreachable { .. } => (2003, "HY000", "nothing was executed: try again"),
        Refusal::ServerRefused { .. } => {
            (2003, "HY000", "the server refused the proxy's login: see the proxy's log")
        }
        Refusal::ServerLost { .. } => {
            (2013, "HY000", "the transaction was rolled back with its connection: try it again")
        }
        Refusal::ServerEnded { code, .. } => (code.parse().unwrap_or(2013), "HY000", ""),
        Refusal::OutcomeUnknown { .. } | Refusal::NotReplicated { .. } => {
            (2013, "HY000", "it may or may not have been committed: look before you repeat it")
        }
        Refusal::RolledBack { .. } => {
            (1213, "40001", "nothing of it is there: try the whole transaction again")
        }
        Refusal::AnswerCut { .. } => {
            (2013, "HY000", "discard the rows received so far and try again")
        }
        Refusal::Desynchronised { .. } => (1835, "HY000", "the server connection was closed"),
        Refusal::Parameter { .. } => (1231, "42000", "set the variable to what is allowed"),
        Refusal::Setting { .. } | Refusal::WeakCommit => {
            (1231, "42000", "set the variable to what is allowed")
        }
        Refusal::UnknownSetting { .. } => (1193, "HY000", "the variables are in the manual"),
        Refusal::NotAlone { .. } => (1235, "42000", "send it by itself"),
        Refusal::ForeignPosition => (1231, "42000", "a position is of use in its own cluster only"),
        Refusal::Overflow | Refusal::Internal(_) => (1105, "HY000", "report it with the log"),
        Refusal::ShuttingDown => (1053, "08S01", "connect again"),
        Refusal::Killed | Refusal::ReignEnded { .. } => (1927, "70100", "connect again"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn a_failed_login_reads_as_the_servers_say_it() {
        let refusal = access_denied("app", Ipv4Addr::LOCALHOST.into(), true);
        let words = words(&refusal);
        assert_eq!((words.code, words.sqlstate), (1045, "28000"));
        let said = "Access denied for user 'app'@'127.0.0.1' (using password: YES) (TG0102)";
        assert_eq!(words.message, said);
    }

    #[test]
    fn limits_of_users_and_of_all_have_the_servers_numbers() {
        let full = |what: &str| Refusal::TooManyClients { what: what.into(), limit: 1 };
        assert_eq!(words(&full("user app (pool.max_clients_per_user)")).code, 1226);
        assert_eq!(words(&full("cluster c (pool.max_clients)")).code, 1040);
        assert!(words(&full("cluster c")).message.contains("(hint: "));
    }

    #[test]
    fn codes_are_those_of_the_catalogue() {
        for refusal in Refusal::samples() {
            let number = refusal.number().expect("a number").to_string();
            let entry = crate::refusal::catalogue::find(&number).expect("an entry");
            assert_eq!(words(&refusal).code, entry.errno, "{refusal}");
        }
    }
}
