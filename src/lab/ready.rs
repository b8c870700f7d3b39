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
const READY_WITHIN: Duration = Duration::from_secs(60);

/// How long it is let be after it has not answered.
const ASK_EVERY: Duration = Duration::from_millis(5);

/// Starts the server, and asks it again and again, until it answers as it should.
pub(super) async fn start(
    keeper: &Keeper,
    program: &'static str,
    answers: impl AsyncFn() -> bool,
) -> Result<(), LabError> {
    keeper.start()?;
    let deadline = Instant::now() + READY_WITHIN;
    while !answers().await {
        if !keeper.is_alive() {
            return Err(LabError::Ended { program, last_words: keeper.last_words() });
        }
        if Instant::now() > deadline {
            let last_words = keeper.last_words();
            return Err(LabError::NotReady { program, within: READY_WITHIN, last_words });
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
    Ok(())
}
