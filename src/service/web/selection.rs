//! Which keys of a resource are meant.

use futures_util::future::join_all;

use super::Service;
use super::api::Invalidated;
use super::asked::nul;
use super::guard::Caller;
use super::problem::Problem;
use crate::resource::Delivery;
use crate::service::app::Documents;

/// Which keys of a resource are meant.
#[derive(Debug)]
pub(super) enum Selection {
    /// These.
    Keys(Vec<String>),
    /// Those of values with a tag.
    Tag(String),
    /// Those that match a pattern.
    Pattern(String),
    /// All.
    All,
}

/// What is to be done with them.
#[derive(Clone, Copy, Debug)]
pub(super) enum Intent<'a> {
    /// To see how many memory holds here.
    Count,
    /// To invalidate them.
    Invalidate {
        /// The name of the resource, where all of it is meant.
        confirm: Option<&'a str>,
    },
}

impl<'a> Intent<'a> {
    pub(super) const fn of(dry_run: bool, confirm: Option<&'a str>) -> Self {
        if dry_run { Self::Count } else { Self::Invalidate { confirm } }
    }
}

impl Selection {
    /// The one that is given.
    ///
    /// # Errors
    ///
    /// None is, or several are.
    pub(super) fn of(
        keys: Vec<String>,
        tag: Option<String>,
        pattern: Option<String>,
        all: bool,
    ) -> Result<Self, Problem> {
        if [&tag, &pattern].into_iter().flatten().any(|text| text.contains('\0')) {
            return Err(nul());
        }
        match (keys.is_empty(), tag, pattern, all) {
            (false, None, None, false) => Ok(Self::Keys(keys)),
            (true, Some(tag), None, false) => Ok(Self::Tag(tag)),
            (true, None, Some(pattern), false) => Ok(Self::Pattern(pattern)),
            (true, None, None, true) => Ok(Self::All),
            _ => {
                Err(Problem::bad_request("say which keys: one of `keys`, `tag`, `pattern`, `all`"))
            }
        }
    }

    /// Refuses to take all of a resource for granted.
    fn check_confirmed(&self, name: &str, confirm: Option<&str>) -> Result<(), Problem> {
        match self {
            Self::All if confirm != Some(name) => {
                let detail = format!("to invalidate all of it, say so: `confirm` is `{name}`");
                Err(Problem::bad_request(detail))
            }
            _ => Ok(()),
        }
    }

    /// The entries of it that memory holds here.
    fn count(&self, documents: &Documents) -> Result<usize, Problem> {
        Ok(match self {
            Self::Keys(keys) => {
                keys.iter().filter(|key| documents.peek(key.as_str()).is_some()).count()
            }
            Self::Tag(tag) => documents.count_tagged(tag)?,
            Self::Pattern(pattern) => documents.count_matching(pattern)?,
            Self::All => usize::try_from(documents.stats().entries).unwrap_or(usize::MAX),
        })
    }

    /// Does what is asked for with these keys: only counts them, or invalidates them, if that is
    /// confirmed where it has to be.
    pub(super) async fn carry_out(
        &self,
        service: &Service,
        caller: &Caller,
        documents: &Documents,
        intent: Intent<'_>,
    ) -> Result<Invalidated, Problem> {
        let entries = self.count(documents)?;
        let confirm = match intent {
            Intent::Count => return Ok(Invalidated::dry_run(entries)),
            Intent::Invalidate { confirm } => confirm,
        };
        let name = documents.name();
        self.check_confirmed(name, confirm)?;
        // Before it is done: who hangs up meanwhile has had it done all the same, or in part.
        service.audit.note(caller, "invalidate", format!("{} of `{name}`", self.kind()));
        let delivery = self.invalidate(documents).await?;
        Ok(Invalidated::by(delivery, Some(entries)))
    }

    /// Invalidates it.
    async fn invalidate(&self, documents: &Documents) -> Result<Delivery, Problem> {
        match self {
            Self::Keys(keys) => {
                // All at once, so that they are one question to L2, or few.
                let each = keys.iter().map(|key| documents.invalidate(key.as_str()));
                let deliveries = join_all(each).await;
                let is_queued = deliveries.contains(&Delivery::Queued);
                Ok(if is_queued { Delivery::Queued } else { Delivery::Applied })
            }
            Self::Tag(tag) => Ok(documents.invalidate_tag(tag).await?),
            Self::Pattern(pattern) => Ok(documents.invalidate_matching(pattern).await?),
            Self::All => Ok(documents.invalidate_all().await),
        }
    }

    /// What it is, for the audit; never a key.
    const fn kind(&self) -> &'static str {
        match self {
            Self::Keys(_) => "keys",
            Self::Tag(_) => "a tag",
            Self::Pattern(_) => "a pattern",
            Self::All => "all",
        }
    }
}
