//! Connections, and the requests that come over them.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::header::CONNECTION;
use axum::http::{HeaderValue, Request, Response, StatusCode};
use axum::response::IntoResponse as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tower_service::Service as _;

use super::problem::Problem;
use super::{Service, router};

/// Takes connections, and has the requests that come over them answered.
#[derive(Debug)]
pub(crate) struct Listener {
    listener: TcpListener,
    address: SocketAddr,
}

/// Where a request comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer {
    /// The address.
    pub(crate) address: SocketAddr,
}

/// The rest between two tries to accept, where there are no descriptors left.
const ACCEPT_AGAIN: Duration = Duration::from_millis(50);
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
    /// way end for `drain_timeout`, and gives whether all of it did.
    pub(crate) async fn serve(
        self,
        service: &Arc<Service>,
        stop: impl Future<Output = ()>,
    ) -> bool {
        let connections = GracefulShutdown::new();
        {
            let mut stop = pin!(stop);
            let accepting = self.accept(service, &connections);
            let mut accepting = pin!(accepting);
            tokio::select! {
                biased;
                () = &mut stop => {}
                never = &mut accepting => match never {},
            }
        }
        drop(self.listener);
        let drain_timeout = service.settings().server.drain_timeout;
        tokio::time::timeout(drain_timeout, connections.shutdown()).await.is_ok()
    }

    async fn accept(&self, service: &Arc<Service>, connections: &GracefulShutdown) -> Infallible {
        let terms = service.settings().server.clone();
        let places = Arc::new(Semaphore::new(terms.connections_max));
        let router = router(service);
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(terms.header_timeout)
            .max_buf_size(HEADER_BYTES_MAX)
            .half_close(false);
        let requests = Arc::new(AtomicUsize::new(0));
        loop {
            // The semaphore is never closed.
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { continue };
            let (stream, address) = match self.listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_AGAIN).await;
                    continue;
                }
            };
            let answering = Answering {
                router: router.clone(),
                service: Arc::clone(service),
                peer: Peer { address },
                requests: Arc::clone(&requests),
                requests_max: terms.requests_max,
            };
            let connection = connections.watch(http.serve_connection(
                prepared(stream),
                service_fn(move |request| answering.clone().answer(request)),
            ));
            tokio::spawn(async move {
                // A client that goes away is no news.
                if let Err(error) = connection.await {
                    tracing::debug!(%error, "a connection ended");
                }
                drop(place);
            });
        }
    }
}

fn prepared(stream: TcpStream) -> TokioIo<TcpStream> {
    // An answer is one write, and must not wait for the acknowledgement of the one before.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY could not be set");
    }
    TokioIo::new(stream)
}

/// What answers the requests of a connection.
#[derive(Clone)]
struct Answering {
    router: Router,
    service: Arc<Service>,
    peer: Peer,
    /// The requests under way, over all connections.
    requests: Arc<AtomicUsize>,
    requests_max: usize,
}

impl Answering {
    async fn answer(mut self, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
        let under_way = UnderWay::begin(&self.requests);
        let (mut parts, body) = request.into_parts();
        let mut response = if under_way.nth > self.requests_max {
            let detail = "too many requests are under way";
            let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail);
            problem.retry_after(Duration::from_secs(1)).into_response()
        } else {
            let admitted = self.service.guard.load().admit(&parts, self.peer.address);
            match admitted {
                Ok(caller) => {
                    parts.extensions.insert(self.peer);
                    parts.extensions.insert(caller);
                    self.router.call(Request::from_parts(parts, Body::new(body))).await?
                }
                Err(problem) => problem.into_response(),
            }
        };
        if self.service.is_leaving() {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        Ok(response)
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
