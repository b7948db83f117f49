//! The corpus, to which the classifier is held by its own tests, against pg_query.

use oracle::{Opinion, Oracle};

#[test]
fn pg_query_agrees_with_the_corpus() {
    let oracle = Oracle::default();
    let mut wrong = Vec::new();
    let mut judged = 0;
    let lines = include_str!("../corpus.txt").lines().filter(|line| !line.starts_with('#'));
    for line in lines {
        let (word, sql) = line.split_once(' ').expect("a word and a statement");
        let sql = sql.replace("\\n", "\n").replace("\\t", "\t");
        let agrees = match (word, oracle.opinion(&sql)) {
            ("read", opinion) => opinion == Opinion::Read,
            ("unparsed", opinion) => opinion == Opinion::Refused,
            // It knows neither which views and parameters are those of one server …
            ("session", _) => true,
            // … nor which names current_setting may be asked for.
            ("function", Opinion::Read) => sql.contains("current_setting"),
            (_, opinion) => opinion == Opinion::Write,
        };
        judged += 1;
        if !agrees {
            wrong.push(line);
        }
    }
    assert!(judged > 300, "only {judged} lines in the corpus");
    assert!(wrong.is_empty(), "pg_query disagrees:\n{}", wrong.join("\n"));
}
