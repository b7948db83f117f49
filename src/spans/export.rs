//! The one task that sends spans: in batches, a few times if need be, and never without an end.

use super::SpansError;
use super::otlp::{Answer, request};
use super::tracer::{Counters, Numbered, Tracer};
use crate::task::{Backoff, Stop, chance};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Client, StatusCode, Url};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout_at};

/// Spans in one request, at most.
const BATCH: usize = 512;
/// How long the collector may take for one.
const PATIENCE: Duration = Duration::from_secs(10);
/// The same for what is left when the process ends.
const LAST_PATIENCE: Duration = Duration::from_secs(1);
/// How often one request is tried.
const TRIES: usize = 4;
/// What a collector asks us to wait is believed up to this.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Where spans go, and which.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The whole address, its path included.
    pub endpoint: Url,
    /// `service.name`
    pub service: String,
    /// See [`Tracer::draw`].
    pub ratio: f64,
    /// `name=value` pairs with commas between, as in OTEL_EXPORTER_OTLP_HEADERS.
    pub headers: Option<String>,
    /// How long a span waits for others at most.
    pub interval: Duration,
    /// Spans that wait at once, at most.
    pub queue: usize,
}

/// Sends what its tracer takes.
pub struct Exporter {
    client: Client,
    endpoint: Url,
    service: String,
    interval: Duration,
    queue: mpsc::Receiver<Numbered>,
    batch: Vec<Numbered>,
    counters: Arc<Counters>,
    /// The last request failed: that was said.
    troubled: bool,
}

/// What became of one request.
enum Sent {
    /// With how many it did not take, and why.
    Taken(u64, String),
    /// The same may be tried again, after so long if the collector said so.
    Later(Option<Duration>, String),
    Refused(String),
}

impl Exporter {
    /// With the tracer whose spans it sends.
    pub fn new(settings: Settings) -> Result<(Tracer, Exporter), SpansError> {
        // An error means that it is installed already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .user_agent(concat!("tidegate/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers(settings.headers.as_deref().unwrap_or_default())?)
            .timeout(PATIENCE)
            .build()?;
        let (sender, queue) = mpsc::channel(settings.queue);
        let counters = Arc::new(Counters::default());
        let tracer = Tracer::new(sender, settings.ratio, counters.clone());
        let exporter = Exporter {
            client,
            endpoint: settings.endpoint,
            service: settings.service,
            interval: settings.interval,
            queue,
            batch: Vec::new(),
            counters,
            troubled: false,
        };
        Ok((tracer, exporter))
    }

    /// Sends until it is told to stop; then what is left, once.
    pub async fn run(mut self, mut stop: Stop) {
        loop {
            // All branches are cancel-safe: a batch is kept until its fate is known.
            tokio::select! {
                _ = stop.stopped() => break,
                more = self.collect() => if !more { break },
            }
            tokio::select! {
                _ = stop.stopped() => break,
                () = self.deliver() => {}
            }
        }
        while self.batch.len() < BATCH
            && let Ok(span) = self.queue.try_recv()
        {
            self.batch.push(span);
        }
        if !self.batch.is_empty() {
            let sent = self.post(LAST_PATIENCE).await;
            self.settle(sent);
        }
    }

    /// Waits for a batch that is full, or whose first span has waited long enough; false: nobody
    /// makes spans any more. Cancel-safe.
    async fn collect(&mut self) -> bool {
        if self.batch.is_empty() {
            let Some(first) = self.queue.recv().await else { return false };
            self.batch.push(first);
        }
        let due = Instant::now() + self.interval;
        while self.batch.len() < BATCH {
            match timeout_at(due, self.queue.recv()).await {
                Ok(Some(span)) => self.batch.push(span),
                Ok(None) | Err(_) => break,
            }
        }
        true
    }

