//! When a catalog may be used, and when it is to be read.

use super::*;

const INTERVAL: Duration = Duration::from_secs(60);

fn database() -> Arc<Database> {
    Arc::new(Database::new("shop".into(), Arc::default()))
}

/// A catalog that is told from the unknown one.
fn some() -> Catalog {
    crate::sql::Classifier::new(&Default::default()).catalog(&Default::default())
}

fn read(database: &Database, fingerprint: &str, new: Option<Catalog>) {
    let reading = database.begin(Instant::now()).expect("nothing is being defined");
    database.finish(&reading, fingerprint.to_owned(), new, Instant::now());
}

fn number(database: &Database) -> u64 {
    database.current().number()
}

#[test]
fn nothing_is_known_before_it_is_read_and_while_something_is_defined() {
    let database = database();
    assert_eq!(number(&database), 0);
    read(&database, "a", Some(some()));
    let first = number(&database);
    assert_ne!(first, 0);
    let defining = database.define();
    assert_eq!(number(&database), 0);
    assert!(
        database.begin(Instant::now()).is_none()
            && database.due(INTERVAL, Instant::now()).is_none()
    );
    drop(defining);
    assert_eq!(number(&database), 0);
    assert!(database.due(INTERVAL, Instant::now()).is_some_and(|at| at <= Instant::now()));
    // It was nothing that matters: the answers by shape hold again.
    read(&database, "a", None);
    assert_eq!(number(&database), first);
    assert!(database.due(INTERVAL, Instant::now()).is_some_and(|at| at > Instant::now()));
}

#[test]
fn what_was_read_while_something_was_defined_is_not_used() {
    let database = database();
    read(&database, "a", Some(some()));
    let reading = database.begin(Instant::now()).expect("nothing is being defined");
    drop(database.define());
    database.finish(&reading, "b".into(), Some(some()), Instant::now());
    assert_eq!(number(&database), 0);
    let again = database.begin(Instant::now()).expect("it has ended");
    assert!(again.changed.is_some());
}

#[test]
fn a_reading_after_a_definition_must_show_it() {
    let database = database();
    let before = Instant::now();
    drop(database.define());
    let reading = database.begin(Instant::now()).expect("it has ended");
    assert!(reading.changed.is_some_and(|at| at >= before));
}

#[test]
fn code_that_may_have_defined_something_is_looked_after_soon() {
    let database = database();
    read(&database, "a", Some(some()));
    let by_timer = database.due(INTERVAL, Instant::now());
    database.suspect();
    assert!(database.due(INTERVAL, Instant::now()) < by_timer && number(&database) != 0);
}

#[test]
fn a_database_that_cannot_be_read_is_news_once_and_tried_again() {
    let database = database();
    let now = Instant::now();
    assert!(database.begin(now).is_some());
    assert!(database.give_up("no rights", INTERVAL, now));
    assert!(!database.give_up("no rights", INTERVAL, now));
    assert_eq!(database.shown(now).failure.as_deref(), Some("no rights"));
    assert_eq!(database.due(INTERVAL, Instant::now()), Some(now + INTERVAL));
    drop(database.define());
    assert_eq!(database.due(INTERVAL, Instant::now()), Some(now + PAUSE));
}

#[test]
fn a_catalog_that_nobody_looked_after_is_not_used() {
    let database = database();
    read(&database, "a", Some(some()));
    database.expect_use(INTERVAL, Instant::now());
    assert_ne!(number(&database), 0);
    database.expect_use(INTERVAL, Instant::now() + 3 * INTERVAL);
    assert_eq!(number(&database), 0);
    let again = self::database();
    read(&again, "a", Some(some()));
    assert!(again.give_up("it is down", INTERVAL, Instant::now() + 3 * INTERVAL));
    assert_eq!(number(&again), 0);
}
