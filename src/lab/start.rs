//! Starting a server, and waiting until it answers.

use std::time::Duration;

use tokio::time::Instant;

use super::LabError;
use super::keeper::Keeper;

/// What a server that is started again finds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Data {
    /// What it had written before it ended.
    Kept,
    /// Nothing, as on its first start.
    Lost,
}

/// The longest that a server is waited for, on a machine that is busy with other things.
const READY_WITHIN: Duration = Duration::from_mins(1);

/// How long it is let be after it has not answered.
const ASK_EVERY: Duration = Duration::from_millis(5);

/// How often a server is launched, if somebody takes the port that was free a moment ago.
const LAUNCHES_MAX: u32 = 5;

/// Launches a server; again, with another port, if the port is taken.
pub(super) async fn launch<T>(once: impl AsyncFn() -> Result<T, LabError>) -> Result<T, LabError> {
    for _ in 1..LAUNCHES_MAX {
        match once().await {
            Err(LabError::Ended { last_words, .. })
                if last_words.contains("Address already in use") => {}
            launched => return launched,
        }
    }
    once().await
}

/// Starts the server, and waits until it answers as it should.
pub(super) async fn start(
    keeper: &Keeper,
    program: &'static str,
    answers: impl AsyncFn() -> bool,
) -> Result<(), LabError> {
    keeper.start()?;
    wait(keeper, program, answers).await
}

/// Asks a server again and again, until it answers as it should.
pub(super) async fn wait(
    keeper: &Keeper,
    program: &'static str,
    answers: impl AsyncFn() -> bool,
) -> Result<(), LabError> {
    let deadline = Instant::now() + READY_WITHIN;
    // A server that accepts and says nothing must not be waited for forever either.
    let is_ready = async || tokio::time::timeout_at(deadline, answers()).await == Ok(true);
    while !is_ready().await {
        if !keeper.is_alive() {
            return Err(LabError::Ended { program, last_words: keeper.last_words() });
        }
        if Instant::now() >= deadline {
            let last_words = keeper.last_words();
            return Err(LabError::NotReady { program, within: READY_WITHIN, last_words });
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
    Ok(())
}
