//! What is harmful at any depth, and that doubt stays on the primary.

use std::sync::Arc;

use super::raw::{Cast, Domain, Function, Operator, Raw, Relation, RelationKind};
use crate::sql::{Analysis, Catalog, Classifier, FunctionNames, Settings, Step, Why};

/// PostgreSQL's own functions of these tests.
const BUILTINS: [(u32, &str); 4] =
    [(1, "lower"), (2, "nextval"), (3, "random"), (4, "pg_advisory_lock")];

fn function(oid: u32, schema: &str, name: &str, language: &str, volatile: bool) -> Function {
    let (schema, name, language) = (schema.to_owned(), name.to_owned(), language.to_owned());
    Function { oid, schema, name, language, volatile, ..Function::default() }
}

fn with_body(oid: u32, name: &str, language: &str, volatile: bool, body: &str) -> Function {
    Function { body: Some(body.into()), ..function(oid, "public", name, language, volatile) }
}

fn relation(oid: u32, schema: &str, name: &str, kind: RelationKind) -> Relation {
    let (schema, name) = (schema.to_owned(), name.to_owned());
    Relation { oid, schema, name, kind, functions: Vec::new(), relations: Vec::new() }
}

fn view(oid: u32, name: &str, functions: &[u32], relations: &[u32]) -> Relation {
    let (functions, relations) = (functions.to_vec(), relations.to_vec());
    Relation { functions, relations, ..relation(oid, "public", name, RelationKind::Query) }
}

fn raw(functions: Vec<Function>, relations: Vec<Relation>) -> Raw {
    let builtins = BUILTINS.iter().map(|(oid, name)| (*oid, (*name).to_owned())).collect();
    Raw { builtins, functions, relations, ..Raw::default() }
}

struct Asked {
    classifier: Classifier,
    catalog: Catalog,
}

fn asked(raw: &Raw) -> Asked {
    with_settings(raw, &Settings::default())
}

fn with_settings(raw: &Raw, settings: &Settings) -> Asked {
    let classifier = Classifier::new(settings);
    let catalog = classifier.catalog(raw);
    Asked { classifier, catalog }
}

impl Asked {
    fn analysis(&self, sql: &str) -> Arc<Analysis> {
        self.classifier.analyse(sql.as_bytes(), &self.catalog)
    }

    /// Each text with why it needs the primary.
    fn check(&self, table: &[(&str, Option<Why>)]) {
        for (sql, expected) in table {
            assert_eq!(self.analysis(sql).primary, *expected, "{sql}");
        }
    }

    /// Why a call of each function needs the primary, and whether it may leave something behind.
    fn calls(&self, table: &[(&str, bool, bool)]) {
        for (call, effect, keeps) in table {
            let found = self.analysis(&format!("SELECT {call}"));
            let expected = if *keeps { vec![Step::Hidden] } else { vec![] };
            assert_eq!(found.primary, effect.then_some(Why::Function), "{call}");
            assert_eq!(found.steps, expected, "{call}");
        }
    }
}

#[test]
fn what_a_function_promises_is_believed_unless_its_text_says_otherwise() {
    let body = |oid, name, volatile, text| with_body(oid, name, "plpgsql", volatile, text);
    let mut lazy = function(30, "ext", "lazy", "c", true);
    lazy.extension = Some("mine".into());
    let mut salt = function(31, "ext", "gen_salt", "c", true);
    salt.extension = Some("pgcrypto".into());
    let asked = asked(&raw(
        vec![
            body(10, "stable", false, "BEGIN RETURN lower(a); END"),
            body(11, "draws", false, "BEGIN RETURN nextval('s'); END"),
            body(12, "deeper", false, "BEGIN RETURN public . Draws(1); END"),
            body(13, "sets", false, "BEGIN SET LOCAL a.b = 1; RETURN 1; END"),
            body(14, "updates", true, "BEGIN UPDATE t SET a = 1; RETURN 1; END"),
            body(15, "runs", true, "BEGIN EXECUTE 'x'; END"),
            body(
                40,
                "looks",
                true,
                "DECLARE n int; BEGIN SELECT lower(a) INTO n FROM t; RETURN n; END",
            ),
            body(41, "asks", true, "BEGIN IF (random() > 1) THEN RETURN looks(); END IF; END"),
            body(42, "wonders", true, "BEGIN RETURN mystery(1); END"),
            body(43, "locks", true, "BEGIN PERFORM 1 FROM t FOR SHARE; END"),
            body(44, "points", true, "BEGIN RETURN t.updates FROM t; END"),
            body(45, "draws_too", true, "BEGIN PERFORM nextval('s'); END"),
            body(16, "quotes", false, "BEGIN RETURN 'nextval(1)'; -- SET nextval(\nEND"),
            function(17, "public", "other", "plpython3u", false),
            function(18, "public", "native", "c", false),
            lazy,
            salt,
        ],
        vec![],
    ));
    asked.calls(&[
        ("stable()", false, false),
        ("draws()", true, false),
        ("deeper()", true, false),
        ("sets()", false, true),
        ("updates()", true, false),
        ("runs()", true, true),
        ("looks()", false, false),
        ("asks()", false, false),
        ("wonders()", true, false),
        ("locks()", true, false),
        ("points()", true, false),
        ("draws_too()", true, false),
        ("t.draws FROM t", true, false),
        ("(t).draws FROM t", true, false),
        ("t.stable FROM t", false, false),
        ("quotes()", false, false),
        ("other()", false, true),
        ("native()", false, false),
        ("lazy()", true, true),
        ("gen_salt()", false, false),
        ("no_such_function()", true, true),
    ]);
}

