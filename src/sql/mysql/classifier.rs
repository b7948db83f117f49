//! The way of a text: shape, cache, and on a miss all of its tokens.

use std::cell::RefCell;
use std::sync::Arc;

use super::analysis::{Analysis, Modes};
use super::classify::{classify, doubtful};
use super::functions::{Dialect, Functions};
use super::lexer;
use super::marks::Marks;
use crate::sql::cache::{Front, Shape, Shapes, Stats};
use crate::sql::usage::{Counted, Usage, summed};
use crate::sql::{Mark, Settings, Why};

/// Says what statement texts do, for all threads.
pub struct Classifier {
    shapes: Shapes<Analysis>,
    functions: Functions,
    marks: Marks,
    max_statement: usize,
    unseen: Arc<Analysis>,
}

thread_local! {
    static FRONT: RefCell<Front<Analysis>> = RefCell::new(Front::new());
}

/// Lends the thread's own table and buffer to `work`, which must not ask for them again.
fn with_front<T>(work: impl FnOnce(&mut Front<Analysis>) -> T) -> T {
    FRONT.with(|front| work(&mut front.borrow_mut()))
}

impl Classifier {
    pub fn new(dialect: Dialect, settings: &Settings) -> Classifier {
        let (harmless, harmful) = (&settings.harmless_functions.0, &settings.harmful_functions.0);
        Classifier {
            shapes: Shapes::new(settings.cache_bytes),
            functions: Functions::new(dialect, harmless, harmful),
            marks: Marks::new(&settings.marks),
            max_statement: settings.max_statement,
            unseen: Arc::new(doubtful(Why::Unseen)),
        }
    }

    /// What the text of a query, or of a statement to be prepared, does.
    ///
    /// `Why::Unseen` and `Why::Unparsed` come with one part that uses CODE, however many
    /// statements there are: should the server succeed where we did not look or understand, the
    /// session may be anything afterwards.
    pub fn analyse(&self, sql: &[u8], modes: Modes) -> Arc<Analysis> {
        if sql.len() > self.max_statement {
            return self.unseen.clone();
        }
        with_front(|front| {
            front.text.clear();
            let shaped = lexer::shape(sql, modes, &mut front.text).is_ok();
            let known = if shaped { self.shapes.find(front) } else { None };
            self.shapes.count(front, matches!(known, Some(Some(_))));
            match known {
                Some(Some(answer)) => answer,
                Some(None) => self.by_tokens(sql, modes, front, false),
                None => self.by_tokens(sql, modes, front, shaped),
            }
        })
    }

    fn by_tokens(
        &self,
        sql: &[u8],
        modes: Modes,
        front: &Front<Analysis>,
        keep: bool,
    ) -> Arc<Analysis> {
        let mut answer = classify(sql, modes, &self.functions);
        answer.analysis.marks = self.marks.of(sql, &front.text, modes);
        if keep && answer.by_shape {
            answer.analysis.usage = Some(Arc::default());
        }
        let analysis = Arc::new(answer.analysis);
        if keep {
            let known = answer.by_shape.then(|| analysis.clone());
            self.shapes.keep(Shape::new(&front.text, known));
        }
        analysis
    }

    /// A replica refused `sql` as a write: its shape is one from now on, while it stays cached.
    pub fn remember(&self, sql: &[u8], modes: Modes, why: Why) {
        let before = self.analyse(sql, modes);
        if matches!(before.primary, Some(Why::Unseen | Why::Unparsed)) {
            return;
        }
        let after = Analysis { primary: Some(why), ..(*before).clone() };
        with_front(|front| {
            front.text.clear();
            let shaped = lexer::shape(sql, modes, &mut front.text).is_ok();
            if shaped && matches!(self.shapes.find(front), Some(Some(_))) {
                self.shapes.correct(Shape::new(&front.text, Some(Arc::new(after))));
            }
        });
    }

    /// The number of this mark.
    pub fn mark(&self, wanted: &Mark) -> Option<u8> {
        self.marks.number(wanted)
    }

    /// The shapes that were used, with why they go to the primary and what was counted of each.
    pub fn used(&self) -> Vec<Counted> {
        let answers = self.shapes.answers();
        summed(answers.filter_map(|(shape, analysis)| {
            Some((lexer::printable(shape.text()), analysis.primary, analysis.usage.clone()?))
        }))
    }

    /// The shape of which these are the counters, for people; it may be forgotten already.
    pub fn shape_of(&self, usage: &Arc<Usage>) -> Option<String> {
        let mut answers = self.shapes.answers();
        let mine =
            |analysis: &Analysis| analysis.usage.as_ref().is_some_and(|u| Arc::ptr_eq(u, usage));
        let (shape, _) = answers.find(|(_, analysis)| mine(analysis))?;
        Some(lexer::printable(shape.text()))
    }

    pub fn stats(&self) -> Stats {
        self.shapes.stats()
    }
}

#[cfg(test)]
mod tests;
