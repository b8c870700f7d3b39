//! Connections, and the requests that come over them.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::header::CONNECTION;
use axum::http::request::Parts;
use axum::http::{HeaderValue, Request, Response, StatusCode};
use axum::response::IntoResponse as _;
use futures_util::FutureExt as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};
use tokio_util::task::TaskTracker;
use tower_service::Service as _;

use self::taken::Taken;
use super::api::{plain, value};
use super::guard::Caller;
use super::problem::Problem;
use super::{Service, router};
use crate::service::settings::server::ServerSettings;

mod backlog;
mod taken;

/// Takes connections, and has the requests that come over them answered.
#[derive(Debug)]
pub(crate) struct Listener {
    listener: TcpListener,
    address: SocketAddr,
}

/// How long those are waited for who have begun to connect, once nobody can begin any more.
const HANDSHAKE: Duration = Duration::from_millis(200);
/// How long connections are kept at the end on which nothing comes.
const LINGER: Duration = Duration::from_secs(1);
/// The rest between two tries to accept, where there are no descriptors left.
const ACCEPT_AGAIN: Duration = Duration::from_millis(50);
/// The most connections that wait to be accepted, as Tokio has it.
const BACKLOG: usize = 1_024;
/// The most bytes of the headers of a request.
const HEADER_BYTES_MAX: usize = 32 << 10;

impl Listener {
    /// Takes the port; 0 takes any that is free.
    ///
    /// # Errors
    ///
    /// It is taken, or not ours to take.
    pub(crate) async fn bind(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    /// Where it listens.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers requests until `stop` has ended. Then it takes no more connections, lets what is under
    /// way end until the time that `stop` gives, and gives whether all of it did.
    pub(crate) async fn serve(
        self,
        service: &Arc<Service>,
        stop: impl Future<Output = Instant>,
    ) -> bool {
        let (listener, connections) = (self.listener, Connections::new(service));
        let until = {
            let (mut stop, mut accepting) = (pin!(stop), pin!(connections.accept(&listener)));
            tokio::select! {
                biased;
                until = &mut stop => until,
                never = &mut accepting => match never {},
            }
        };
        // Those who have connected already, or are about to, may have sent something: they are heard.
        if backlog::refuse_more(&listener) {
            drop(
                timeout_at(until.min(Instant::now() + HANDSHAKE), connections.accept(&listener))
                    .await,
            );
        }
        connections.take_waiting(listener);
        connections.end(until).await
    }
}

/// The connections that are open.
struct Connections {
    service: Arc<Service>,
    router: Router,
    http: http1::Builder,
    terms: ServerSettings,
    places: Arc<Semaphore>,
    /// The requests under way, over all connections.
    requests: Arc<AtomicUsize>,
    open: TaskTracker,
    graceful: GracefulShutdown,
    /// Whether a connection ends with the next answer.
    closing: Arc<AtomicBool>,
}

impl Connections {
    fn new(service: &Arc<Service>) -> Self {
        let terms = service.settings().server.clone();
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(terms.header_timeout)
            .max_buf_size(HEADER_BYTES_MAX)
            // Answers are short: one buffer costs less than two that are gathered.
            .writev(false);
        Self {
            service: Arc::clone(service),
            router: router(service),
            http,
            places: Arc::new(Semaphore::new(terms.connections_max)),
            terms,
            requests: Arc::default(),
            open: TaskTracker::new(),
            graceful: GracefulShutdown::new(),
            closing: Arc::default(),
        }
    }

    async fn accept(&self, listener: &TcpListener) -> Infallible {
        loop {
            // The semaphore is never closed.
            let Ok(place) = Arc::clone(&self.places).acquire_owned().await else { continue };
            match listener.accept().await {
                Ok((stream, address)) => self.take(stream, address, Some(place)),
                // Nobody else can be accepted either, until some have gone.
                Err(error) if backlog::is_exhausted(&error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_AGAIN).await;
                }
                // Of one connection, whose client has gone already.
                Err(error) => tracing::debug!(%error, "a connection was not accepted"),
            }
        }
    }

