//! Reads a database's catalog: one short connection, one snapshot, and nothing but the fingerprint
//! if that is still the same.

use crate::pg::connect::Node;
use crate::sql::raw::{Cast, Domain, Function, Operator, Raw, Relation, RelationKind};
use tokio_postgres::{Client, Config, Error, Row};

/// What pg_stat_activity shows.
const APPLICATION: &str = "tidegate catalog";

/// Objects with a lower number came with the database system (`FirstNormalObjectId`).
const FIRST: &str = "16384";

/// The names in queries and in what they return must not depend on anybody's search path. What a
/// server needs longer for is tried again later.
const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; \
    SET LOCAL search_path = pg_catalog; SET LOCAL statement_timeout = '10s'; SET LOCAL jit = off";

/// A catalog as it was read; `None`: it is the one with the fingerprint that was known.
pub struct Answer {
    pub fingerprint: String,
    pub raw: Option<Raw>,
}

/// Relations that a standby cannot read or that are not this server's, and those that have such
/// ones among their partitions.
const BARRED: &str = "
    SELECT oid FROM pg_class
     WHERE relkind = 'f' OR (relpersistence = 'u' AND relkind IN ('r', 'p', 'm'))
     UNION
    SELECT inhparent FROM pg_inherits JOIN barred ON inhrelid = barred.oid";

/// Changes with whatever a catalog is made of.
fn fingerprint() -> String {
    let rows = |table: &str, what: &str, which: &str| {
        format!(
            "(SELECT count(*) || '.' || coalesce(sum(hashtext(concat_ws('.', {what}))::int8), 0)
                FROM {table} WHERE {which})"
        )
    };
    let own = format!("oid >= {FIRST}");
    let parts = [
        rows("pg_proc", "oid, xmin", &own),
        rows("pg_rewrite", "oid, xmin", &format!("{own} AND ev_type = '1'")),
        rows("pg_policy", "oid, xmin", "true"),
        rows("pg_operator", "oid, xmin", &own),
        rows("pg_cast", "oid, xmin", &own),
        rows("pg_constraint", "oid, xmin", "contypid <> 0"),
        rows("pg_type", "oid, typname, typnamespace", &format!("{own} AND typtype = 'd'")),
        rows("pg_namespace", "oid, nspname", "nspname !~ '^pg_(toast_)?temp_'"),
        rows("pg_extension", "oid, xmin", "true"),
        rows(
            "pg_class",
            "oid, relname, relnamespace, relkind, relrowsecurity",
            &format!(
                "{own} AND relpersistence <> 't' AND (relkind IN ('v', 'S') OR relrowsecurity)"
            ),
        ),
        rows("pg_class JOIN barred USING (oid)", "oid, relname, relnamespace", "true"),
    ];
    format!("WITH RECURSIVE barred (oid) AS ({BARRED}) SELECT concat_ws(' ', {})", parts.join(", "))
}

/// The numbers behind these fields of an expression, as PostgreSQL's `outfuncs.c` writes it.
fn numbers(fields: &str, tree: &str) -> String {
    format!(
        "ARRAY(SELECT DISTINCT (m)[1]::oid FROM regexp_matches({tree}, ':(?:{fields}) (\\d+)', 'g')
                AS m)"
    )
}

fn functions_in(tree: &str) -> String {
    numbers("funcid|opfuncid|aggfnoid|winfnoid", tree)
}

const BUILTINS: &str = "SELECT oid, proname::text FROM pg_proc
    WHERE pronamespace = 'pg_catalog'::regnamespace AND oid < 16384";

/// `body`: the column of bodies that are not kept as texts, from version 14 on.
fn functions(body: &str) -> String {
    let (called, read) = (functions_in("t.tree"), numbers("relid", "t.tree"));
    format!(
        "SELECT p.oid, n.nspname::text, p.proname::text, p.provolatile = 'v', l.lanname::text,
                (SELECT e.extname::text FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
                  WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
                    AND d.refclassid = 'pg_extension'::regclass),
                CASE WHEN l.lanname IN ('sql', 'plpgsql') AND {body} IS NULL THEN p.prosrc END,
                coalesce({body}::text, '') ~ ':commandType [2-6]',
                {called} || ARRAY(
                    SELECT f FROM unnest(ARRAY[a.aggtransfn, a.aggfinalfn, a.aggcombinefn,
                        a.aggmtransfn, a.aggminvtransfn, a.aggmfinalfn]::oid[]) AS f WHERE f <> 0),
                {read}
           FROM pg_proc p
           JOIN pg_namespace n ON n.oid = p.pronamespace
           JOIN pg_language l ON l.oid = p.prolang
           LEFT JOIN pg_aggregate a ON a.aggfnoid = p.oid
          CROSS JOIN LATERAL (
                SELECT concat_ws(' ', p.proargdefaults::text, {body}::text) AS tree) AS t
          WHERE (p.oid >= {FIRST} OR n.nspname <> 'pg_catalog') AND p.prokind <> 'p'
            AND p.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype)
            AND n.nspname !~ '^pg_(toast_)?temp_'"
    )
}

