//! Scopes for services built with tower, such as axum's.

use std::fmt;
use std::future::Future;
use std::hash::Hash;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::Request;
use http::header::{COOKIE, HeaderName};
use tower_layer::Layer;
use tower_service::Service;

use crate::builder::Forewarm;
use crate::scope::Scope;

/// Runs each request in the scope of its client, so that what it reads belongs together with what
/// the same client reads before and after.
///
/// ```
/// use forewarm::{Forewarm, ScopeLayer};
///
/// # fn example(forewarm: &Forewarm) {
/// let by_session = ScopeLayer::by_cookie(forewarm, "session");
/// // axum::Router::new().route("/users/{id}", get(show)).layer(by_session)
/// # let _ = by_session;
/// # }
/// ```
///
/// A request that does not say whose it is runs in no scope. Who can choose the name of a client can
/// only spoil what is learned of that client.
#[derive(Clone)]
pub struct ScopeLayer {
    forewarm: Forewarm,
    client: Client,
}

/// What tells clients apart.
#[derive(Clone)]
enum Client {
    Header(HeaderName),
    Cookie(Arc<str>),
    Extracted(Arc<Extract>),
}

/// Finds the scope in the head of a request.
type Extract = dyn Fn(&Forewarm, &http::request::Parts) -> Option<Scope> + Send + Sync;

impl ScopeLayer {
    /// Tells clients apart by the value of a header.
    #[must_use]
    pub fn by_header(forewarm: &Forewarm, name: HeaderName) -> Self {
        Self { forewarm: forewarm.clone(), client: Client::Header(name) }
    }

    /// Tells clients apart by the value of a cookie.
    #[must_use]
    pub fn by_cookie(forewarm: &Forewarm, name: &str) -> Self {
        Self { forewarm: forewarm.clone(), client: Client::Cookie(name.into()) }
    }

    /// Tells clients apart by what `client` finds in the head of a request.
    #[must_use]
    pub fn by<C: Hash>(
        forewarm: &Forewarm,
        client: impl Fn(&http::request::Parts) -> Option<C> + Send + Sync + 'static,
    ) -> Self {
        let scope = move |forewarm: &Forewarm, head: &http::request::Parts| {
            client(head).map(|client| forewarm.scope_of(&client))
        };
        Self { forewarm: forewarm.clone(), client: Client::Extracted(Arc::new(scope)) }
    }

    fn scope(&self, head: &http::request::Parts) -> Option<Scope> {
        match &self.client {
            Client::Header(name) => {
                let value = head.headers.get(name)?;
                Some(self.forewarm.scope_of(value.as_bytes()))
            }
            Client::Cookie(name) => {
                let value = cookie(head, name)?;
                Some(self.forewarm.scope_of(value.as_bytes()))
            }
            Client::Extracted(extract) => extract(&self.forewarm, head),
        }
    }
}

/// The value of a cookie: RFC 6265, section 4.2.1.
fn cookie<'a>(head: &'a http::request::Parts, name: &str) -> Option<&'a str> {
    let headers = head.headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = headers.flat_map(|header| header.split(';'));
    pairs.find_map(|pair| {
        let (known, value) = pair.trim().split_once('=')?;
        (known == name).then_some(value)
    })
}

impl fmt::Debug for ScopeLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by = match &self.client {
            Client::Header(name) => format!("header `{name}`"),
            Client::Cookie(name) => format!("cookie `{name}`"),
            Client::Extracted(_) => "a closure".to_owned(),
        };
        f.debug_struct("ScopeLayer").field("by", &by).finish_non_exhaustive()
    }
}

impl<S> Layer<S> for ScopeLayer {
    type Service = Scoped<S>;

    fn layer(&self, inner: S) -> Scoped<S> {
        Scoped { inner, layer: self.clone() }
    }
}

/// A service whose requests run in the scopes of their clients; made by [`ScopeLayer`].
#[derive(Clone, Debug)]
pub struct Scoped<S> {
    inner: S,
    layer: ScopeLayer,
}

impl<S, B> Service<Request<B>> for Scoped<S>
where
    S: Service<Request<B>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (head, body) = request.into_parts();
        let scope = self.layer.scope(&head);
        let answer = self.inner.call(Request::from_parts(head, body));
        match scope {
            Some(scope) => Box::pin(scope.run(answer)),
            None => Box::pin(answer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers with the scope it runs in.
    #[derive(Clone)]
    struct Tells;

    impl Service<Request<()>> for Tells {
        type Response = Option<Scope>;
        type Error = std::convert::Infallible;
        type Future = Pin<Box<dyn Future<Output = Result<Option<Scope>, Self::Error>> + Send>>;

        fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _request: Request<()>) -> Self::Future {
            Box::pin(async { Ok(Scope::current()) })
        }
    }

    async fn told(layer: &ScopeLayer, headers: &[(&str, &str)]) -> Option<Scope> {
        let request = headers
            .iter()
            .fold(Request::builder(), |request, (name, value)| request.header(*name, *value));
        layer.layer(Tells).call(request.body(()).unwrap()).await.unwrap()
    }

    #[tokio::test]
    async fn a_request_runs_in_the_scope_of_its_client() {
        let forewarm = Forewarm::builder().build().await.unwrap();
        let anna = Some(forewarm.scope_of(b"anna".as_slice()));
        let by_header = ScopeLayer::by_header(&forewarm, HeaderName::from_static("x-user"));
        let by_cookie = ScopeLayer::by_cookie(&forewarm, "user");
        let by_closure = ScopeLayer::by(&forewarm, |head| {
            let value = head.headers.get("x-user")?;
            Some(value.as_bytes().to_vec())
        });
        for (layer, headers, expected) in [
            (&by_header, vec![("x-user", "anna")], anna),
            (&by_header, vec![("x-other", "anna")], None),
            (&by_cookie, vec![("cookie", "a=b; user=anna;c")], anna),
            (&by_cookie, vec![("cookie", "a=b"), ("cookie", "user=anna")], anna),
            (&by_cookie, vec![("cookie", "users=anna; xuser=anna")], None),
            (&by_closure, vec![("x-user", "anna")], anna),
            (&by_closure, vec![], None),
        ] {
            assert_eq!(told(layer, &headers).await, expected, "{layer:?} {headers:?}");
        }
    }

    #[tokio::test]
    async fn clients_that_differ_have_scopes_that_do() {
        let forewarm = Forewarm::builder().build().await.unwrap();
        let layer = ScopeLayer::by_cookie(&forewarm, "user");
        let anna = told(&layer, &[("cookie", "user=anna")]).await;
        let bert = told(&layer, &[("cookie", "user=bert")]).await;
        assert!(anna.is_some() && bert.is_some() && anna != bert);
    }
}