    /// Takes the connections that wait to be accepted, and not those that come meanwhile. The system is
    /// asked, since the runtime remembers that there were none the last time.
    fn take_waiting(&self, listener: TcpListener) {
        let Ok(listener) = listener.into_std() else { return };
        for _ in 0..BACKLOG {
            let Ok((stream, address)) = listener.accept() else { return };
            let stream = stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream));
            match stream {
                Ok(stream) => self.take(stream, address, None),
                Err(error) => tracing::warn!(%error, "a connection could not be taken"),
            }
        }
    }

    fn take(&self, stream: TcpStream, address: SocketAddr, place: Option<OwnedSemaphorePermit>) {
        let answering = Answering {
            router: self.router.clone(),
            service: Arc::clone(&self.service),
            peer: address,
            requests: Arc::clone(&self.requests),
            requests_max: self.terms.requests_max,
            closing: Arc::clone(&self.closing),
        };
        let connection = self.graceful.watch(self.http.serve_connection(
            prepared(stream, self.terms.write_timeout),
            service_fn(move |request| answering.clone().answer(request)),
        ));
        self.open.spawn(async move {
            // A client that goes away is no news.
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection ended");
            }
            drop(place);
        });
    }

    /// Ends all connections; gives whether they ended in time.
    async fn end(self, until: Instant) -> bool {
        // A connection that is kept open ends with an answer, which says so: who sends something just
        // now is heard. Those over which nothing comes for a while are closed.
        self.closing.store(true, Ordering::Relaxed);
        self.open.close();
        let linger = until.min(Instant::now() + LINGER);
        if timeout_at(linger, self.open.wait()).await.is_ok() {
            return true;
        }
        timeout_at(until, self.graceful.shutdown()).await.is_ok()
    }
}

fn prepared(stream: TcpStream, write_timeout: Duration) -> TokioIo<Taken> {
    // An answer is one write, and must not wait for the acknowledgement of the one before.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY could not be set");
    }
    TokioIo::new(Taken::new(stream, write_timeout))
}

/// What answers the requests of a connection.
#[derive(Clone)]
struct Answering {
    router: Router,
    service: Arc<Service>,
    peer: SocketAddr,
    /// The requests under way, over all connections.
    requests: Arc<AtomicUsize>,
    requests_max: usize,
    closing: Arc<AtomicBool>,
}

impl Answering {
    async fn answer(mut self, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
        let requests = Arc::clone(&self.requests);
        let under_way = UnderWay::begin(&requests);
        let (parts, body) = request.into_parts();
        let mut response = if under_way.nth > self.requests_max {
            let detail = "too many requests are under way";
            let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail);
            problem.retry_after(Duration::from_secs(1)).into_response()
        } else {
            let admitted = self.service.guard.load().admit(&parts, self.peer);
            match admitted {
                Ok(caller) => caught(self.answer_admitted(caller, parts, body)).await,
                Err(problem) => problem.into_response(),
            }
        };
        if self.closing.load(Ordering::Relaxed) {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        Ok(response)
    }
}

impl Answering {
    async fn answer_admitted(
        &mut self,
        caller: Caller,
        mut parts: Parts,
        body: Incoming,
    ) -> Response<Body> {
        if let Some(named) = plain(&parts) {
            return value(&self.service, named, &parts.headers, &caller).await.into_response();
        }
        parts.extensions.insert(caller);
        let Ok(response) = self.router.call(Request::from_parts(parts, Body::new(body))).await;
        response
    }
}

/// An answer, even where a handler has panicked: one that is wrong must not take the connection with
/// it. The hook of panics has said where that was.
async fn caught(answer: impl Future<Output = Response<Body>>) -> Response<Body> {
    match AssertUnwindSafe(answer).catch_unwind().await {
        Ok(response) => response,
        Err(_panic) => {
            let detail = "the request went wrong here; the log says where";
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail).into_response()
        }
    }
}

/// A request that is counted.
struct UnderWay<'a> {
    count: &'a AtomicUsize,
    nth: usize,
}

impl<'a> UnderWay<'a> {
    fn begin(count: &'a AtomicUsize) -> Self {
        Self { count, nth: count.fetch_add(1, Ordering::Relaxed) + 1 }
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_a_problem_that_does_not_say_what_it_was() {
        let response = caught(async { panic!("about CANARY") }).await;
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let body = axum::body::to_bytes(response.into_body(), 1_000).await.unwrap();
        let text = String::from_utf8(body.to_vec()).unwrap();
        assert!(text.contains("\"status\":500") && !text.contains("CANARY"), "{text}");
    }
}
