//! The way of spans to a collector.

use super::WireError;
use crate::config;
use crate::spans::{Exporter, Settings, Tracer};
use crate::task::Tasks;
use std::sync::Arc;

/// Starts to send spans, if somebody wants them.
pub(in crate::app) fn tracer(
    settings: &config::Traces,
    tasks: &Tasks,
) -> Result<Arc<Tracer>, WireError> {
    let Some(endpoint) = &settings.endpoint else { return Ok(Arc::new(Tracer::off())) };
    let (tracer, exporter) = Exporter::new(Settings {
        endpoint: endpoint.0.clone(),
        service: settings.service_name.clone(),
        ratio: settings.sample_ratio.0,
        headers: settings.headers.as_ref().map(|headers| headers.expose().to_owned()),
        interval: settings.interval,
        queue: settings.queue,
    })?;
    tasks.spawn("traces", |stop| exporter.run(stop));
    Ok(Arc::new(tracer))
}
