//! Who may log in to what, from where, and how: an ordered list of which the first match decides.
//!
//! The model is PostgreSQL's `pg_hba.conf` (documentation, chapter 21.1).

use super::Method;
use ipnet::IpNet;
use std::net::IpAddr;

/// The word among `databases` for physical replication, which is of no database.
pub const REPLICATION: &str = "replication";

/// Which users or databases.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Names {
    Any,
    Listed(Vec<String>),
}

/// Which addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Networks {
    Any,
    Listed(Vec<IpNet>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encryption {
    Any,
    Required,
    /// Only connections without TLS.
    Refused,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Prove(Method),
    Reject,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    pub users: Names,
    pub databases: Names,
    pub from: Networks,
    pub tls: Encryption,
    pub method: Action,
}

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'a> {
    pub user: &'a str,
    /// `None`: physical replication.
    pub database: Option<&'a str>,
    pub address: IpAddr,
    pub tls: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Prove(Method),
    /// By the rule of this number, from 0.
    Rejected(usize),
    NoMatch,
}

/// What the first rule that matches says.
pub fn judge(rules: &[Rule], caller: &Caller<'_>) -> Verdict {
    match rules.iter().enumerate().find(|(_, rule)| rule.matches(caller)) {
        Some((_, Rule { method: Action::Prove(method), .. })) => Verdict::Prove(*method),
        Some((number, _)) => Verdict::Rejected(number),
        None => Verdict::NoMatch,
    }
}

impl Names {
    pub fn has(&self, name: &str) -> bool {
        match self {
            Names::Any => true,
            Names::Listed(names) => names.iter().any(|n| n == name),
        }
    }

    /// Has all that `other` has.
    fn covers(&self, other: &Names) -> bool {
        match other {
            Names::Any => *self == Names::Any,
            Names::Listed(names) => names.iter().all(|name| self.has(name)),
        }
    }
}

impl Networks {
    pub fn has(&self, address: IpAddr) -> bool {
        match self {
            Networks::Any => true,
            Networks::Listed(nets) => nets.iter().any(|net| net.contains(&address)),
        }
    }

    fn covers(&self, other: &Networks) -> bool {
        let everywhere = |net: &IpNet| net.prefix_len() == 0;
        match (self, other) {
            (Networks::Any, _) => true,
            (Networks::Listed(nets), Networks::Any) => {
                let of = |v4: bool| nets.iter().any(|n| n.addr().is_ipv4() == v4 && everywhere(n));
                of(true) && of(false)
            }
            (Networks::Listed(nets), Networks::Listed(others)) => {
                others.iter().all(|other| nets.iter().any(|net| net.contains(other)))
            }
        }
    }

    /// Has addresses of other machines.
    pub fn is_public(&self) -> bool {
        let loopback = |net: &IpNet| net.network().is_loopback() && net.broadcast().is_loopback();
        match self {
            Networks::Any => true,
            Networks::Listed(nets) => !nets.iter().all(loopback),
        }
    }
}

impl Rule {
    fn matches(&self, caller: &Caller<'_>) -> bool {
        let tls = match self.tls {
            Encryption::Any => true,
            Encryption::Required => caller.tls,
            Encryption::Refused => !caller.tls,
        };
        let database = match caller.database {
            Some(database) => self.databases.has(database),
            None => self.databases != Names::Any && self.databases.has(REPLICATION),
        };
        tls && database
            && self.users.has(caller.user)
            && self.from.has(caller.address.to_canonical())
    }

