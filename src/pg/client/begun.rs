//! A READ ONLY transaction that has only begun: as long as nothing was asked in it, it can begin
//! again on another server.

use super::Client;
use crate::pg::exchange::Ended;
use crate::pg::session::Tx;
use crate::pg::session::batch::{Batch, Item};
use crate::pg::session::send::Outgoing;
use crate::pg::wire::{self, HEADER};
use crate::sql::{Analysis, Step};

/// A longer BEGIN is not remembered, in bytes.
const LONGEST: usize = 256;

impl Client {
    /// The text of the batch if all that it does is to begin a READ ONLY transaction.
    pub(super) fn begin_of_batch(&self) -> Option<Box<[u8]>> {
        if self.session.tx != Tx::Idle || !begins(&self.batch) {
            return None;
        }
        let first = self.batch.frames.first()?;
        let body = self.input.get(HEADER..first.here)?;
        let text = match &first.item {
            Item::Query(_) => body.strip_suffix(&[0])?,
            _ => wire::parse_parse(body).ok()?.query,
        };
        (text.len() <= LONGEST).then(|| text.into())
    }

    /// Begins the transaction that the client believes to be in, on a server that was just found.
    pub(super) async fn begin_again(&mut self) -> Result<(), Ended> {
        if self.session.tx != Tx::Idle {
            return Ok(());
        }
        let Some(sql) = self.begun.take() else { return Ok(()) };
        self.send_ahead(|_, _, to: &mut Outgoing<'_>| to.begin(&sql));
        self.begun = Some(sql);
        self.exchange_ahead().await
    }
}

/// A single BEGIN READ ONLY, as a simple query or by the extended protocol's usual messages.
fn begins(batch: &Batch) -> bool {
    let begin = |analysis: &Analysis| {
        matches!(analysis.steps.as_slice(), [Step::Begin { read_only: Some(true) }])
    };
    let fits = |item: &Item| match item {
        Item::Query(analysis) => begin(analysis),
        Item::Parse { statement, .. } | Item::Bind { statement: Some(statement), .. } => {
            begin(&statement.analysis)
        }
        Item::Execute(_) | Item::Sync | Item::Pass => true,
        _ => false,
    };
    let opens = matches!(
        batch.frames.first().map(|frame| &frame.item),
        Some(Item::Query(_) | Item::Parse { .. })
    );
    opens && batch.frames.iter().all(|frame| frame.later == 0 && fits(&frame.item))
}
