//! How a capacity is divided.

/// How the capacity is divided, in its own unit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shares {
    pub(crate) hot: u64,
    /// The part of the hot segment that guesses have before entries that were asked for.
    pub(crate) staged: u64,
    pub(crate) main: u64,
}

impl Shares {
    /// Divides a capacity. What is preloaded has room of its own only if anything is preloaded.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "shares of a capacity"
    )]
    pub(crate) fn of(capacity: u64, hot_share: f64, staging_share: f64) -> Self {
        let share = |share: f64| ((capacity as f64 * share).round() as u64).min(capacity);
        let hot = share(hot_share).max(1);
        let staged = if staging_share > 0.0 { share(staging_share).max(8).min(hot / 4) } else { 0 };
        let staged = staged.min(hot.saturating_sub(1));
        Self { hot, staged, main: capacity.saturating_sub(hot) }
    }
}
