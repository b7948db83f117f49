//! What the fuzz targets of the wire check, for their seeds, some thousand changes of them, and
//! arbitrary bytes, without a fuzzer.

use crate::wire_checks;
use proptest::prelude::*;
use std::path::Path;

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(target);
    let files = std::fs::read_dir(folder).expect("a corpus");
    let mut paths: Vec<_> = files.map(|file| file.expect("a file").path()).collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).expect("a seed")).collect()
}

/// A seed with bytes set, taken out and doubled.
fn changed(target: &str) -> impl Strategy<Value = Vec<u8>> {
    let byte =
        prop_oneof![any::<u8>(), proptest::sample::select(b"QPBDCESHXdcfFTtnIZKRN123\0".to_vec())];
    let change = (any::<proptest::sample::Index>(), 0..4_u8, byte);
    let changes = proptest::collection::vec(change, 0..5);
    (proptest::sample::select(seeds(target)), changes).prop_map(|(mut bytes, changes)| {
        for (at, how, byte) in changes {
            if bytes.is_empty() {
                break;
            }
            let at = at.index(bytes.len());
            match how {
                0 => bytes[at] = byte,
                1 => drop(bytes.remove(at)),
                2 => bytes.insert(at, byte),
                _ => bytes.extend_from_within(at..),
            }
        }
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_bytes_of_a_client_are_planned_the_same_wherever_they_are_cut(
        bytes in prop_oneof![3 => changed("wire_client"), 1 => proptest::collection::vec(any::<u8>(), 0..100)],
    ) {
        wire_checks::client(&bytes);
    }

    #[test]
    fn any_first_packet_is_read_the_same_wherever_it_is_cut(
        bytes in prop_oneof![3 => changed("wire_first"), 1 => proptest::collection::vec(any::<u8>(), 0..100)],
    ) {
        wire_checks::first(&bytes);
    }

    #[test]
    fn any_answer_of_a_server_is_received_the_same_wherever_it_is_cut(
        bytes in prop_oneof![3 => changed("wire_server"), 1 => proptest::collection::vec(any::<u8>(), 0..100)],
    ) {
        wire_checks::server(&bytes);
    }
}

#[test]
fn every_seed_at_every_cut() {
    for seed in seeds("wire_client") {
        for end in 0..=seed.len() {
            wire_checks::client(&seed[..end]);
        }
    }
    for seed in seeds("wire_server") {
        for end in 0..=seed.len() {
            wire_checks::server(&seed[..end]);
        }
    }
}
