//! The way of a text: shape, cache, and on a miss the grammar.

use std::sync::Arc;

use super::analysis::{Analysis, Step, Why};
use super::cache::{Front, Shape, Shapes, Stats, with_front};
use super::catalog::{Catalog, raw::Raw};
use super::classify::classify;
use super::functions::{FunctionNames, Functions};
use super::lexer;
use super::mark::{Mark, Marks};
use super::names::Names;
use super::usage::{Counted, Usage, summed};

/// How statements are classified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Memory for the answers by shape, in bytes, about.
    pub cache_bytes: u64,
    /// A longer statement text is not looked at; in bytes.
    pub max_statement: usize,
    /// Functions that a read may call, `name` or `schema.name`, besides the built-in ones.
    pub harmless_functions: FunctionNames,
    /// Functions that a read may not call, built-in ones included.
    pub harmful_functions: FunctionNames,
    /// Statements that rules name; at most 64.
    pub marks: Vec<Mark>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            cache_bytes: 16 << 20,
            max_statement: 64 << 10,
            harmless_functions: FunctionNames::default(),
            harmful_functions: FunctionNames::default(),
            marks: Vec::new(),
        }
    }
}

/// Says what statement texts do, for all threads.
///
/// It reads texts as a session with `standard_conforming_strings = on` does: the server reports
/// that parameter, and with `off` only the primary is right.
pub struct Classifier {
    shapes: Shapes,
    functions: Functions,
    marks: Marks,
    max_statement: usize,
    unseen: Arc<Analysis>,
}

impl Classifier {
    /// The number of this mark.
    pub fn mark(&self, wanted: &Mark) -> Option<u8> {
        self.marks.number(wanted)
    }

    pub fn new(settings: &Settings) -> Classifier {
        let (primary, steps) = (Some(Why::Unseen), vec![Step::Hidden]);
        let unseen = Analysis { primary, steps, ..Analysis::default() };
        Classifier {
            shapes: Shapes::new(settings.cache_bytes),
            functions: Functions::new(
                &settings.harmless_functions.0,
                &settings.harmful_functions.0,
            ),
            marks: Marks::new(&settings.marks),
            max_statement: settings.max_statement,
            unseen: Arc::new(unseen),
        }
    }

    /// What a database's names mean, with what the settings know better.
    pub fn catalog(&self, raw: &Raw) -> Catalog {
        Catalog::conclude(raw, &self.functions)
    }

    /// What the text of a simple query or of a Parse message does, without its final NUL, in the
    /// database of this catalog.
    ///
    /// `Why::Unseen` and `Why::Unparsed` come with the one step `Hidden`, however many
    /// statements there are: should the server succeed where we did not look or understand, the
    /// session may be anything afterwards.
    pub fn analyse(&self, sql: &[u8], catalog: &Catalog) -> Arc<Analysis> {
        if sql.len() > self.max_statement {
            return self.unseen.clone();
        }
        with_front(|front| {
            let shaped = shape(sql, catalog, front);
            let known = if shaped { self.shapes.find(front) } else { None };
            self.shapes.count(front, matches!(known, Some(Some(_))));
            match known {
                Some(Some(answer)) => answer,
                Some(None) => self.by_grammar(sql, catalog, front, false),
                None => self.by_grammar(sql, catalog, front, shaped),
            }
        })
    }

    fn by_grammar(
        &self,
        sql: &[u8],
        catalog: &Catalog,
        front: &Front,
        keep: bool,
    ) -> Arc<Analysis> {
        let mut answer = classify(sql, Names { functions: &self.functions, catalog });
        answer.analysis.marks = self.marks.of(sql, shape_of(&front.text));
        if keep && answer.by_shape {
            answer.analysis.usage = Some(Arc::default());
        }
        let analysis = Arc::new(answer.analysis);
        // An error is never kept: another text of its shape may be none.
        if keep && analysis.primary != Some(Why::Unparsed) {
            let known = answer.by_shape.then(|| analysis.clone());
            self.shapes.keep(Shape::new(&front.text, known));
        }
        analysis
    }

    /// A replica refused `sql`: its shape needs the primary from now on, as long as it is cached
    /// and the catalog is this one. False if it did already, or cannot be remembered by its shape.
    pub fn remember(&self, sql: &[u8], catalog: &Catalog) -> bool {
        let before = self.analyse(sql, catalog);
        if before.primary.is_some() {
            return false;
        }
        let after = Analysis { primary: Some(Why::Refused), ..(*before).clone() };
        with_front(|front| {
            let shaped = shape(sql, catalog, front);
            let by_shape = shaped && matches!(self.shapes.find(front), Some(Some(_)));
            if by_shape {
                self.shapes.correct(Shape::new(&front.text, Some(Arc::new(after))));
            }
            by_shape
        })
    }

    /// The shapes that were used, with why they go to the primary and what was counted of each.
    ///
    /// A shape is kept once for each catalog it was judged by: here it is one if the answer is.
    pub fn used(&self) -> Vec<Counted> {
        let answers = self.shapes.answers();
        summed(answers.filter_map(|(shape, analysis)| {
            Some((printable(shape.text()), analysis.primary, analysis.usage.clone()?))
        }))
    }

    /// The shape of which these are the counters, for people; it may be forgotten already.
    pub fn shape_of(&self, usage: &Arc<Usage>) -> Option<String> {
        let mut answers = self.shapes.answers();
        let mine =
            |analysis: &Analysis| analysis.usage.as_ref().is_some_and(|u| Arc::ptr_eq(u, usage));
        let (shape, _) = answers.find(|(_, analysis)| mine(analysis))?;
        Some(printable(shape.text()))
    }

    pub fn stats(&self) -> Stats {
        self.shapes.stats()
    }
}

/// The shape in what an answer is kept by, for people.
fn printable(kept: &[u8]) -> String {
    lexer::printable(shape_of(kept))
}

/// What an answer is kept by, without the catalog.
fn shape_of(kept: &[u8]) -> &[u8] {
    &kept[..kept.len().saturating_sub(size_of::<u64>())]
}

/// Writes what an answer is kept by into the thread's buffer: the shape, and the catalog that the
/// answer is drawn from. False if the text has no shape.
fn shape(sql: &[u8], catalog: &Catalog, front: &mut Front) -> bool {
    front.text.clear();
    let shaped = lexer::shape(sql, &mut front.text).is_some();
    front.text.extend_from_slice(&catalog.number().to_le_bytes());
    shaped
}

#[cfg(test)]
mod tests;
