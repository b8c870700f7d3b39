//! Reading the settings again.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::Service;
use super::problem::Problem;
use crate::error::{ConfigError, Error};
use crate::policy::PreloadPolicy;
use crate::schedule::{Job, Trigger};
use crate::service::app::Served;
use crate::service::settings::job::JobSettings;
use crate::service::settings::resource::ResourceSettings;
use crate::service::settings::server::ServerSettings;
use crate::service::settings::{Settings, SettingsError};

pub(super) use self::digests::Digests;

mod digests;

/// What came of reading the settings again.
#[derive(Debug, Default, Eq, PartialEq, Serialize, ToSchema)]
pub(crate) struct Reloaded {
    /// The settings that were changed.
    #[schema(example = json!(["resources.user.policy.preload"]))]
    changed: Vec<String>,
    /// The settings that differ in the file, and need a restart.
    #[schema(example = json!(["server.listen"]))]
    needs_restart: Vec<String>,
}

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReloadError {
    /// The settings are not from a file.
    #[error("the settings are not from a file")]
    NoFile,
    /// They cannot work.
    #[error("{0}")]
    Settings(#[from] SettingsError),
    /// One of them cannot work.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// One of them turned out not to work.
    #[error(transparent)]
    Engine(#[from] Error),
}

impl From<ReloadError> for Problem {
    fn from(error: ReloadError) -> Self {
        let status = match error {
            ReloadError::NoFile => StatusCode::CONFLICT,
            ReloadError::Settings(_) | ReloadError::Config(_) | ReloadError::Engine(_) => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
        };
        Self::new(status, error.to_string())
    }
}

impl Service {
    /// Reads the settings again: what can change does, and what cannot is named.
    ///
    /// # Errors
    ///
    /// They cannot be read or cannot work; then nothing has changed.
    pub(crate) async fn reload(&self) -> Result<Reloaded, ReloadError> {
        // One at a time, so that what is noted as changed is.
        let mut digests = self.reloading.lock().await;
        let origin = self.origin.as_ref().ok_or(ReloadError::NoFile)?;
        let (from, held) = (origin.clone(), self.settings());
        // Files may be where they take long to read, and a worker of the runtime has others to serve.
        let read = off_worker(move || {
            let settings = from.read()?;
            let digests = Digests::of(&settings);
            Ok::<_, SettingsError>((settings, digests))
        });
        let (written, read) = read.await??;
        let mut change = Change::new(&held, written);
        change.name_rotated(&digests, &read);
        let preloads = self.take_preloads(&mut change);
        let rescheduled = self.take_triggers(&mut change);
        // What is written was checked for itself; what will hold is a mixture: it may listen where
        // the file says no more that it does.
        let problems = change.next.problems();
        if !problems.is_empty() {
            return Err(origin.locate(&problems).into());
        }
        let (guard, next) = (self.guard.load_full(), change.next.clone());
        let guard = off_worker(move || guard.renewed(&next)).await??;
        let filter = change.next.log.filter()?;
        for (served, preload) in preloads {
            served.documents.tune(preload)?;
        }
        for (job, triggers) in rescheduled {
            job.reschedule(triggers)?;
        }
        if change.next.log.level != held.log.level {
            crate::service::logs::set(filter);
        }
        self.guard.store(guard.into());
        self.settings.store(change.next.into());
        *digests = digests.taking(&read);
        let Reloaded { changed, needs_restart } = &change.reloaded;
        tracing::info!(?changed, ?needs_restart, "the settings were read again");
        Ok(change.reloaded)
    }

    /// Takes over what is loaded ahead; gives what is to be told to resources.
    fn take_preloads(&self, change: &mut Change) -> Vec<(&Served, PreloadPolicy)> {
        let mut taken = Vec::new();
        for (name, written) in &change.written.resources {
            let Some(held) = change.next.resources.get_mut(name) else { continue };
            let field = format!("resources.{name}.policy.preload");
            let preload = &written.policy.preload;
            if held.policy.preload == *preload {
                continue;
            }
            let Some(served) = self.app.resource(name) else { continue };
            if preload.check_live(&served.documents.preload_policy(), name).is_err() {
                change.reloaded.needs_restart.push(field);
                continue;
            }
            held.policy.preload = preload.clone();
            change.reloaded.changed.push(field);
            taken.push((served, preload.clone()));
        }
        taken
    }

    /// Takes over when jobs are due; gives what is to be told to them.
    fn take_triggers(&self, change: &mut Change) -> Vec<(Job, Vec<Trigger>)> {
        let mut taken = Vec::new();
        for job in self.app.forewarm.jobs() {
            let name = job.name();
            let Some(written) = change.written.jobs.get(name) else { continue };
            let Some(held) = change.next.jobs.get_mut(name) else { continue };
            if held.triggers != written.triggers {
                held.triggers.clone_from(&written.triggers);
                change.reloaded.changed.push(format!("jobs.{name}.triggers"));
                taken.push((job, written.triggers.clone()));
            }
        }
        taken
    }
}

/// Does what may take long where nobody else waits for it.
async fn off_worker<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Error> {
    // It is cut off when the runtime ends.
    tokio::task::spawn_blocking(work).await.map_err(|_cut_off| Error::ShutDown)
}

/// From the settings that hold to those that are written.
struct Change {
    written: Settings,
    /// Those that will hold.
    next: Settings,
    reloaded: Reloaded,
}

impl Change {
    /// Takes over what only has to be looked at, and names what needs a restart.
    fn new(held: &Settings, written: Settings) -> Self {
        let (next, reloaded) = (held.clone(), Reloaded::default());
        let mut change = Self { written, next, reloaded };
        change.take_server();
        change.take_small();
        change.name_the_rest(held);
        change
    }

    /// Names secrets whose files hold others than when they were read, unless what they are part of is
    /// named.
    fn name_rotated(&mut self, held: &Digests, read: &Digests) {
        let add = |named: &mut Vec<String>, fields: Vec<String>| {
            for field in fields {
                let is_in = |whole: &String| {
                    let rest = field.strip_prefix(whole.as_str());
                    rest.is_some_and(|rest| rest.starts_with(['.', '[']))
                };
                if !named.iter().any(is_in) {
                    named.push(field);
                }
            }
        };
        let (taken, others) = held.differing(read);
        add(&mut self.reloaded.changed, taken);
        add(&mut self.reloaded.needs_restart, others);
    }

    fn take_server(&mut self) {
        let written = self.written.server.clone();
        // These are looked at once, when the service begins to listen.
        let held = &self.next.server;
        let fixed = [
            ("listen", written.listen != held.listen),
            ("connections_max", written.connections_max != held.connections_max),
            ("requests_max", written.requests_max != held.requests_max),
            ("header_timeout", written.header_timeout != held.header_timeout),
            ("write_timeout", written.write_timeout != held.write_timeout),
        ];
        let differing = fixed.into_iter().filter(|(_, differs)| *differs);
        let names = differing.map(|(name, _)| format!("server.{name}"));
        self.reloaded.needs_restart.extend(names);
        let ServerSettings { listen, connections_max, requests_max, .. } = self.next.server;
        let ServerSettings { header_timeout, write_timeout, .. } = self.next.server;
        let next = ServerSettings {
            listen,
            connections_max,
            requests_max,
            header_timeout,
            write_timeout,
            ..written
        };
        if next != self.next.server {
            self.next.server = next;
            self.reloaded.changed.push("server".to_owned());
        }
    }

    fn take_small(&mut self) {
        if self.written.auth != self.next.auth {
            self.next.auth = self.written.auth.clone();
            self.reloaded.changed.push("auth".to_owned());
        }
        if self.written.log.level != self.next.log.level {
            self.next.log.level.clone_from(&self.written.log.level);
            self.reloaded.changed.push("log.level".to_owned());
        }
        if self.written.log.format != self.next.log.format {
            self.reloaded.needs_restart.push("log.format".to_owned());
        }
    }

    fn name_the_rest(&mut self, held: &Settings) {
        let written = &self.written;
        let restart = &mut self.reloaded.needs_restart;
        if written.engine != held.engine {
            restart.push("engine".to_owned());
        }
        if written.l2 != held.l2 {
            restart.push("l2".to_owned());
        }
        restart.extend(differing("sources", &held.sources, &written.sources, Clone::clone));
        restart.extend(differing("snapshots", &held.snapshots, &written.snapshots, Clone::clone));
        restart.extend(differing(
            "resources",
            &held.resources,
            &written.resources,
            fixed_of_resource,
        ));
        restart.extend(differing("jobs", &held.jobs, &written.jobs, fixed_of_job));
    }
}

/// The names of what is declared otherwise than before, apart from what may change.
fn differing<T: PartialEq>(
    part: &str,
    held: &BTreeMap<String, T>,
    written: &BTreeMap<String, T>,
    fixed: impl Fn(&T) -> T,
) -> Vec<String> {
    let names: std::collections::BTreeSet<_> = held.keys().chain(written.keys()).collect();
    let differs = |name: &&String| held.get(*name).map(&fixed) != written.get(*name).map(&fixed);
    names.into_iter().filter(differs).map(|name| format!("{part}.{name}")).collect()
}

fn fixed_of_resource(resource: &ResourceSettings) -> ResourceSettings {
    let mut fixed = resource.clone();
    fixed.policy.preload = PreloadPolicy::default();
    fixed
}

fn fixed_of_job(job: &JobSettings) -> JobSettings {
    JobSettings { triggers: Vec::new(), ..job.clone() }
}
