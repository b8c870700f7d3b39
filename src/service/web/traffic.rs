//! What is counted of requests.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use axum::http::{Method, StatusCode};
use metrics::Histogram;
use tokio::time::Instant;

use crate::metrics::OwnedCounters;
use crate::metrics::{Event, HTTP_CONNECTIONS, HTTP_REQUESTS, HTTP_SECONDS, HTTP_WAITING};

/// What is counted of requests.
///
/// What is answered at once costs a word that only its thread writes. What has to wait for something is
/// counted while it waits, and its time taken.
pub(super) struct Traffic {
    answered: OwnedCounters<Answered>,
    seconds: [Histogram; Route::ALL.len()],
    waiting: AtomicUsize,
    connections: AtomicUsize,
}

/// What a request was for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Route {
    /// A value, or a dataset.
    Read,
    /// Values of several keys.
    Batch,
    /// To forget values.
    Invalidate,
    Admin,
    Metrics,
    Health,
    /// The dashboard, the description, and what is nowhere.
    Page,
}

/// A request that was answered.
#[derive(Clone, Copy, Debug)]
struct Answered {
    route: Route,
    /// The place among [`STATUSES`].
    status: usize,
}

/// What is answered; the last one stands for all that is not in this list.
const STATUSES: [(u16, &str); 20] = [
    (200, "200"),
    (202, "202"),
    (204, "204"),
    (304, "304"),
    (400, "400"),
    (401, "401"),
    (403, "403"),
    (404, "404"),
    (405, "405"),
    (408, "408"),
    (409, "409"),
    (413, "413"),
    (415, "415"),
    (421, "421"),
    (422, "422"),
    (429, "429"),
    (500, "500"),
    (502, "502"),
    (503, "503"),
    (504, "504"),
];

impl Route {
    const ALL: [Self; 7] = [
        Self::Read,
        Self::Batch,
        Self::Invalidate,
        Self::Admin,
        Self::Metrics,
        Self::Health,
        Self::Page,
    ];

    /// What a request is for.
    pub(super) fn of(method: &Method, path: &str) -> Self {
        if path.starts_with("/v1/") {
            return match *method {
                Method::GET | Method::HEAD => Self::Read,
                Method::POST => Self::Batch,
                _ => Self::Invalidate,
            };
        }
        match path {
            "/healthz" | "/readyz" => Self::Health,
            "/metrics" => Self::Metrics,
            _ if path.starts_with("/admin/") => Self::Admin,
            _ => Self::Page,
        }
    }

    const fn label(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Batch => "batch",
            Self::Invalidate => "invalidate",
            Self::Admin => "admin",
            Self::Metrics => "metrics",
            Self::Health => "health",
            Self::Page => "page",
        }
    }
}

impl Event for Answered {
    fn all() -> impl Iterator<Item = Self> {
        let statuses = 0..=STATUSES.len();
        let of = move |route| statuses.clone().map(move |status| Self { route, status });
        Route::ALL.into_iter().flat_map(of)
    }

    fn index(self) -> usize {
        self.route as usize * (STATUSES.len() + 1) + self.status
    }

    fn metric(self) -> &'static str {
        HTTP_REQUESTS
    }

    fn labels(self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let status = STATUSES.get(self.status).map_or("other", |(_, label)| label);
        [("route", self.route.label()), ("status", status)].into_iter()
    }
}

impl Traffic {
    /// Finds the histograms of the recorder that is installed now.
    pub(super) fn new() -> Self {
        let seconds = |route: Route| metrics::histogram!(HTTP_SECONDS, "route" => route.label());
        Self {
            answered: OwnedCounters::new(),
            seconds: Route::ALL.map(seconds),
            waiting: AtomicUsize::new(0),
            connections: AtomicUsize::new(0),
        }
    }

    /// How many requests wait for something.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Relaxed)
    }

    /// Counts a request as long as it waits, and takes its time.
    pub(super) fn wait(&self, route: Route) -> Wait<'_> {
        let began = Instant::now();
        Wait { _counted: Counted::begin(&self.waiting), traffic: self, route, began }
    }

    /// Counts a connection, as long as it is open.
    pub(super) fn connect(&self) -> Counted<'_> {
        Counted::begin(&self.connections)
    }

    /// Counts an answer.
    pub(super) fn answered(&self, route: Route, status: StatusCode) {
        let status = status.as_u16();
        let place = STATUSES.iter().position(|(known, _)| *known == status);
        self.answered.one(Answered { route, status: place.unwrap_or(STATUSES.len()) });
    }

    /// Brings the figures to the `metrics` facade.
    #[expect(clippy::cast_precision_loss, reason = "gauges are floats")]
    pub(super) fn publish(&self) {
        self.answered.publish(&[]);
        metrics::gauge!(HTTP_WAITING).set(self.waiting() as f64);
        metrics::gauge!(HTTP_CONNECTIONS).set(self.connections.load(Relaxed) as f64);
    }
}

/// A request that waits.
#[derive(Debug)]
pub(super) struct Wait<'a> {
    _counted: Counted<'a>,
    traffic: &'a Traffic,
    route: Route,
    began: Instant,
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        if let Some(seconds) = self.traffic.seconds.get(self.route as usize) {
            seconds.record(self.began.elapsed().as_secs_f64());
        }
    }
}

/// Something that is counted as long as it is.
#[derive(Debug)]
pub(super) struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    fn begin(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Relaxed);
        Self(count)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl fmt::Debug for Traffic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Traffic").field("waiting", &self.waiting()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_answer_has_a_place_of_its_own() {
        let places: Vec<_> = Answered::all().map(Event::index).collect();
        assert_eq!(places, (0..places.len()).collect::<Vec<_>>());
    }

    #[test]
    fn requests_are_told_apart_by_what_they_are_for() {
        let cases = [
            (Method::GET, "/v1/user/7", "read"),
            (Method::HEAD, "/v1/faq", "read"),
            (Method::POST, "/v1/user", "batch"),
            (Method::DELETE, "/v1/user/7", "invalidate"),
            (Method::POST, "/admin/reload", "admin"),
            (Method::GET, "/metrics", "metrics"),
            (Method::GET, "/readyz", "health"),
            (Method::GET, "/", "page"),
            (Method::GET, "/nowhere", "page"),
        ];
        for (method, path, expected) in cases {
            assert_eq!(Route::of(&method, path).label(), expected, "{method} {path}");
        }
    }

    #[test]
    fn what_waits_is_counted_until_it_ends() {
        let traffic = Traffic::new();
        let waits = [traffic.wait(Route::Read), traffic.wait(Route::Admin)];
        assert_eq!(traffic.waiting(), 2);
        drop(waits);
        assert_eq!(traffic.waiting(), 0);
        traffic.answered(Route::Read, StatusCode::OK);
        traffic.answered(Route::Read, StatusCode::IM_A_TEAPOT);
        assert_eq!(traffic.answered.total(), 2);
    }
}
