//! What each statement is: by the classifier, and by what it did.

use crate::scene::{Failure, Scene, copies_out};
use crate::script::Piece;
use std::collections::BTreeMap;
use tidegate::sql::{Classifier, Pin, Settings, Step, Why};

/// What was found, over any number of scripts.
#[derive(Default)]
pub(crate) struct Found {
    pub(crate) statements: usize,
    /// Statements that did something that a replica must not be asked for.
    pub(crate) writes: usize,
    /// Statements that ask for rows and did nothing else, the same on both servers.
    pub(crate) reads: usize,
    /// Such that the primary was asked for, by the reason.
    pub(crate) missed: BTreeMap<&'static str, Vec<String>>,
    /// Writes that were called reads, and what they did.
    pub(crate) wrong: Vec<(String, String)>,
    /// Called reads, but the servers answer differently.
    pub(crate) differing: Vec<String>,
}

pub(crate) struct Judge {
    classifier: Classifier,
    /// It looks at each text by the grammar.
    grammar: Classifier,
    /// The session keeps its connection to the primary: a setting of its own cannot be moved.
    pinned: bool,
    pub(crate) found: Found,
}

/// How a statement begins.
fn first_word(sql: &str) -> String {
    let mut text = sql.trim_start_matches(|c: char| c.is_whitespace() || c == '(');
    loop {
        let after = match text {
            _ if text.starts_with("--") => text.find('\n').map(|end| end + 1),
            _ if text.starts_with("/*") => text.find("*/").map(|end| end + 2),
            _ => break,
        };
        text = after.map_or("", |end| &text[end..]).trim_start();
        text = text.trim_start_matches('(');
    }
    let end = text.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(text.len());
    text[..end].to_ascii_lowercase()
}

/// What a standby says of what it must not or cannot do.
fn is_refusal((code, said): &Failure) -> bool {
    code == "25006" || said.contains("recovery") || said.contains("read-only transaction")
}

impl Judge {
    pub(crate) fn new() -> Judge {
        let classifier = Classifier::new(&Settings::default());
        let grammar = Classifier::new(&Settings { cache_bytes: 0, ..Settings::default() });
        Judge { classifier, grammar, pinned: false, found: Found::default() }
    }

    pub(crate) async fn play(&mut self, scene: &mut Scene, pieces: &[Piece]) {
        for piece in pieces {
            scene.heal().await;
            match piece {
                Piece::Statement(sql) => self.statement(scene, sql).await,
                Piece::CopyIn(sql, rows) => scene.copy_in(sql, rows).await,
                Piece::Reconnect => {
                    scene.reconnect().await;
                    self.pinned = false;
                }
            }
        }
        if scene.in_block {
            scene.pass("ROLLBACK").await;
        }
        self.pinned = false;
    }

    async fn statement(&mut self, scene: &mut Scene, sql: &str) {
        self.found.statements += 1;
        let word = first_word(sql);
        match &*word {
            "begin" | "start" | "commit" | "end" | "rollback" | "abort" | "savepoint"
            | "release" => return scene.pass(sql).await,
            "prepare" if sql.to_ascii_lowercase().contains("transaction") => {
                return scene.pass(sql).await;
            }
            // What they do is decided where the transaction or the connection was.
            "fetch" | "move" | "close" | "execute" | "deallocate" | "checkpoint" => {
                let _ = scene.on_primary(sql).await;
                return;
            }
            _ => {}
        }
        let catalog = scene.catalog(&self.classifier).await;
        let differently = scene.reads_strings_differently().await;
        let exact = self.grammar.analyse(sql.as_bytes(), &catalog);
        let by_shape = self.classifier.analyse(sql.as_bytes(), &catalog);
        // Whatever literals texts of this shape had before.
        let fails = exact.primary == Some(Why::Unparsed);
        assert!(fails || exact == by_shape, "{sql}: {exact:?}, by its shape {by_shape:?}");
        let said = by_shape.primary.map(|why| why.name()).or(differently.then_some("strings"));
        let Ok(done) = scene.on_primary(sql).await else { return };
        self.pinned |= by_shape.steps.contains(&Step::Pin(Pin::Setting));
        if self.pinned {
            return;
        }
        let settles = matches!(&*word, "set" | "reset" | "discard" | "prepare" | "load");
        let elsewhere = match done.effect {
            Some(_) if said.is_some() => None,
            _ if scene.block_writes => None,
            _ => Some(scene.on_standby(sql, settles).await),
        };
        let refusal = elsewhere.as_ref().and_then(|e| e.as_ref().err()).filter(|e| is_refusal(e));
        let effect = match (done.effect, refusal) {
            (Some(effect), _) => Some(effect.to_owned()),
            (None, Some((code, said))) => Some(format!("{code} {said}")),
            (None, None) => None,
        };
        let asks = matches!(&*word, "select" | "values" | "table" | "with" | "show" | "explain")
            || copies_out(sql);
        match (effect, elsewhere) {
            (Some(effect), _) => {
                self.found.writes += 1;
                if said.is_none() {
                    self.found.wrong.push((one_line(sql), effect));
                }
            }
            (None, Some(Ok(rows))) if asks && rows == done.rows => self.read(sql, said),
            (None, Some(Ok(_))) if asks && said.is_none() => {
                self.found.differing.push(one_line(sql));
            }
            _ => {}
        }
    }

    fn read(&mut self, sql: &str, said: Option<&'static str>) {
        self.found.reads += 1;
        if let Some(why) = said {
            self.found.missed.entry(why).or_default().push(one_line(sql));
        }
    }
}

fn one_line(sql: &str) -> String {
    sql.split_whitespace().collect::<Vec<_>>().join(" ")
}

impl Found {
    /// Reads that the primary was asked for, in percent.
    pub(crate) fn missed_share(&self) -> f64 {
        let missed: usize = self.missed.values().map(Vec::len).sum();
        100.0 * missed as f64 / self.reads.max(1) as f64
    }

    /// The same had this function been named in `route.harmless_functions`.
    pub(crate) fn missed_share_but_for(&self, function: &str) -> f64 {
        let call = format!("{function}(");
        let missed = self.missed.values().flatten().filter(|sql| !sql.contains(&call)).count();
        100.0 * missed as f64 / self.reads.max(1) as f64
    }

    pub(crate) fn print(&self, all: bool) {
        let Found { statements, writes, reads, wrong, .. } = self;
        println!("{statements} statements: {writes} writes, {} called reads", wrong.len());
        for (sql, effect) in wrong {
            println!("  called a read: {sql}\n    {effect}");
        }
        println!("{reads} reads: {:.2} % of them for the primary", self.missed_share());
        let mut ranked: Vec<_> = self.missed.iter().collect();
        ranked.sort_by_key(|(_, texts)| std::cmp::Reverse(texts.len()));
        for (why, texts) in ranked {
            println!("  {:5} {why}", texts.len());
            texts.iter().filter(|_| all).for_each(|sql| println!("        {sql}"));
        }
        println!("{} called reads differ between the servers", self.differing.len());
        self.differing.iter().filter(|_| all).for_each(|sql| println!("        {sql}"));
    }
}
