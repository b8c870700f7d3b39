//! Connections, and the requests that come over them.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::header::CONNECTION;
use axum::http::{HeaderValue, Request, Response, StatusCode};
use axum::response::IntoResponse as _;
use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::{self, BoxFuture, Ready};
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};
use tokio_util::task::TaskTracker;
use tower_service::Service as _;

use self::alarm::Alarm;
use self::taken::Taken;
use super::api::{held, plain, value};
use super::guard::Caller;
use super::problem::Problem;
use super::traffic::Route;
use super::{Service, router};

mod alarm;
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
    shared: Arc<Shared>,
    http: http1::Builder,
    write_timeout: Duration,
    places: Arc<Semaphore>,
    open: TaskTracker,
    graceful: GracefulShutdown,
}

/// What all connections have in common.
struct Shared {
    service: Arc<Service>,
    router: Router,
    requests_max: usize,
    /// Whether a connection ends with the next answer.
    closing: AtomicBool,
}

impl Connections {
    fn new(service: &Arc<Service>) -> Self {
        let terms = service.settings().server.clone();
        let mut http = http1::Builder::new();
        http.header_read_timeout(terms.header_timeout)
            .max_buf_size(HEADER_BYTES_MAX)
            // Answers are short: one buffer costs less than two that are gathered.
            .writev(false);
        let shared = Shared {
            service: Arc::clone(service),
            router: router(service),
            requests_max: terms.requests_max,
            closing: AtomicBool::new(false),
        };
        Self {
            shared: Arc::new(shared),
            http,
            write_timeout: terms.write_timeout,
            places: Arc::new(Semaphore::new(terms.connections_max)),
            open: TaskTracker::new(),
            graceful: GracefulShutdown::new(),
        }
    }

    async fn accept(&self, listener: &TcpListener) -> Infallible {
        loop {
            // The semaphore is never closed.
            let Ok(place) = Arc::clone(&self.places).acquire_owned().await else { continue };
            match listener.accept().await {
                Ok((stream, address)) => self.take(stream, address, Some(place)),
                Err(error) => not_accepted(&error).await,
            }
        }
    }

    /// Takes the connections that wait to be accepted, and not those that come meanwhile. The system is
    /// asked, since the runtime remembers that there were none the last time.
    fn take_waiting(&self, listener: TcpListener) {
        let Ok(listener) = listener.into_std() else { return };
        for _ in 0..BACKLOG {
            let (stream, address) = match listener.accept() {
                Ok(accepted) => accepted,
                Err(error) if backlog::is_over(&error) => return,
                // Of one connection, whose client has gone already.
                Err(_gone) => continue,
            };
            let stream = stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream));
            match stream {
                Ok(stream) => self.take(stream, address, None),
                Err(error) => tracing::warn!(%error, "a connection could not be taken"),
            }
        }
    }

    fn take(&self, stream: TcpStream, address: SocketAddr, place: Option<OwnedSemaphorePermit>) {
        // One count of references for each request, and not one for each of the parts.
        let answering = Arc::new(Answering { shared: Arc::clone(&self.shared), peer: address });
        let mut http = self.http.clone();
        http.timer(Alarm::default());
        let connection = self.graceful.watch(http.serve_connection(
            prepared(stream, self.write_timeout),
            service_fn(move |request| answering.call(request)),
        ));
        let shared = Arc::clone(&self.shared);
        self.open.spawn(async move {
            let _connected = shared.service.traffic.connect();
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
        self.shared.closing.store(true, Ordering::Relaxed);
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
struct Answering {
    shared: Arc<Shared>,
    peer: SocketAddr,
}

/// The body of an answer: of one that was there at once, and of any other.
type AnswerBody = Either<Full<Bytes>, Body>;

/// An answer, at once or later.
type Answer = future::Either<
    Ready<Result<Response<AnswerBody>, Infallible>>,
    BoxFuture<'static, Result<Response<AnswerBody>, Infallible>>,
>;

impl Answering {
    /// Answers at once what can be. Nothing is counted, boxed or routed for a hit.
    fn call(self: &Arc<Self>, request: Request<Incoming>) -> Answer {
        let route = Route::of(request.method(), request.uri().path());
        let decided = std::panic::catch_unwind(AssertUnwindSafe(|| self.decide(route, &request)));
        match decided.unwrap_or_else(|_panic| ControlFlow::Break(gone_wrong().answer())) {
            ControlFlow::Break(answer) => {
                let answer = self.finished(route, answer.map(Either::Left));
                future::Either::Left(future::ready(Ok(answer)))
            }
            ControlFlow::Continue(caller) => {
                let answering = Arc::clone(self);
                let answer = async move {
                    let _waiting = answering.shared.service.traffic.wait(route);
                    let answer = caught(answering.ask(request, caller)).await;
                    Ok(answering.finished(route, answer.map(Either::Right)))
                };
                future::Either::Right(Box::pin(answer))
            }
        }
    }

    /// The answer, if it is there; or who it is whose request has to wait for one.
    fn decide(
        &self,
        route: Route,
        request: &Request<Incoming>,
    ) -> ControlFlow<Response<Full<Bytes>>, Caller> {
        let Shared { service, requests_max, .. } = &*self.shared;
        let guard = service.guard.load();
        let admitted = match guard.admit(request, self.peer) {
            Ok(admitted) => admitted,
            Err(problem) => return ControlFlow::Break(problem.answer()),
        };
        let named = plain(request);
        let held = named.and_then(|named| held(service, named, request.headers(), self.peer));
        match held {
            Some(answer) => ControlFlow::Break(answer),
            // Who is asked whether it lives is not killed because a source is slow.
            None if route != Route::Health && service.traffic.waiting() >= *requests_max => {
                let detail = "too many requests are under way";
                let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail);
                ControlFlow::Break(problem.retry_after(Duration::from_secs(1)).answer())
            }
            None => ControlFlow::Continue(admitted.caller()),
        }
    }

    async fn ask(&self, request: Request<Incoming>, caller: Caller) -> Response<Body> {
        let Shared { service, router, .. } = &*self.shared;
        if let Some(named) = plain(&request) {
            return value(service, named, request.headers(), self.peer).await.into_response();
        }
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(caller);
        let Ok(response) = router.clone().call(request).await;
        response
    }

    /// The answer as it leaves, counted.
    fn finished<B>(&self, route: Route, mut answer: Response<B>) -> Response<B> {
        self.shared.service.traffic.answered(route, answer.status());
        if self.shared.closing.load(Ordering::Relaxed) {
            answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        answer
    }
}

/// Says that a connection could not be accepted, and waits if the next one could not be either.
async fn not_accepted(error: &io::Error) {
    // Else it is of one connection, whose client has gone already, and no news.
    if backlog::is_exhausted(error) {
        tracing::warn!(%error, "a connection could not be accepted");
        tokio::time::sleep(ACCEPT_AGAIN).await;
    }
}

/// An answer, even where a handler has panicked: one that is wrong must not take the connection with
/// it. The hook of panics has said where that was.
async fn caught(answer: impl Future<Output = Response<Body>>) -> Response<Body> {
    match AssertUnwindSafe(answer).catch_unwind().await {
        Ok(response) => response,
        Err(_panic) => gone_wrong().into_response(),
    }
}

fn gone_wrong() -> Problem {
    let detail = "the request went wrong here; the log says where";
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail)
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