    /// Sends the batch, again if that may help. Cancel-safe.
    async fn deliver(&mut self) {
        let mut backoff = Backoff::new(Duration::from_secs(1), LONGEST_WAIT);
        for _ in 1..TRIES {
            match self.post(PATIENCE).await {
                Sent::Later(wait, why) => {
                    self.complain(&why);
                    let own = backoff.next(chance());
                    sleep(wait.map_or(own, |wait| wait.min(LONGEST_WAIT))).await;
                }
                sent => return self.settle(sent),
            }
        }
        let sent = self.post(PATIENCE).await;
        self.settle(sent);
    }

    /// Source: <https://opentelemetry.io/docs/specs/otlp/#otlphttp-response>.
    async fn post(&self, patience: Duration) -> Sent {
        let body = match serde_json::to_vec(&request(&self.service, &self.batch)) {
            Ok(body) => body,
            Err(error) => return Sent::Refused(error.to_string()),
        };
        let asked = self.client.post(self.endpoint.clone()).timeout(patience);
        let asked = asked.header(CONTENT_TYPE, "application/json").body(body);
        let answer = match asked.send().await {
            Ok(answer) => answer,
            Err(error) => return Sent::Later(None, in_full(&error)),
        };
        let status = answer.status();
        let wait = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let wait = wait.and_then(|text| text.parse().ok()).map(Duration::from_secs);
        match status {
            status if status.is_success() => {
                let body = answer.bytes().await.unwrap_or_default();
                let told: Answer = serde_json::from_slice(&body).unwrap_or_default();
                Sent::Taken(told.partial_success.rejected(), told.partial_success.error_message)
            }
            StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => Sent::Later(wait, format!("it answered {status}")),
            status => Sent::Refused(format!("it answered {status}")),
        }
    }

    /// Counts what became of the batch, which is gone then.
    fn settle(&mut self, sent: Sent) {
        let all = self.batch.len() as u64;
        self.batch.clear();
        let (lost, why) = match sent {
            Sent::Taken(rejected, why) => (rejected.min(all), why),
            Sent::Later(_, why) | Sent::Refused(why) => (all, why),
        };
        self.counters.sent.add(all - lost);
        self.counters.refused.add(lost);
        if lost > 0 {
            self.complain(&why);
        } else if std::mem::take(&mut self.troubled) {
            tracing::info!(endpoint = %self.endpoint, "the collector takes spans again");
        }
    }

    /// Once, until it goes well again.
    fn complain(&mut self, why: &str) {
        if !std::mem::replace(&mut self.troubled, true) {
            let endpoint = &self.endpoint;
            tracing::warn!(%endpoint, why, "the collector does not take spans; they are dropped");
        }
    }
}

/// An error with its causes: its own words do not say why.
fn in_full(error: &reqwest::Error) -> String {
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    let last = causes.last().map(ToString::to_string);
    last.unwrap_or_else(|| error.to_string())
}

/// `api-key=abc,other=x`, percent-encoded.
fn headers(text: &str) -> Result<HeaderMap, SpansError> {
    let mut headers = HeaderMap::new();
    for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        // Its value is a secret; without a name, all of it may be.
        let (name, value) = pair.split_once('=').unwrap_or(("…", ""));
        let wrong = || SpansError::Header(name.to_owned());
        let value = percent_encoding::percent_decode_str(value.trim()).decode_utf8();
        let value = value.map_err(|_| wrong())?;
        let name = HeaderName::from_bytes(name.trim().as_bytes()).map_err(|_| wrong())?;
        let mut value = HeaderValue::from_str(&value).map_err(|_| wrong())?;
        value.set_sensitive(true);
        headers.append(name, value);
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_pairs_and_a_mistake_does_not_show_the_secret() {
        let read = headers("api-key=s%3Dcret, x-tenant=a").expect("right");
        assert_eq!(read.get("api-key").map(|value| value.as_bytes()), Some(&b"s=cret"[..]));
        assert_eq!(read.len(), 2);
        assert!(headers("").expect("right").is_empty());
        let wrong = headers("api key=secret").expect_err("a space").to_string();
        assert!(wrong.contains("api key") && !wrong.contains("secret"), "{wrong}");
        let wrong = headers("secret").expect_err("no name").to_string();
        assert!(!wrong.contains("secret"), "{wrong}");
    }
}
