//! From a seed to a script: several clients in turns, each saying something of every kind.

mod copies;
mod kinds;
mod pipelines;
mod unsaid;
mod values;

use crate::script::{Message, Script, Step};
use crate::stage::CLIENTS;
use crate::support::dice::Dice;
use kinds::{KINDS, Kind, Says};

/// Steps of a script.
const STEPS: usize = 220;

/// Who writes the next step, for whom.
pub struct Author {
    dice: Dice,
    client: usize,
}

/// The script of this seed, always the same.
pub fn script(seed: u64) -> Script {
    let mut author = Author { dice: Dice::new(seed), client: 0 };
    // A seed has its favourites, so that what needs several steps of a kind comes about.
    let favourites = [author.kind(&all()), author.kind(&all()), author.kind(&all())];
    let mut script = Script::default();
    while script.steps.len() < STEPS {
        // A client says a few things before another one does.
        author.client = author.dice.below(CLIENTS);
        for _ in 0..=author.dice.below(3) {
            let kind = match author.dice.below(3) {
                0 => author.kind(&favourites),
                _ => author.kind(&all()),
            };
            for messages in author.steps(kind) {
                script.steps.push(Step { client: author.client, messages });
            }
        }
    }
    unsaid::leave_out(&mut script);
    script
}

fn all() -> Vec<&'static Kind> {
    KINDS.iter().collect()
}

impl Author {
    fn kind(&mut self, from: &[&'static Kind]) -> &'static Kind {
        let total = from.iter().map(|kind| kind.weight).sum();
        let mut at = self.dice.below(total);
        for kind in from {
            if at < kind.weight {
                return kind;
            }
            at -= kind.weight;
        }
        from[0]
    }

    fn steps(&mut self, kind: &Kind) -> Vec<Vec<Message>> {
        match kind.says {
            Says::Sql(write) => {
                let sql = write(self);
                self.say(sql)
            }
            Says::Messages(write) => write(self),
        }
    }

    /// A statement of any kind that is one.
    fn statement(&mut self) -> String {
        loop {
            if let Says::Sql(write) = self.kind(&all()).says {
                return write(self);
            }
        }
    }

    /// A statement to stand behind this one in a batch: see
    /// `known/isolation_level_in_a_batch_with_execute.txt`.
    fn statement_behind(&mut self, sql: &str) -> String {
        loop {
            let other = self.statement();
            let names =
                |sql: &str| ["EXECUTE", "PREPARE q", "pg_prepared"].iter().any(|n| sql.contains(n));
            if !(sql.contains("ISOLATION") && names(&other)) {
                return other;
            }
        }
    }

    /// A statement as applications bring it to a server.
    fn say(&mut self, sql: String) -> Vec<Vec<Message>> {
        match self.dice.below(12) {
            0..7 => vec![vec![Message::Query(sql)]],
            7 => {
                let other = self.statement_behind(&sql);
                vec![vec![Message::Query(format!("{sql}; {other}"))]]
            }
            8 => vec![vec![Message::Query(sql), Message::Query(self.statement())]],
            9 => {
                let mut first = unnamed(sql.clone(), true);
                first.pop();
                vec![[first, unnamed(self.statement_behind(&sql), false)].concat()]
            }
            binary => vec![unnamed(sql, binary == 10)],
        }
    }
}

/// A statement in the extended protocol as drivers send it.
fn unnamed(sql: String, binary: bool) -> Vec<Message> {
    let (portal, name, values) = (String::new(), String::new(), Vec::new());
    vec![
        Message::Parse { name: name.clone(), sql },
        Message::Bind { portal, name, binary, values },
        Message::Describe('P', String::new()),
        Message::Execute { portal: String::new(), rows: 0 },
        Message::Sync,
    ]
}
