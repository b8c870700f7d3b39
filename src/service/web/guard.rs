//! Who is let in.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::http::header::{AUTHORIZATION, HOST, ORIGIN};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode};
use moka::sync::Cache;
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq as _};

use super::access::Access;
use super::problem::Problem;
use super::refusals::{Refusal, Refusals, Why};
use crate::clock::Clock;
use crate::error::ConfigError;
use crate::limits::Bucket;
use crate::service::settings::Settings;
use crate::service::settings::auth::{PublicPart, Scope, TokenSettings};
use crate::service::settings::l2::reveal;

/// Decides which requests are let in.
pub(crate) struct Guard {
    tokens: Vec<Token>,
    anybody: Arc<str>,
    public: BTreeSet<PublicPart>,
    hosts: Vec<String>,
    rate: Option<f64>,
    /// What each address may still ask for.
    buckets: Cache<IpAddr, Arc<Mutex<Bucket>>>,
    /// The wrong tokens that came from an address of late.
    wrong: Cache<IpAddr, u32>,
    refusals: Arc<Refusals>,
    /// Grows with each change of who is let in.
    generation: u64,
    clock: Clock,
}

/// Who sent a request.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// The name of the token, or `anybody`.
    pub(crate) name: Arc<str>,
    /// The address of the other end of the connection.
    pub(crate) address: SocketAddr,
    /// Whether it needs no token, or has one.
    pub(crate) is_known: bool,
    /// Which guard has let it in: [`Guard::generation`].
    pub(crate) generation: u64,
}

/// Who sent a request that is let in, for as long as the guard is at hand: what is answered at once takes
/// nothing along, which would count references in a place that all threads share.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Admitted<'a> {
    name: &'a Arc<str>,
    address: SocketAddr,
    is_known: bool,
    generation: u64,
}

impl Admitted<'_> {
    /// The same for longer.
    pub(crate) fn caller(&self) -> Caller {
        let Self { name, address, is_known, generation } = *self;
        Caller { name: Arc::clone(name), address, is_known, generation }
    }
}

/// A token, which is known by its digest only.
#[derive(Eq, PartialEq)]
struct Token {
    name: Arc<str>,
    digest: [u8; 32],
    scopes: BTreeSet<Scope>,
}

/// 256 bits of chance cannot be guessed.
const TOKEN_BYTES_MIN: usize = 32;
/// After so many wrong tokens an address is told to wait, until none has come for a while.
const WRONG_MAX: u32 = 10;
const WRONG_FOR: Duration = Duration::from_mins(1);
/// The addresses that are remembered; when there are more, old ones are forgotten.
const ADDRESSES_MAX: u64 = 100_000;

impl Guard {
    /// Reads the tokens.
    ///
    /// # Errors
    ///
    /// One is not where it should be, or too short.
    pub(crate) fn new(settings: &Settings) -> Result<Self, ConfigError> {
        let tokens = settings.auth.tokens.iter().enumerate();
        let tokens = tokens.map(|(nth, token)| Token::read(nth, token));
        Ok(Self {
            tokens: tokens.collect::<Result<_, _>>()?,
            anybody: "anybody".into(),
            public: settings.auth.public.clone(),
            hosts: settings.server.hosts.iter().map(|host| host.to_ascii_lowercase()).collect(),
            rate: settings.server.requests_per_second,
            buckets: Cache::builder().max_capacity(ADDRESSES_MAX).time_to_idle(WRONG_FOR).build(),
            wrong: Cache::builder().max_capacity(ADDRESSES_MAX).time_to_live(WRONG_FOR).build(),
            refusals: Arc::default(),
            generation: 0,
            clock: Clock::system(),
        })
    }

    /// One by other settings, which goes on with what is known of addresses.
    ///
    /// # Errors
    ///
    /// As [`Guard::new`].
    pub(super) fn renewed(&self, settings: &Settings) -> Result<Self, ConfigError> {
        let next = Self::new(settings)?;
        let is_same = self.tokens == next.tokens && self.public == next.public;
        let is_same_rate = self.rate.map(f64::to_bits) == next.rate.map(f64::to_bits);
        Ok(Self {
            generation: self.generation + u64::from(!is_same),
            buckets: if is_same_rate { self.buckets.clone() } else { next.buckets },
            wrong: self.wrong.clone(),
            refusals: Arc::clone(&self.refusals),
            clock: self.clock.clone(),
            ..next
        })
    }

    /// Brings the figures to the `metrics` facade.
    pub(super) fn publish(&self) {
        self.refusals.publish();
    }

    /// Grows with each change of who is let in.
    pub(super) const fn generation(&self) -> u64 {
        self.generation
    }