fn relations() -> String {
    let (called, read) = (functions_in("t.tree"), numbers("relid", "t.tree"));
    format!(
        "WITH RECURSIVE barred (oid) AS ({BARRED})
         SELECT c.oid, n.nspname::text, c.relname::text,
                CASE WHEN b.oid IS NOT NULL THEN 'barred' WHEN c.relkind = 'S' THEN 'sequence'
                     ELSE 'query' END,
                {called}, {read}
           FROM pg_class c
           JOIN pg_namespace n ON n.oid = c.relnamespace
           LEFT JOIN barred b ON b.oid = c.oid
          CROSS JOIN LATERAL (SELECT coalesce(string_agg(part, ' '), '') AS tree FROM (
                SELECT ev_action::text AS part FROM pg_rewrite
                 WHERE ev_class = c.oid AND ev_type = '1' AND c.relkind = 'v'
                UNION ALL
                SELECT polqual::text FROM pg_policy
                 WHERE polrelid = c.oid AND polcmd IN ('r', '*') AND c.relrowsecurity)
                AS parts) AS t
          WHERE (c.relkind IN ('v', 'S') OR c.relrowsecurity OR b.oid IS NOT NULL)
            AND c.relpersistence <> 't'"
    )
}

const OPERATORS: &str = "SELECT n.nspname::text, o.oprname::text, o.oprcode::oid
    FROM pg_operator o JOIN pg_namespace n ON n.oid = o.oprnamespace
    WHERE o.oid >= 16384 AND o.oprcode <> 0";

const CASTS: &str = "SELECT n.nspname::text, t.typname::text, c.castfunc, c.castcontext = 'i'
    FROM pg_cast c JOIN pg_type t ON t.oid = c.casttarget JOIN pg_namespace n ON n.oid = t.typnamespace
    WHERE c.oid >= 16384 AND c.castfunc <> 0";

fn domains() -> String {
    let called = functions_in("tree");
    format!(
        "SELECT d.oid, n.nspname::text, d.typname::text, d.typbasetype, {called}
           FROM pg_type d
           JOIN pg_namespace n ON n.oid = d.typnamespace
          CROSS JOIN LATERAL (SELECT coalesce(string_agg(conbin::text, ' '), '') AS tree
                FROM pg_constraint WHERE contypid = d.oid) AS t
          WHERE d.typtype = 'd' AND d.oid >= {FIRST}"
    )
}

/// Asks `node` for the catalog of the database that `login` names. An error is in the words of
/// the server or of the system.
pub async fn read(node: &Node, login: &Config, known: Option<&str>) -> Result<Answer, String> {
    let (stream, _) = node.dial().await.map_err(|e| e.to_string())?;
    let mut login = login.clone();
    login.application_name(APPLICATION);
    let connected = login.connect_raw(stream, tokio_postgres::NoTls).await;
    let (client, connection) = connected.map_err(in_words)?;
    let connection = tokio::spawn(connection);
    let answer = ask(&client, known).await.map_err(in_words);
    connection.abort();
    answer
}

async fn ask(client: &Client, known: Option<&str>) -> Result<Answer, Error> {
    client.batch_execute(BEGIN).await?;
    let fingerprint: String = client.query_one(&fingerprint(), &[]).await?.try_get(0)?;
    if known == Some(fingerprint.as_str()) {
        return Ok(Answer { fingerprint, raw: None });
    }
    let version = "SELECT current_setting('server_version_num')::int";
    let version: i32 = client.query_one(version, &[]).await?.try_get(0)?;
    let body = if version >= 140_000 { "p.prosqlbody" } else { "NULL::pg_node_tree" };
    let raw = Raw {
        builtins: all(client, BUILTINS, |row| Ok((row.try_get(0)?, row.try_get(1)?))).await?,
        functions: all(client, &functions(body), function).await?,
        relations: all(client, &relations(), relation).await?,
        operators: all(client, OPERATORS, operator).await?,
        casts: all(client, CASTS, cast).await?,
        domains: all(client, &domains(), domain).await?,
    };
    Ok(Answer { fingerprint, raw: Some(raw) })
}

async fn all<T>(
    client: &Client,
    query: &str,
    read: impl Fn(&Row) -> Result<T, Error>,
) -> Result<Vec<T>, Error> {
    client.query(query, &[]).await?.iter().map(read).collect()
}

fn function(row: &Row) -> Result<Function, Error> {
    Ok(Function {
        oid: row.try_get(0)?,
        schema: row.try_get(1)?,
        name: row.try_get(2)?,
        volatile: row.try_get(3)?,
        language: row.try_get(4)?,
        extension: row.try_get(5)?,
        body: row.try_get(6)?,
        writes: row.try_get(7)?,
        functions: row.try_get(8)?,
        relations: row.try_get(9)?,
    })
}

fn relation(row: &Row) -> Result<Relation, Error> {
    Ok(Relation {
        oid: row.try_get(0)?,
        schema: row.try_get(1)?,
        name: row.try_get(2)?,
        kind: match row.try_get(3)? {
            "barred" => RelationKind::Barred,
            "sequence" => RelationKind::Sequence,
            _ => RelationKind::Query,
        },
        functions: row.try_get(4)?,
        relations: row.try_get(5)?,
    })
}

fn operator(row: &Row) -> Result<Operator, Error> {
    Ok(Operator { schema: row.try_get(0)?, name: row.try_get(1)?, function: row.try_get(2)? })
}

fn cast(row: &Row) -> Result<Cast, Error> {
    Ok(Cast {
        schema: row.try_get(0)?,
        target: row.try_get(1)?,
        function: row.try_get(2)?,
        implicit: row.try_get(3)?,
    })
}

fn domain(row: &Row) -> Result<Domain, Error> {
    Ok(Domain {
        oid: row.try_get(0)?,
        schema: row.try_get(1)?,
        name: row.try_get(2)?,
        base: row.try_get(3)?,
        functions: row.try_get(4)?,
    })
}

/// The error's own text is general: "db error".
fn in_words(error: Error) -> String {
    error.as_db_error().map_or_else(|| error.to_string(), |said| said.message().to_string())
}
