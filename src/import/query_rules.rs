//! `mysql_query_rules`: what they asked for is done by itself, becomes a rule, or is named.

use super::Work;
use super::hostgroups::Cluster;
use super::libconfig::{Group, Value};

/// What ours cannot do, and what to do instead.
const CANNOT: &[(&str, &str, &str)] = &[
    ("replace_pattern", "statements are not rewritten.", "Change the application, or use a view."),
    ("cache_ttl", "answers are not cached.", ""),
    ("mirror_hostgroup", "statements are not sent twice.", ""),
    ("mirror_flagOUT", "statements are not sent twice.", ""),
    ("error_msg", "statements are not forbidden.", "Take the right away on the servers."),
    ("OK_msg", "statements are not answered by the proxy.", ""),
    ("delay", "statements are not delayed.", ""),
    (
        "timeout",
        "a statement may take as long as it takes.",
        "MariaDB: max_statement_time; MySQL: max_execution_time.",
    ),
    ("reconnect", "a failed read runs elsewhere, unseen; a write never runs twice.", ""),
    ("retries", "a failed read runs elsewhere, unseen; a write never runs twice.", ""),
    ("multiplex", "what binds a session to its server is noticed.", "SHOW PINS has the reasons."),
    ("sticky_conn", "what binds a session to its server is noticed.", ""),
    ("flagIN", "rules do not lead to other rules.", ""),
    ("flagOUT", "rules do not lead to other rules.", ""),
    (
        "gtid_from_hostgroup",
        "a session reads its own writes: route.consistency = \"session\", the default.",
        "",
    ),
    ("log", "statements are counted by shape: SHOW ROUTES.", ""),
];

/// How statements are matched.
const PATTERNS: [&str; 3] = ["match_digest", "match_pattern", "digest"];

pub(super) fn read(work: &mut Work<'_>, file: &Group, clusters: &[Cluster]) {
    let rules = file.get("mysql_query_rules").into_iter().flat_map(|list| list.groups());
    for (line, rule) in rules {
        let id = rule.text("rule_id").unwrap_or("?");
        let shown = format!("mysql_query_rules: rule {id}");
        if rule.get("active").is_some_and(|active| !active.is_on()) {
            work.note(line, shown, "it is not active and is left out.", "");
            continue;
        }
        for (key, value) in &rule.0 {
            let cannot = CANNOT.iter().find(|(name, ..)| name == key);
            if let (Some((_, why, todo)), false) = (cannot, is_default(value)) {
                work.note(value.line, format!("{shown}: {key}"), *why, *todo);
            }
        }
        let Some(group) = rule.number("destination_hostgroup") else { continue };
        let Some(cluster) = clusters.iter().find(|cluster| cluster.groups.contains(&group)) else {
            let why = format!("hostgroup {group} has no servers.");
            work.note(line, shown, why, "");
            continue;
        };
        let place =
            cluster.writer.map(|writer| if group == writer { "primary" } else { "replica" });
        route(work, (line, &shown, rule), cluster, place);
    }
}

fn is_default(value: &Value) -> bool {
    matches!(value.text(), Some("" | "0" | "null" | "NULL"))
}

fn route(
    work: &mut Work<'_>,
    (line, shown, rule): (usize, &str, &Group),
    cluster: &Cluster,
    place: Option<&str>,
) {
    let pattern = PATTERNS.iter().find_map(|key| rule.text(key));
    if let Some(pattern) = pattern {
        return statements(work, (line, shown), pattern, place);
    }
    let who = [("user", rule.text("username")), ("database", rule.text("schemaname"))];
    let known: Vec<(&str, &str)> = who.into_iter().filter_map(|(key, v)| Some((key, v?))).collect();
    let (false, Some(place)) = (known.is_empty(), place) else {
        let why = "whom it is for is not said in words that rules have here.";
        let todo = "Look at route.rules: user, database, application_name, relation, statement.";
        return work.note(line, shown, why, todo);
    };
    let table = work.draft.element(&["clusters", &cluster.name, "route", "rules"]);
    for (key, value) in known {
        table.set(key, value, "");
    }
    table.set("to", place, format!("{shown}, line {line}"));
    if place == "replica" {
        let why = "its writes go to the primary all the same; its reads, never.";
        work.note(line, shown, why, "With to = \"any\" they go there when no replica is fresh.");
    }
}

/// Regular expressions guess what a statement does; here its tokens say it.
fn statements(
    work: &mut Work<'_>,
    (line, shown): (usize, &str),
    pattern: &str,
    place: Option<&str>,
) {
    let plain: String =
        pattern.to_uppercase().chars().filter(|c| c.is_ascii_alphabetic()).collect();
    let by_itself =
        ["SELECT", "SELECTFORUPDATE", "SELECTFORUPDATES", "SHOW"].contains(&plain.as_str());
    let (why, todo) = match (by_itself, place) {
        (true, _) => (
            "reads go to replicas by themselves, and what writes or locks (FOR UPDATE, too) to the primary.",
            "",
        ),
        (false, Some("primary")) => (
            "statements are not matched by regular expressions.",
            "route.rules has relation = \"table\" and statement = \"…\" with to = \"primary\".",
        ),
        (false, _) => (
            "statements are not matched by regular expressions; reads go to replicas by themselves.",
            "route.rules has relation = \"table\" and statement = \"…\" with to = \"replica\".",
        ),
    };
    work.note(line, format!("{shown}: {pattern:?}"), why, todo);
}
