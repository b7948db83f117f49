//! What must hold for any bytes on the wire; the fuzz targets and the smoke test share it.
//!
//! Everywhere: no panic, and the same outcome wherever the bytes are cut.

use bytes::BytesMut;
use std::sync::{Arc, LazyLock};
use tidegate::pg::session::batch::Batch;
use tidegate::pg::session::delivery::Delivery;
use tidegate::pg::session::owed::{Owed, Queue};
use tidegate::pg::session::plan::Planner;
use tidegate::pg::session::receive::{Flow, Incoming, Outcome};
use tidegate::pg::session::send::Outgoing;
use tidegate::pg::session::{Backend, Session};
use tidegate::pg::statement::{Slot, Statements};
use tidegate::pg::wire::{self, startup};
use tidegate::route::Places;
use tidegate::sql::{Analysis, Classifier, Settings, Step};

static CLASSIFIER: LazyLock<Classifier> = LazyLock::new(|| Classifier::new(&Settings::default()));

/// Frames of a client, after its login: what is planned and what the server would get.
pub fn client(data: &[u8]) {
    // Beyond this, batches are cut where the buffer is full, not where a frame ends.
    let data = &data[..data.len().min(8 * 1024)];
    let whole = plan(&[data]);
    let cut = data.len() / 2;
    assert_eq!(plan(&[&data[..cut], &data[cut..]]), whole);
    let bytes: Vec<&[u8]> = data.chunks(1).collect();
    assert_eq!(plan(&bytes), whole);
}

/// What the server gets, and how it ended.
fn plan(parts: &[&[u8]]) -> (Vec<u8>, Result<(), String>) {
    let statements = Statements::new(100);
    let places = Places::default();
    let planner = Planner {
        strict: false,
        classifier: &CLASSIFIER,
        catalog: arc_swap::Guard::from_inner(Default::default()),
        statements: &statements,
        places: &places,
        user: "u",
        database: "d",
    };
    let mut session = Session::new(Arc::default(), None);
    let mut backend = Backend { max_prepared: 2, ..Backend::default() };
    let (mut batch, mut input, mut out) = (Batch::default(), Vec::new(), BytesMut::new());
    let (mut owed, mut tail) = (Queue::default(), 0_usize);
    for part in parts {
        input.extend_from_slice(part);
        loop {
            let skipped = tail.min(input.len());
            out.extend_from_slice(&input[..skipped]);
            input.drain(..skipped);
            tail -= skipped;
            if let Err(error) = planner.advance(&mut session, &mut batch, &input) {
                return (out.to_vec(), Err(error.to_string()));
            }
            assert_eq!(batch.frames.iter().map(|frame| frame.here).sum::<usize>(), batch.len);
            assert!(batch.len <= input.len());
            if batch.end.is_none() {
                break;
            }
            let mut to = Outgoing {
                backend: &mut backend,
                out: &mut out,
                owed: &mut owed,
                show: &|name| name.to_owned(),
                resolves: false,
            };
            session.send(&batch, &input, &mut to);
            tail = batch.frames.last().map_or(0, |frame| frame.later);
            input.drain(..batch.len);
            batch.clear();
            owed.clear();
        }
    }
    well_formed(&out, tail);
    (out.to_vec(), Ok(()))
}

/// What we send is whole frames, but for the `tail` bytes that the client still owes.
fn well_formed(mut out: &[u8], tail: usize) {
    while !out.is_empty() {
        let header = wire::peek(out).expect("a frame").expect("a whole header");
        assert!(header.len <= out.len() + tail, "a frame of ours is cut");
        out = &out[header.len.min(out.len())..];
    }
}