#[test]
fn a_volatile_function_in_sql_is_harmless_if_the_grammar_sees_it_read() {
    let sql = |oid, name, text| with_body(oid, name, "sql", true, text);
    let atomic = Function { functions: vec![2], ..function(16, "public", "atomic", "sql", false) };
    let writes = Function { writes: true, ..function(17, "public", "writes", "sql", false) };
    let asked = asked(&raw(
        vec![
            sql(10, "reads", "SELECT a FROM t WHERE a = $1"),
            sql(11, "inserts", "INSERT INTO t VALUES ($1)"),
            sql(12, "calls_it", "SELECT reads($1)"),
            sql(13, "calls_the_other", "SELECT inserts($1)"),
            sql(14, "itself", "SELECT itself($1 - 1) WHERE $1 > 0"),
            sql(15, "configures", "SELECT set_config('a.b', '1', false)"),
            atomic,
            writes,
        ],
        vec![],
    ));
    asked.calls(&[
        ("reads(1)", false, false),
        ("inserts(1)", true, false),
        ("calls_it(1)", false, false),
        ("calls_the_other(1)", true, false),
        ("itself(1)", false, false),
        ("configures()", true, true),
        ("atomic()", true, false),
        ("writes()", true, false),
    ]);
}

#[test]
fn a_name_without_a_schema_is_the_worst_that_it_may_mean() {
    let asked = asked(&raw(
        vec![
            function(10, "a", "f", "c", false),
            function(11, "b", "f", "plpgsql", true),
            function(12, "a", "lower", "plpgsql", true),
        ],
        vec![relation(20, "a", "t", RelationKind::Barred)],
    ));
    asked.check(&[
        ("SELECT a.f()", None),
        ("SELECT b.f()", Some(Why::Function)),
        ("SELECT c.f()", Some(Why::Function)),
        ("SELECT f()", Some(Why::Function)),
        ("SELECT lower('A')", Some(Why::Function)),
        ("SELECT pg_catalog.lower('A')", None),
        ("SELECT a.lower('A')", Some(Why::Function)),
        ("SELECT * FROM t", Some(Why::Relation)),
        ("SELECT * FROM a.t", Some(Why::Relation)),
        ("SELECT * FROM b.t", None),
        ("COPY t TO STDOUT", Some(Why::Relation)),
    ]);
}

#[test]
fn views_hide_nothing_at_any_depth() {
    let asked = asked(&raw(
        vec![
            function(10, "public", "writes", "plpgsql", true),
            with_body(11, "through", "sql", true, "SELECT a FROM deeper"),
            with_body(12, "stable_through", "plpgsql", false, "BEGIN SELECT a FROM deeper; END"),
        ],
        vec![
            view(20, "plain", &[1, 3], &[99]),
            view(21, "draws", &[1, 2], &[]),
            view(22, "deeper", &[], &[21, 20]),
            view(23, "of_ours", &[10], &[]),
            view(24, "recursive", &[], &[24]),
            view(25, "over_a_foreign_table", &[], &[26]),
            relation(26, "public", "far", RelationKind::Barred),
            relation(27, "public", "s", RelationKind::Sequence),
        ],
    ));
    asked.check(&[
        ("SELECT * FROM plain", None),
        ("SELECT * FROM draws", Some(Why::Relation)),
        ("SELECT 1 WHERE EXISTS (TABLE deeper)", Some(Why::Relation)),
        ("SELECT * FROM of_ours", Some(Why::Relation)),
        ("SELECT * FROM recursive", None),
        ("SELECT * FROM over_a_foreign_table", Some(Why::Relation)),
        ("SELECT * FROM s", Some(Why::Relation)),
        ("SELECT through()", Some(Why::Function)),
        ("SELECT stable_through()", Some(Why::Function)),
        // With the catalog, a sequence is told from a table by its name.
        ("SELECT last_value FROM orders", None),
    ]);
    let unknown = asked.classifier.analyse(b"SELECT last_value FROM x", &Catalog::default());
    assert_eq!(unknown.primary, Some(Why::Session));
}

