//! Health: how the components of an engine are doing.

use std::fmt::{self, Display};

use serde::Serialize;

use crate::builder::Forewarm;
use crate::limits::BreakerState;
use crate::schedule::Job;

/// How an engine is doing: [`Forewarm::health`](crate::Forewarm::health).
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Health {
    /// Whether it does its work. A component that is not up makes it [`HealthState::Degraded`],
    /// since reads are answered as far as anything can answer them; it is [`HealthState::Down`] if it
    /// was shut down, or if work behind the readers has ended that should not.
    pub state: HealthState,
    /// Its components: `background`, `l2`, then `source {resource}` and `job {job}` of each.
    pub components: Vec<ComponentHealth>,
}

/// How a component is doing.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ComponentHealth {
    /// Its name.
    pub name: String,
    /// Whether it does its work.
    pub state: HealthState,
    /// What is wrong with it, and what follows from that; empty if it is up.
    pub detail: String,
}

/// Whether something does its work; in the order of badness.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HealthState {
    /// It does.
    Up,
    /// It does in part.
    Degraded,
    /// It does not.
    Down,
}

/// The component without which nothing is done behind the readers.
const BACKGROUND: &str = "background";

/// Components that are not up.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct Unhealthy(String);

impl Forewarm {
    /// Looks at every component. L2 is asked, and waited for as a write waits; sources are not, since
    /// their breakers tell how they answered readers.
    pub async fn health(&self) -> Health {
        let mut health = self.health_but_jobs().await;
        health.components.extend(self.jobs().iter().map(ComponentHealth::of_job));
        Health::of(health.components)
    }

    /// The same without its jobs.
    pub(crate) async fn health_but_jobs(&self) -> Health {
        let engine = &self.engine;
        let background = match (engine.tasks.is_stopping(), engine.tasks.is_broken()) {
            (true, _) => Err("the engine has been shut down"),
            (false, true) => Err("work behind the readers has panicked; restart the process"),
            (false, false) => Ok(()),
        };
        let ill = |name, state, detail| ComponentHealth { name, state, detail };
        let of_background = background.err().map_or_else(
            || ComponentHealth::up(BACKGROUND),
            |detail| ill(BACKGROUND.into(), HealthState::Down, detail.into()),
        );
        let mut components = vec![of_background];
        if let Some(l2) = &engine.l2 {
            components.push(if l2.sync().await {
                ComponentHealth::up("l2")
            } else {
                let detail = "it does not answer: reads are answered from memory and the sources";
                ill("l2".into(), HealthState::Down, detail.into())
            });
        }
        components.extend(self.stats().iter().map(|stats| {
            let name = format!("source {}", stats.resource);
            match stats.breaker {
                BreakerState::Closed => ComponentHealth::up(name),
                BreakerState::HalfOpen => {
                    ill(name, HealthState::Degraded, "it is tried again after failures".into())
                }
                BreakerState::Open => {
                    ill(name, HealthState::Down, "it has failed, and is left alone".into())
                }
            }
        }));
        Health::of(components)
    }
}

impl Health {
    fn of(components: Vec<ComponentHealth>) -> Self {
        let is_up = components.iter().all(|component| component.state == HealthState::Up);
        let is_down = |component: &ComponentHealth| {
            component.name == BACKGROUND && component.state == HealthState::Down
        };
        let state = match (components.iter().any(is_down), is_up) {
            (true, _) => HealthState::Down,
            (false, false) => HealthState::Degraded,
            (false, true) => HealthState::Up,
        };
        Self { state, components }
    }

    /// Whether every component is up.
    ///
    /// # Errors
    ///
    /// Names those that are not.
    pub fn check(&self) -> Result<(), Unhealthy> {
        let ill = self.components.iter().filter(|component| component.state != HealthState::Up);
        let ill: Vec<_> = ill.map(ToString::to_string).collect();
        if ill.is_empty() { Ok(()) } else { Err(Unhealthy(ill.join("; "))) }
    }
}

impl ComponentHealth {
    fn of_job(job: &Job) -> Self {
        let (name, failures) = (format!("job {}", job.name()), job.status().consecutive_failures);
        if failures == 0 {
            return Self::up(name);
        }
        let detail = format!("its last runs failed ({failures})");
        Self { name, state: HealthState::Degraded, detail }
    }

    fn up(name: impl Into<String>) -> Self {
        Self { name: name.into(), state: HealthState::Up, detail: String::new() }
    }
}

impl Display for ComponentHealth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            HealthState::Up => return write!(f, "{} is up", self.name),
            HealthState::Degraded => "degraded",
            HealthState::Down => "down",
        };
        write!(f, "{} is {state}: {}", self.name, self.detail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ill_is_named() {
        let (name, detail) = ("l2".to_owned(), "it does not answer".to_owned());
        let ill = ComponentHealth { name, state: HealthState::Down, detail };
        let health = Health::of(vec![ComponentHealth::up(BACKGROUND), ill]);
        assert_eq!(health.state, HealthState::Degraded);
        assert_eq!(health.check().unwrap_err().to_string(), "l2 is down: it does not answer");
        let ended = ComponentHealth { name: BACKGROUND.into(), ..health.components[1].clone() };
        assert_eq!(Health::of(vec![ended]).state, HealthState::Down);
        assert!(Health::of(vec![ComponentHealth::up("l2")]).check().is_ok());
    }
}