    /// Matches whatever `later` matches, so that `later` never has its turn.
    pub fn covers(&self, later: &Rule) -> bool {
        let databases = match (&self.databases, &later.databases) {
            (Names::Any, Names::Listed(names)) => !names.iter().any(|n| n == REPLICATION),
            (ours, theirs) => ours.covers(theirs),
        };
        databases
            && (self.tls == Encryption::Any || self.tls == later.tls)
            && self.users.covers(&later.users)
            && self.from.covers(&later.from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Names {
        match text {
            "*" => Names::Any,
            list => Names::Listed(list.split(' ').map(str::to_owned).collect()),
        }
    }

    fn rule(users: &str, databases: &str, from: &str, tls: Encryption, method: Action) -> Rule {
        let nets = |list: &str| list.split(' ').map(|n| n.parse().expect("a network")).collect();
        let from = if from == "*" { Networks::Any } else { Networks::Listed(nets(from)) };
        Rule { users: names(users), databases: names(databases), from, tls, method }
    }

    const SCRAM: Action = Action::Prove(Method::Scram);
    const TRUST: Action = Action::Prove(Method::Trust);

    fn ask(rules: &[Rule], user: &str, database: Option<&str>, from: &str, tls: bool) -> Verdict {
        let address = from.parse().expect("an address");
        judge(rules, &Caller { user, database, address, tls })
    }

    #[test]
    fn the_first_match_decides_and_no_match_is_a_no() {
        let rules = [
            rule("*", "*", "127.0.0.0/8 ::1/128", Encryption::Any, TRUST),
            rule("eve", "*", "*", Encryption::Any, Action::Reject),
            rule("*", "orders", "10.0.0.0/8", Encryption::Required, SCRAM),
        ];
        let orders = Some("orders");
        let verdict = |user, from, tls| ask(&rules, user, orders, from, tls);
        assert_eq!(verdict("eve", "127.0.0.1", false), Verdict::Prove(Method::Trust));
        assert_eq!(verdict("eve", "10.1.2.3", true), Verdict::Rejected(1));
        assert_eq!(verdict("app", "10.1.2.3", true), Verdict::Prove(Method::Scram));
        assert_eq!(verdict("app", "10.1.2.3", false), Verdict::NoMatch);
        assert_eq!(verdict("app", "11.1.2.3", true), Verdict::NoMatch);
        assert_eq!(ask(&rules, "app", Some("other"), "10.1.2.3", true), Verdict::NoMatch);
        // As a listener of both families sees an IPv4 client.
        assert_eq!(verdict("app", "::ffff:10.1.2.3", true), Verdict::Prove(Method::Scram));
        assert_eq!(verdict("app", "::1", false), Verdict::Prove(Method::Trust));
    }

    #[test]
    fn physical_replication_has_to_be_named() {
        let any = [rule("*", "*", "*", Encryption::Any, TRUST)];
        assert_eq!(ask(&any, "r", None, "10.0.0.1", false), Verdict::NoMatch);
        let named = [rule("r", "replication", "*", Encryption::Refused, SCRAM)];
        assert_eq!(ask(&named, "r", None, "10.0.0.1", false), Verdict::Prove(Method::Scram));
        assert_eq!(ask(&named, "r", None, "10.0.0.1", true), Verdict::NoMatch);
    }

    #[test]
    fn a_rule_covers_what_it_always_decides_first() {
        let any = Encryption::Any;
        let all = rule("*", "*", "*", any, SCRAM);
        let covered = |first: &Rule, later: &Rule| first.covers(later);
        assert!(covered(&all, &rule("app", "orders", "10.0.0.0/8", Encryption::Required, TRUST)));
        assert!(!covered(&all, &rule("app", "orders replication", "*", any, TRUST)));
        assert!(!covered(&rule("app", "*", "*", any, SCRAM), &all));
        let wide = rule("a b", "*", "10.0.0.0/8 192.168.0.0/16", any, SCRAM);
        assert!(covered(&wide, &rule("b", "x", "10.5.0.0/16 192.168.1.0/24", any, TRUST)));
        assert!(!covered(&wide, &rule("b", "x", "10.5.0.0/16 172.16.0.0/12", any, TRUST)));
        assert!(!covered(&wide, &rule("b c", "x", "10.5.0.0/16", any, TRUST)));
        let tls = rule("*", "*", "*", Encryption::Required, SCRAM);
        assert!(!covered(&tls, &all) && covered(&tls, &tls));
        assert!(covered(&rule("*", "*", "0.0.0.0/0 ::/0", any, SCRAM), &all));
        assert!(!covered(&rule("*", "*", "0.0.0.0/0", any, SCRAM), &all));
    }

    #[test]
    fn networks_of_this_machine_are_not_public() {
        let public = |from| rule("*", "*", from, Encryption::Any, TRUST).from.is_public();
        assert!(!public("127.0.0.0/8 ::1/128") && !public("127.0.0.1/32"));
        assert!(public("*") && public("0.0.0.0/0") && public("127.0.0.1/32 10.0.0.0/8"));
        assert!(public("126.0.0.0/7") && public("::/0"));
    }
}
