//! `clusters.NAME.route`: where reads may go, and for whom that is otherwise.

use super::checks::MAX_NODES;
use super::choices::one_of;
use super::cluster::{Cluster, DAY, HOUR, Node};
use super::reading::Reading;
use super::schema::options;
use super::values::{Complaint, Value};
use crate::route::{self, PLACE_WORDS, Places};
use crate::sql::FunctionNames;
use crate::sql::Mark;
use std::time::Duration;
use toml::de::DeValue;

options! {
    /// Where reads may go. Writes go to the primary, always.
    pub struct Route {
        /// What a read is promised. "eventual": any healthy replica; "bounded": a replica that
        /// misses nothing older than max_staleness; "session": such a replica that also shows
        /// all that the session did and has seen; "strong": a replica that shows all that was
        /// acknowledged to anybody before the read arrived; "primary": never a replica.
        /// SET tidegate.consistency changes it for a session (MySQL, MariaDB:
        /// SET @tidegate_consistency), and a comment in front of a statement for that one:
        /// /* tidegate: consistency=strong */ SELECT …
        key consistency: route::Consistency = "session";
        /// How old the data of a replica may be at most, by this proxy's own clock.
        key max_staleness: Duration = "1s" => .limits(1, DAY);
        /// How long a read waits for a replica to become fresh enough.
        key read_wait: Duration = "50ms" => .limits(0, HOUR);
        /// What becomes of a read that no replica may answer by then: it goes to the "primary",
        /// it waits on ("wait", at most pool.query_wait), or it fails with an "error".
        key fallback: route::Fallback = "primary";
        /// The zone that this proxy is in. Reads prefer the replicas of this zone, and those
        /// without a zone; the others get them when none of these is fresh enough.
        key zone: Option<String> => .example("west-1a").restart();
        /// Functions that a read may call although they are VOLATILE, as PostgreSQL takes every
        /// function for that was not declared otherwise: "name", or "schema.name".
        key harmless_functions: FunctionNames = "[]" => .restart();
        /// Functions that only the primary may run, whatever they were declared.
        key harmful_functions: FunctionNames = "[]" => .restart();
        /// Rules for reads of some users, databases or applications.
        key rules: Vec<Rule>;
    }
}

options! {
    /// Rules for reads. The first of which all fits counts; a hint or a setting of the session goes
    /// before it.
    pub struct Rule {
        /// Who asks. None: anybody.
        key user: Option<String> => .example("reports");
        /// In which database. None: in any.
        key database: Option<String> => .example("billing");
        /// Under which application_name (MySQL, MariaDB: the attribute program_name of the
        /// connection). None: under any.
        key application_name: Option<String> => .example("nightly");
        /// Which relation is read, as "name" or "schema.name". None: any.
        key relation: Option<String> => .example("audit_log").restart();
        /// Which statement it is, but for its literals. None: any.
        key statement: Option<String> => .example("SELECT * FROM jobs WHERE state = 'new'").restart();
        /// Where its reads go: "any" replica that takes reads; the "primary"; a "replica", and
        /// never the primary; or the name of a node or of a group of nodes.
        key to: Option<String> => .example("replica");
        /// What its reads are promised.
        key consistency: Option<route::Consistency> => .example("eventual");
        /// How old its data may be at most.
        key max_staleness: Option<Duration> => .limits(1, DAY).example("10s");
    }
}

impl Rule {
    /// What marks the statements that it is for; none: it is for all.
    pub fn marks(&self) -> impl Iterator<Item = Mark> {
        let statement = self.statement.as_deref().map(Mark::statement);
        self.relation.as_deref().map(Mark::relation).into_iter().chain(statement)
    }
}

/// Names of groups of nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Groups(pub Vec<String>);

impl Value for Groups {
    const QUOTED: bool = false;
    fn allowed() -> String {
        "a list of names such as [\"reports\"]".into()
    }
    fn from_toml(value: &DeValue<'_>) -> Result<Self, Complaint> {
        let complaint = || Complaint::new(format!("must be {}", Self::allowed()));
        let DeValue::Array(list) = value else { return Err(complaint()) };
        let name = |name: &toml::Spanned<DeValue<'_>>| {
            let name = name.get_ref().as_str().filter(|name| !name.is_empty());
            name.map(str::to_owned).ok_or_else(complaint)
        };
        list.iter().map(name).collect::<Result<_, _>>().map(Groups)
    }
    fn show(&self) -> String {
        format!("{:?}", self.0)
    }
    fn unset() -> Self {
        Groups::default()
    }
}

impl Cluster {
    /// The words for its nodes and groups.
    pub fn places(&self) -> Places {
        Places::new(self.nodes.iter().take(MAX_NODES).map(Node::words))
    }
}

impl Node {
    /// Its name and its groups.
    fn words(&self) -> (&str, impl Iterator<Item = &str>) {
        (&self.name, self.groups.0.iter().map(String::as_str))
    }
}

/// Statements of rules are kept as bits of a 64-bit number.
const MAX_MARKS: usize = 64;

/// A node may have one of these names, and then is not to be asked for by it: that there is a node
/// called "primary" must not change what the word means. `path`: `clusters.NAME`.
pub(super) fn check(path: &str, cluster: &Cluster, reading: &mut Reading<'_>) {
    for (number, node) in cluster.nodes.iter().enumerate() {
        let at = format!("{path}.nodes[{number}]");
        for group in &node.groups.0 {
            let key = format!("{at}.groups");
            reserved(&key, group, reading);
            if cluster.nodes.iter().any(|node| node.name == *group) {
                let hint = Some("name the group otherwise".to_string());
                reading.wrong(&key, format!("a node is called {group:?}"), hint);
            }
        }
    }
    let marks = cluster.route.rules.iter().flat_map(Rule::marks).count();
    if marks > MAX_MARKS {
        let says =
            format!("{marks} relations and statements are named; at most {MAX_MARKS} can be");
        let hint = "let several of them be one group of statements".to_string();
        reading.wrong(&format!("{path}.route.rules"), says, Some(hint));
    }
    let places = cluster.places();
    for (number, rule) in cluster.route.rules.iter().enumerate() {
        let at = format!("{path}.route.rules[{number}]");
        if rule.to.as_deref().is_some_and(|to| places.find(to).is_none()) {
            let hint = format!("one of: {}", places.words());
            reading.wrong(&format!("{at}.to"), "is no place here", Some(hint));
        }
        let dialect = if cluster.engine.is_postgres() { Mark::is_postgres } else { Mark::is_mysql };
        if !rule.marks().all(|mark| dialect(&mark)) {
            let hint = "give it as an application sends it".to_string();
            reading.wrong(&format!("{at}.statement"), "is no statement", Some(hint));
        }
        if rule.to.is_none() && rule.consistency.is_none() && rule.max_staleness.is_none() {
            let hint = "give it at least one of: to, consistency, max_staleness".to_string();
            reading.wrong(&at, "says who, but not what", Some(hint));
        }
    }
}

fn reserved(key: &str, name: &str, reading: &mut Reading<'_>) {
    if PLACE_WORDS.iter().any(|word| word.eq_ignore_ascii_case(name)) {
        let hint = format!("{} mean places of reads by themselves", one_of(&PLACE_WORDS));
        reading.wrong(key, "is not free", Some(hint));
    }
}
