//! Numbers and logs, without any knowledge of what they are about.
//!
//! `metrics::counter!` costs a look-up at each call; what is counted per query uses the handles
//! here instead, which are relaxed atomics on their own cache lines.

mod counter;
mod exposition;
mod histogram;
pub mod logs;

pub use counter::{Counter, Family};
pub use exposition::{Exposition, Kind, Metric};
pub use histogram::{Distribution, Histogram};

use metrics_exporter_prometheus::{BuildError, PrometheusBuilder, PrometheusHandle};

/// Installs the recorder behind `metrics::counter!` and friends, for all that is not counted per
/// query. At most once in a process. Whoever renders the handle also runs its upkeep.
pub fn install_recorder() -> Result<PrometheusHandle, BuildError> {
    PrometheusBuilder::new().install_recorder()
}
