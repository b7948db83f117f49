//! `tidegate demo`: throwaway clusters, the proxy, a workload.

use std::process::ExitCode;

/// Shows the proxy at work; with `check`, runs the scripted scenario instead.
pub(super) fn demo(_check: bool) -> ExitCode {
    eprintln!("tidegate: this build has no demo in it");
    ExitCode::FAILURE
}
