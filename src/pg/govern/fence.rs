//! A server that lets nobody in: its own rules reject all but us, and no session is left.
//!
//! The rules stand in `pg_hba.conf` above those of the operator, between two marks, so a restart
//! does not undo them and taking them away is exact. The first rule that matches counts.

use super::link::{Link, literal, not_observed};
use crate::failover::{Evidence, Trouble};
use crate::pg::connect::Node;
use std::time::Duration;
use tokio::time::{sleep, timeout};
use tokio_postgres::{Config, NoTls};

const BEGIN: &str = "# tidegate: fenced, begin: this server gave up its reign";
const END: &str = "# tidegate: fenced, end";

/// A user whose login shows that nobody can log in.
const STRANGER: &str = "tidegate_fence_test";

/// Rounds of ending sessions that may be needed: who was in the middle of a login comes late.
const ROUNDS: usize = 100;

/// The rules by which our own user comes in over TCP, for this user alone.
const OURS: &str = "
SELECT concat_ws(' ', type, 'all', quote_ident(current_user), address, netmask, auth_method,
                 array_to_string(options, ' '))
  FROM pg_hba_file_rules
 WHERE type LIKE 'host%' AND error IS NULL AND auth_method <> 'reject'
   AND (user_name && ARRAY['all', current_user::text] OR user_name[1] LIKE '+%')
   AND (database && ARRAY['all', current_database()::text])
 ORDER BY line_number";

/// Sessions of clients; ours are those of our own user under a name of ours.
const INSIDE: &str = "
  FROM pg_stat_activity
 WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
   AND NOT (usename = current_user AND application_name LIKE 'tidegate%')";

/// Rejects everyone but our own user, then ends all sessions.
pub(super) async fn close(link: &Link) -> Result<(), Trouble> {
    let text = file(link).await?;
    let mut lines = vec![BEGIN.to_owned()];
    for row in link.rows(OURS, &[]).await? {
        lines.push(link.get(&row, 0)?);
    }
    let all = ["local all all", "host all all 0.0.0.0/0", "host all all ::/0"];
    lines.extend(all.iter().map(|rule| format!("{rule} reject")));
    lines.push(END.to_owned());
    lines.extend(without_block(&text));
    put(link, &lines).await?;
    let end = format!("SELECT count(pg_terminate_backend(pid)) {INSIDE}");
    for _ in 0..ROUNDS {
        if link.one::<i64>(&end).await? == 0 {
            return Ok(());
        }
        sleep(Duration::from_millis(10)).await;
    }
    Err(link.not_observed("end its sessions"))
}

/// Takes the rules away again.
pub(super) async fn open(link: &Link) -> Result<(), Trouble> {
    let text = file(link).await?;
    if text.contains(BEGIN) { put(link, &without_block(&text)).await } else { Ok(()) }
}

async fn file(link: &Link) -> Result<String, Trouble> {
    link.one("SELECT pg_read_file(current_setting('hba_file'))").await
}

/// The operator's lines.
fn without_block(text: &str) -> Vec<String> {
    let mut inside = false;
    let mut lines = Vec::new();
    for line in text.lines() {
        match line {
            BEGIN => inside = true,
            END => inside = false,
            line if !inside => lines.push(line.to_owned()),
            _ => {}
        }
    }
    lines
}

/// Replaces the file and has it read; the postmaster has read it when a new session's settings are
/// younger than the order.
async fn put(link: &Link, lines: &[String]) -> Result<(), Trouble> {
    let path: String = link.one("SELECT current_setting('hba_file')").await?;
    let before: String = link.one("SELECT clock_timestamp()::text").await?;
    // CSV with marks that no line has is the one format of COPY that leaves lines as they are;
    // only an empty one would get quotes.
    let lines: Vec<&str> = lines.iter().map(|l| if l.is_empty() { "#" } else { l }).collect();
    let text = literal(&lines.join("\n"));
    link.run(&format!(
        "COPY (SELECT line FROM string_to_table({text}, E'\\n') WITH ORDINALITY AS t (line, n)
                ORDER BY n)
           TO {} (FORMAT csv, DELIMITER E'\\x02', QUOTE E'\\x01', ESCAPE E'\\x01')",
        literal(&path)
    ))
    .await?;
    let wrong: i64 =
        link.one("SELECT count(*) FROM pg_hba_file_rules WHERE error IS NOT NULL").await?;
    if wrong > 0 {
        return Err(link.refused("its pg_hba.conf has errors, and is not read again"));
    }
    link.run("SELECT pg_reload_conf()").await?;
    let read = format!("SELECT pg_conf_load_time() > {}::timestamptz", literal(&before));
    for _ in 0..100 {
        if link.one::<bool>(&read).await? {
            return Ok(());
        }
        sleep(Duration::from_millis(10)).await;
    }
    Err(link.not_observed("read its settings again"))
}

/// What a stranger is told at the door; and nobody is inside.
pub(super) async fn observe(
    node: &Node,
    login: &Config,
    patience: Duration,
) -> Result<Evidence, Trouble> {
    let mut stranger = login.clone();
    stranger.user(STRANGER).password("");
    let knock = async {
        let (stream, _) = node.dial().await.ok()?;
        stranger.connect_raw(stream, NoTls).await.err()
    };
    let answer = timeout(patience, knock).await.ok().flatten();
    let said = answer.as_ref().and_then(|error| error.as_db_error());
    // The place in its source tells a rule's refusal from that of a user who does not exist.
    let refused = said
        .is_some_and(|e| e.code().code() == "28000" && e.routine() == Some("ClientAuthentication"));
    if !refused {
        return Err(not_observed(&node.name, "refuse logins"));
    }
    let link = Link::open(node, login, patience).await?;
    let inside = format!("SELECT count(*) {INSIDE}");
    match link.one::<i64>(&inside).await? {
        0 => Ok(Evidence::LoginsRefused),
        _ => Err(link.not_observed("keep clients out")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_operators_rules_are_what_they_were() {
        let rules = "# mine\nlocal all all peer\n\nhost all all all md5";
        let fenced = format!("{BEGIN}\nhost all all all reject\n{END}\n{rules}\n");
        assert_eq!(without_block(&fenced).join("\n"), rules);
        assert_eq!(without_block(rules).join("\n"), rules);
    }
}