/// The first packet of a connection.
pub fn first(data: &[u8]) {
    let whole = startup::take(&mut BytesMut::from(data));
    if let Ok(Some(startup::First::Startup(hello))) = &whole {
        assert_eq!(hello.get("user").is_some(), hello.parameters.iter().any(|p| p.0 == b"user"));
    }
    for cut in 0..data.len().min(64) {
        let mut part = BytesMut::from(&data[..cut]);
        match startup::take(&mut part) {
            Ok(None) => {
                part.extend_from_slice(&data[cut..]);
                assert_eq!(startup::take(&mut part), whole, "cut at {cut}");
            }
            early => assert_eq!(early, whole, "cut at {cut}"),
        }
    }
}

/// The answers of a server; the first byte says what it owes.
pub fn server(data: &[u8]) {
    let Some((&asked, data)) = data.split_first() else { return };
    let whole = receive(asked, &[data]);
    let cut = data.len() / 2;
    agree(&receive(asked, &[&data[..cut], &data[cut..]]), &whole);
    let bytes: Vec<&[u8]> = data.chunks(1).collect();
    agree(&receive(asked, &bytes), &whole);
}

type Received = Result<(Vec<u8>, Option<Outcome>), String>;

/// What was delivered before the two sides disagreed depends on the cut.
fn agree(got: &Received, expected: &Received) {
    match (got, expected) {
        // Errors too long to be kept are judged by what is there of them.
        (Ok((_, Some(Outcome::Fatal(_)))), Ok((_, Some(Outcome::Fatal(_))))) => {}
        (Ok(got), Ok(expected)) => assert_eq!(got, expected),
        (Err(got), Err(expected)) => assert_eq!(got, expected),
        (got, expected) => panic!("{got:?} but {expected:?}"),
    }
}

fn receive(asked: u8, parts: &[&[u8]]) -> Received {
    let mut session = Session::new(Arc::default(), None);
    let mut backend = Backend { max_prepared: 2, ..Backend::default() };
    let (mut owed, mut flow) = (owing(asked), Flow::default());
    let (mut delivered, mut carry) = (Vec::new(), Vec::new());
    for part in parts.iter().filter(|part| !part.is_empty()) {
        carry.extend_from_slice(part);
        let mut spill = BytesMut::new();
        let mut from = Incoming { backend: &mut backend, owed: &mut owed, flow: &mut flow };
        let mut to = Delivery::new(&carry, &mut spill);
        let received = session.receive(&carry, &mut from, &mut to);
        let (taken, outcome) = received.map_err(|desync| desync.to_string())?;
        let direct = to.finish().to_vec();
        assert!(taken <= carry.len());
        delivered.extend_from_slice(&spill);
        delivered.extend_from_slice(&direct);
        carry.drain(..taken);
        if outcome != Outcome::Going {
            return Ok((delivered, Some(outcome)));
        }
    }
    Ok((delivered, None))
}

fn owing(asked: u8) -> Queue {
    let steps =
        vec![Step::Begin { read_only: None }, Step::DeallocateAll, Step::Commit { chain: false }];
    let analysis = Arc::new(Analysis { steps, ..Analysis::default() });
    let parse = |ours| Owed::Parse { ours, slot: Slot::Shared(7), undo: None };
    let effect = Some(analysis.clone());
    let entries = match asked % 6 {
        0 => vec![Owed::Query { analysis, step: 0, undo: None, unnamed: None }],
        1 => vec![Owed::Replay, parse(true), parse(false), Owed::Bind, Owed::Describe, Owed::Sync],
        2 => vec![Owed::Bind, Owed::Execute { effect, undo: None }, Owed::Sync, Owed::Sync],
        3 => vec![
            Owed::Say(b"1\0\0\0\x04"[..].into(), None),
            Owed::Close { ours: true, slot: Slot::Shared(7), undo: None },
            Owed::Execute { effect: None, undo: None },
            Owed::CopyEnd,
            Owed::Say(b"3\0\0\0\x04"[..].into(), None),
            Owed::Sync,
        ],
        4 => vec![Owed::Function],
        _ => vec![],
    };
    let mut queue = Queue::default();
    entries.into_iter().for_each(|entry| queue.push(entry));
    queue
}
