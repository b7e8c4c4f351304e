//! Figures about requests, for the metrics. Their labels are routes, methods and classes of status: never what a client chose.

use http::{Method, StatusCode};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};
use wardstead_limits::wardstead::LATENCY_BUCKETS_S;

/// Counts requests. Clones count together; two servers in one process have two.
#[derive(Clone, Debug)]
pub struct Figures {
    duration: Family<Labels, Histogram, fn() -> Histogram>,
    in_flight: Gauge,
    refused: Family<What, Counter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct What {
    what: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    method: &'static str,
    route: String,
    status: &'static str,
}

impl Default for Figures {
    fn default() -> Self {
        Self {
            duration: Family::new_with_constructor(latency),
            in_flight: Gauge::default(),
            refused: Family::default(),
        }
    }
}

fn latency() -> Histogram {
    Histogram::new(LATENCY_BUCKETS_S)
}

impl Figures {
    /// Adds them to `registry`.
    pub fn register(&self, registry: &mut Registry) {
        registry.register_with_unit(
            "wardstead_request_duration",
            "Time from a request's head to its answer, waiting included, by route, method and class of status",
            Unit::Seconds,
            self.duration.clone(),
        );
        registry.register(
            "wardstead_requests_limited",
            "Requests refused because the same was asked too often, by what was asked",
            self.refused.clone(),
        );
        registry.register("wardstead_requests_in_flight", "Requests that are not answered yet", self.in_flight.clone());
    }

    /// Counts a request as under way until the result is dropped.
    pub(crate) fn begin(&self) -> InFlight {
        self.in_flight.inc();
        InFlight(self.in_flight.clone())
    }

    /// `what` was asked too often.
    pub(crate) fn refused(&self, what: &'static str) {
        self.refused.get_or_create(&What { what }).inc();
    }

    /// An answer of `status` took `ms`.
    pub(crate) fn answered(&self, method: &Method, route: &str, status: StatusCode, ms: u64) {
        let labels = Labels { method: known(method), route: route.to_owned(), status: class(status) };
        #[expect(clippy::cast_precision_loss, reason = "milliseconds of a request")]
        self.duration.get_or_create(&labels).observe(ms as f64 / 1000.0);
    }
}

/// A request under way. A client that hangs up drops it.
pub(crate) struct InFlight(Gauge);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// A client may make up methods; as labels they would have no bound.
fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::PUT => "PUT",
        Method::POST => "POST",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        Method::HEAD => "HEAD",
        Method::PATCH => "PATCH",
        _ => "other",
    }
}

fn class(status: StatusCode) -> &'static str {
    match status.as_u16() / 100 {
        1 => "1xx",
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        _ => "5xx",
    }
}