    /// Whether a request is let in, and who sent it.
    ///
    /// # Errors
    ///
    /// Says why it is not.
    pub(crate) fn admit<B>(
        &self,
        request: &Request<B>,
        peer: SocketAddr,
    ) -> Result<Admitted<'_>, Problem> {
        self.judge(request, peer).map_err(|Refusal { why, problem }| {
            self.refusals.note(why, peer.ip(), self.clock.now());
            problem
        })
    }

    fn judge<B>(&self, request: &Request<B>, peer: SocketAddr) -> Result<Admitted<'_>, Refusal> {
        let signs = Signs::of(request.headers())?;
        self.check_host(request, &signs)?;
        let client = client_of(peer.ip());
        self.check_rate(client)?;
        let is_open = self.tokens.is_empty();
        let (name, is_known) = match Access::of(request.method(), request.uri().path()) {
            Access::Public => (&self.anybody, is_open || self.is_known(&signs, peer)),
            Access::Needs(..) if is_open => (&self.anybody, true),
            Access::Needs(_, Some(part)) if self.public.contains(&part) => (&self.anybody, false),
            Access::Needs(scope, _) => (&self.identify(&signs, scope, client)?.name, true),
        };
        Ok(Admitted { name, address: peer, is_known, generation: self.generation })
    }

    fn identify(&self, signs: &Signs<'_>, scope: Scope, from: IpAddr) -> Result<&Token, Refusal> {
        let token = self.recognise(signs, from)?;
        if !token.scopes.contains(&scope) {
            let detail = format!("the token lacks the scope `{}`", scope.name());
            return Err(Why::Scope.refuse(Problem::new(StatusCode::FORBIDDEN, detail)));
        }
        Ok(token)
    }

    /// Whether who asks for what is public has a token as well. A wrong one is answered, and counted.
    fn is_known(&self, signs: &Signs<'_>, peer: SocketAddr) -> bool {
        let recognised = self.recognise(signs, client_of(peer.ip()));
        if let Err(Refusal { why, .. }) = &recognised
            && signs.authorization.is_some()
        {
            self.refusals.note(*why, peer.ip(), self.clock.now());
        }
        recognised.is_ok()
    }

    fn recognise(&self, signs: &Signs<'_>, from: IpAddr) -> Result<&Token, Refusal> {
        let unauthorized = |detail: &'static str| Problem::new(StatusCode::UNAUTHORIZED, detail);
        let Some(given) = signs.authorization else {
            let problem = unauthorized("send a token: `Authorization: Bearer ..`");
            return Err(Why::NoToken.refuse(problem));
        };
        let given = given.as_bytes();
        let bearer =
            given.split_at_checked(7).filter(|(kind, _)| kind.eq_ignore_ascii_case(b"bearer "));
        bearer.and_then(|(_, token)| self.find(token)).ok_or_else(|| {
            // Who has a token is let in all the same: all clients of a proxy have one address, and one
            // of them must not shut out the others.
            if self.note_wrong(from) > WRONG_MAX {
                let detail = "too many wrong tokens came from this address";
                let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, detail);
                return Why::Tokens.refuse(problem.retry_after(WRONG_FOR));
            }
            Why::Token.refuse(unauthorized("the token is not known"))
        })
    }

    /// Counts a wrong token; gives how many came of late.
    fn note_wrong(&self, from: IpAddr) -> u32 {
        let wrong = self.wrong.entry(from).and_upsert_with(|held| {
            held.map_or(1, |held| held.into_value().saturating_add(1).min(WRONG_MAX + 1))
        });
        wrong.into_value()
    }

    /// The token that was given. All are looked at, so that the time says nothing.
    fn find(&self, given: &[u8]) -> Option<&Token> {
        let digest: [u8; 32] = Sha256::digest(given.trim_ascii()).into();
        let mut found = None;
        for token in &self.tokens {
            let is_it: Choice = token.digest.ct_eq(&digest);
            if bool::from(is_it) {
                found = Some(token);
            }
        }
        found
    }

    /// Refuses a request under a name that is not ours, and one of another site's page.
    fn check_host<B>(&self, request: &Request<B>, signs: &Signs<'_>) -> Result<(), Refusal> {
        let Some(host) = signs.host.and_then(|host| host.to_str().ok()) else {
            let problem = Problem::bad_request("the header `Host` is missing, or no text");
            return Err(Why::Header.refuse(problem));
        };
        // Where the target is a whole URI, it says the host as well (RFC 9112, 3.2.2).
        let target = request.uri().authority().map(Authority::as_str);
        if !self.is_ours(host) || target.is_some_and(|target| !self.is_ours(target)) {
            let detail = "the header `Host` is no name of this service: see `server.hosts`";
            return Err(Why::Host.refuse(Problem::new(StatusCode::MISDIRECTED_REQUEST, detail)));
        }
        let cross = || {
            let detail = "the request is of a page of another site";
            Why::Site.refuse(Problem::new(StatusCode::FORBIDDEN, detail))
        };
        if let Some(origin) = signs.origin {
            let authority = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
            if !authority.is_some_and(|(_, authority)| authority.eq_ignore_ascii_case(host)) {
                return Err(cross());
            }
        }
        match signs.site.map(HeaderValue::as_bytes) {
            // A link from elsewhere may lead to the page, which holds nothing.
            Some(b"cross-site" | b"same-site") if !signs.is_visit(request) => Err(cross()),
            _ => Ok(()),
        }
    }

    /// A page that is made to reach us under a name of its own has that name as its host; an address
    /// is nobody's name.
    fn is_ours(&self, host: &str) -> bool {
        let digits = host.bytes().rev().take_while(u8::is_ascii_digit).count();
        let name = host.get(..host.len() - digits).and_then(|name| name.strip_suffix(':'));
        let name = name.unwrap_or(host);
        let address =
            name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(name);
        address.parse::<IpAddr>().is_ok()
            || name.eq_ignore_ascii_case("localhost")
            || self
                .hosts
                .iter()
                .any(|ours| ours.eq_ignore_ascii_case(host) || ours.eq_ignore_ascii_case(name))
    }

    fn check_rate(&self, from: IpAddr) -> Result<(), Refusal> {
        let Some(rate) = self.rate else { return Ok(()) };
        let bucket =
            self.buckets.get_with(from, || Arc::new(Mutex::new(Bucket::new(rate, burst(rate)))));
        if bucket.lock().take(self.clock.now()) {
            return Ok(());
        }
        let detail = "too many requests came from this address";
        let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, detail);
        Err(Why::Rate.refuse(problem.retry_after(Duration::from_secs(1))))
    }
}