#[test]
fn operators_casts_and_domains_call_functions() {
    let volatile = function(10, "public", "check_it", "plpgsql", true);
    let mut all = raw(vec![volatile], vec![]);
    let operator =
        |name: &str, function| Operator { schema: "public".into(), name: name.into(), function };
    all.operators = vec![operator("===", 10), operator("~=~", 1)];
    let domain = |oid, name: &str, base, functions| {
        let (schema, name) = ("public".to_owned(), name.to_owned());
        Domain { oid, schema, name, base, functions }
    };
    all.domains = vec![domain(30, "checked", 25, vec![10]), domain(31, "over_it", 30, vec![])];
    let cast =
        Cast { schema: "public".into(), target: "made".into(), function: 10, implicit: false };
    all.casts = vec![cast.clone()];
    let asked = self::asked(&all);
    asked.check(&[
        ("SELECT a === b FROM t", Some(Why::Function)),
        ("SELECT a OPERATOR(public.===) b FROM t", Some(Why::Function)),
        ("SELECT a ~=~ b FROM t", None),
        ("SELECT a FROM t ORDER BY a USING ===", Some(Why::Function)),
        ("SELECT '1'::checked", Some(Why::Function)),
        ("SELECT CAST(a AS public.over_it[]) FROM t", Some(Why::Function)),
        ("SELECT a::made FROM t", Some(Why::Function)),
        ("SELECT a::text FROM t", None),
    ]);
    // What nobody writes may be anywhere.
    for implicit in [
        Raw { casts: vec![Cast { implicit: true, ..cast }], ..all.clone() },
        Raw { operators: vec![operator("=", 10)], ..all.clone() },
    ] {
        self::asked(&implicit).check(&[("SELECT a FROM t", Some(Why::Function))]);
    }
}

#[test]
fn the_operator_knows_better_than_the_database() {
    let all = raw(
        vec![
            function(10, "shop", "price", "plpgsql", true),
            function(11, "other", "price", "c", false),
            function(12, "shop", "count_visit", "c", false),
            function(13, "public", "tax", "plpgsql", true),
        ],
        vec![view(20, "prices", &[10], &[]), view(21, "visits", &[12], &[])],
    );
    let settings = Settings {
        harmless_functions: FunctionNames(vec!["shop.price".into(), "tax".into()]),
        harmful_functions: FunctionNames(vec!["shop.count_visit".into()]),
        ..Settings::default()
    };
    let asked = with_settings(&all, &settings);
    asked.calls(&[
        ("shop.price(1)", false, false),
        ("price(1)", false, false),
        ("tax()", false, false),
        ("count_visit()", true, true),
        ("shop.count_visit()", true, true),
    ]);
    asked.check(&[("TABLE prices", None), ("TABLE visits", Some(Why::Relation))]);
}

#[test]
fn an_answer_of_another_catalog_is_never_used() {
    let classifier = Classifier::new(&Settings::default());
    let harmless = raw(vec![function(10, "public", "f", "c", false)], vec![]);
    let harmful = raw(vec![function(10, "public", "f", "c", true)], vec![]);
    let [first, second] = [&harmless, &harmful].map(|raw| classifier.catalog(raw));
    let unknown = Catalog::default();
    for _ in 0..2 {
        let primary = |catalog| classifier.analyse(b"SELECT f(1)", catalog).primary;
        assert_eq!(primary(&first), None);
        assert_eq!(primary(&second), Some(Why::Function));
        assert_eq!(primary(&unknown), Some(Why::Function));
    }
    assert!(classifier.remember(b"SELECT f(2)", &first));
    assert_eq!(classifier.analyse(b"SELECT f(3)", &first).primary, Some(Why::Refused));
    let anew = classifier.catalog(&harmless);
    assert_eq!(classifier.analyse(b"SELECT f(3)", &anew).primary, None);
}
