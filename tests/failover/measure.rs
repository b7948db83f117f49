//! How long writes stood still, over several runs.

use std::time::Duration;

/// How often each case is repeated: `TIDEGATE_TEST_RUNS`, or once.
pub(crate) fn runs() -> usize {
    let asked = std::env::var("TIDEGATE_TEST_RUNS").ok();
    asked.and_then(|runs| runs.parse().ok()).unwrap_or(1)
}

/// One line of the table in bench/failover.md.
pub(crate) fn report(case: &str, stalls: &[Duration]) {
    let mut sorted = stalls.to_vec();
    sorted.sort_unstable();
    let (middle, worst) = (sorted[sorted.len() / 2], sorted[sorted.len() - 1]);
    let (best, runs) = (sorted[0], sorted.len());
    let ms = |d: Duration| d.as_millis();
    println!("| {case} | {runs} | {} | {} | {} |", ms(best), ms(middle), ms(worst));
}
