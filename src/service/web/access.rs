//! What a request needs: the one list of what is public.

use axum::http::Method;

use crate::service::settings::auth::{PublicPart, Scope};

/// What a request needs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Access {
    /// Nothing.
    Public,
    /// A token with this scope, unless the settings make this part public.
    Needs(Scope, Option<PublicPart>),
}

/// What is public: whether the service lives and is ready, and the page of the dashboard, which holds
/// nothing and asks for a token.
const PUBLIC: [&str; 4] = ["/", "/healthz", "/readyz", "/favicon.svg"];

impl Access {
    /// What a request needs. What is not known needs a token too, so that nobody learns what there is.
    pub(crate) fn of(method: &Method, path: &str) -> Self {
        let is_read = matches!(*method, Method::GET | Method::HEAD);
        if is_read && (PUBLIC.contains(&path) || path.starts_with("/assets/")) {
            return Self::Public;
        }
        let needs = |scope| Self::Needs(scope, None);
        if path.starts_with("/v1/") {
            return match *method {
                Method::GET | Method::HEAD => Self::Needs(Scope::Read, Some(PublicPart::Data)),
                // A batch is a read whose keys do not fit in a path.
                Method::POST => Self::Needs(Scope::Read, Some(PublicPart::Data)),
                _ => needs(Scope::Write),
            };
        }
        match (is_read, path) {
            (true, "/metrics") => Self::Needs(Scope::Read, Some(PublicPart::Metrics)),
            (true, "/openapi.json") => Self::Needs(Scope::Read, Some(PublicPart::Openapi)),
            (true, _) => needs(Scope::Read),
            (false, path) if is_write(path) => needs(Scope::Write),
            (false, _) => needs(Scope::Admin),
        }
    }
}

/// Whether a request changes what is held of a resource, and not how the service works.
fn is_write(path: &str) -> bool {
    let rest = path.strip_prefix("/admin/resources/");
    let what = rest.and_then(|rest| rest.split_once('/')).map(|(_resource, what)| what);
    matches!(what, Some("invalidate" | "warm"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_more_than_values_of_a_resource_needs_all() {
        for (path, scope) in [
            ("/admin/resources/user/invalidate", Scope::Write),
            ("/admin/resources/a%2Fb/warm", Scope::Write),
            ("/admin/resources/user/preload", Scope::Admin),
            ("/admin/resources/user/more/warm", Scope::Admin),
            ("/admin/resources/warm", Scope::Admin),
            ("/admin/jobs/a/warm", Scope::Admin),
            ("/admin/invalidate", Scope::Admin),
            ("/warm", Scope::Admin),
        ] {
            assert_eq!(Access::of(&Method::POST, path), Access::Needs(scope, None), "{path}");
        }
    }

    #[test]
    fn what_is_not_known_needs_a_token() {
        for path in ["/nothing", "/Healthz", "/healthz/", "/assets", "//", "/admin/../healthz", ""]
        {
            assert_ne!(Access::of(&Method::GET, path), Access::Public, "{path}");
        }
        for path in PUBLIC {
            assert_eq!(Access::of(&Method::GET, path), Access::Public);
            assert_ne!(Access::of(&Method::POST, path), Access::Public);
        }
    }
}
