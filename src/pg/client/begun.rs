//! A READ ONLY transaction that has only begun: as long as nothing was asked in it, it can begin
//! again on another server.

use super::Client;
use crate::pg::exchange::Ended;
use crate::pg::session::Tx;
use crate::pg::session::batch::{Batch, Item};
use crate::pg::session::send::Outgoing;
use crate::pg::wire::{self, HEADER};
use crate::route::Wants;
use crate::sql::{Analysis, Step, Why};

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

    /// The transaction's replica is not where the batch can be answered: it ends there, unseen.
    pub(super) async fn leave_replica(&mut self) {
        let elsewhere = [Why::Function, Why::Relation, Why::Refused, Why::Locks];
        let wants = matches!(self.batch.wants(), Wants::Primary(why) if elsewhere.contains(&why));
        if !(wants && self.begun.is_some() && self.reads_elsewhere()) {
            return;
        }
        self.send_ahead(|_, _, to: &mut Outgoing<'_>| to.transaction(b"ROLLBACK"));
        match self.exchange_ahead().await {
            Ok(()) => self.let_go(),
            Err(_) => self.drop_server(),
        }
    }

    /// It leaves the transaction as it is: an answer of ours, or statements that are only prepared.
    pub(super) fn asks_nothing(&self) -> bool {
        self.session.is_local(&self.batch)
            || self.batch.frames.iter().all(|frame| only_prepares(&frame.item))
    }

    /// Begins the transaction that the client believes to be in, on a server that was just found.
    pub(super) async fn begin_again(&mut self) -> Result<(), Ended> {
        if self.session.tx != Tx::Idle {
            return Ok(());
        }
        let Some(sql) = self.begun.take() else { return Ok(()) };
        self.send_ahead(|_, _, to: &mut Outgoing<'_>| to.transaction(&sql));
        self.begun = Some(sql);
        self.exchange_ahead().await
    }
}

fn only_prepares(item: &Item) -> bool {
    use Item::{CloseStatement, DescribeStatement, Parse, Sync};
    matches!(item, Parse { .. } | DescribeStatement(..) | CloseStatement(_) | Sync)
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