/// The headers by which a request is let in or not, found in one go: to look each of them up costs
/// more than to go through all that most requests have.
#[derive(Default)]
struct Signs<'a> {
    host: Option<&'a HeaderValue>,
    authorization: Option<&'a HeaderValue>,
    origin: Option<&'a HeaderValue>,
    site: Option<&'a HeaderValue>,
    mode: Option<&'a HeaderValue>,
}

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");

impl<'a> Signs<'a> {
    /// Finds them. One that is there more often than once is refused: which one a proxy has looked at
    /// is not known.
    fn of(headers: &'a HeaderMap) -> Result<Self, Refusal> {
        let mut signs = Self::default();
        for (name, value) in headers {
            let place = match *name {
                HOST => &mut signs.host,
                AUTHORIZATION => &mut signs.authorization,
                ORIGIN => &mut signs.origin,
                _ if name == SEC_FETCH_SITE => &mut signs.site,
                _ if name == SEC_FETCH_MODE => &mut signs.mode,
                _ => continue,
            };
            if place.replace(value).is_some() {
                let detail = format!("the header `{name}` is there more than once");
                return Err(Why::Header.refuse(Problem::bad_request(detail)));
            }
        }
        Ok(signs)
    }

    /// Whether somebody follows a link to what is public.
    fn is_visit<B>(&self, request: &Request<B>) -> bool {
        let access = Access::of(request.method(), request.uri().path());
        self.mode.map(HeaderValue::as_bytes) == Some(b"navigate") && access == Access::Public
    }
}

/// Whom an address belongs to. One of IPv6 is one of the 2^64 that a client has at least.
fn client_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => {
            let [network @ .., _, _, _, _] = address.segments();
            let [one, two, three, four] = network;
            Ipv6Addr::new(one, two, three, four, 0, 0, 0, 0).into()
        }
    }
}

/// What is wrong with tokens: those that are not where they should be, or too short.
pub(crate) fn token_problems(settings: &Settings) -> Vec<ConfigError> {
    let tokens = settings.auth.tokens.iter().enumerate();
    tokens.filter_map(|(nth, token)| Token::read(nth, token).err()).collect()
}

/// What an address may ask for at once: two seconds' worth.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "at least 1, and saturating"
)]
fn burst(rate: f64) -> usize {
    ((rate * 2.0).ceil() as usize).max(1)
}

impl Token {
    fn read(nth: usize, settings: &TokenSettings) -> Result<Self, ConfigError> {
        let field = format!("auth.tokens[{nth}].secret");
        // Variables often end with a line break, which no header can.
        let text = reveal(&field, &settings.secret)?;
        let text = text.trim();
        if text.len() < TOKEN_BYTES_MIN {
            let problem = format!("has {} bytes", text.len());
            let remedy = "use 32 or more, such as what `openssl rand -hex 32` gives";
            return Err(ConfigError::new(field, problem, remedy));
        }
        Ok(Self {
            name: settings.name.as_str().into(),
            digest: Sha256::digest(text.as_bytes()).into(),
            scopes: settings.scopes.clone(),
        })
    }
}

impl Scope {
    const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }
}

/// Without tokens, and without their digests.
impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.tokens.iter().map(|token| &*token.name).collect();
        f.debug_struct("Guard").field("tokens", &names).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_one_client_are_one() {
        let cases = [
            ("192.0.2.1", "192.0.2.1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
            ("2001:db8:1:2:ffff::", "2001:db8:1:2::"),
            ("2001:db8:1:3::1", "2001:db8:1:3::"),
        ];
        for (address, client) in cases {
            let [address, client]: [IpAddr; 2] =
                [address, client].map(|text| text.parse().unwrap());
            assert_eq!(client_of(address), client, "{address}");
        }
    }
}
