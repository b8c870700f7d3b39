//! What was seen to happen, so that a run which missed what it is about is not taken for proof.

/// Something worth knowing that it happened.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Event {
    L1Hit,
    L2Hit,
    Joined,
    Rejoined,
    Replaced,
    FillStored,
    FillRefused,
    Unstored,
    ServedStale,
    GateClosed,
    TimedOut,
    ExecutedLate,
    PutStored,
    PutRefused,
    NewLife,
    Gap,
    RowsApplied,
    Breach,
}

impl Event {
    const ALL: [Self; 18] = [
        Self::L1Hit,
        Self::L2Hit,
        Self::Joined,
        Self::Rejoined,
        Self::Replaced,
        Self::FillStored,
        Self::FillRefused,
        Self::Unstored,
        Self::ServedStale,
        Self::GateClosed,
        Self::TimedOut,
        Self::ExecutedLate,
        Self::PutStored,
        Self::PutRefused,
        Self::NewLife,
        Self::Gap,
        Self::RowsApplied,
        Self::Breach,
    ];

    /// What happened, in a few words.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::L1Hit => "L1 hit",
            Self::L2Hit => "L2 hit",
            Self::Joined => "joined a flight",
            Self::Rejoined => "loaded again for a joiner",
            Self::Replaced => "replaced a flight",
            Self::FillStored => "fill stored",
            Self::FillRefused => "fill refused",
            Self::Unstored => "poisoned flight not stored",
            Self::ServedStale => "stale served on error",
            Self::GateClosed => "gate closed",
            Self::TimedOut => "change queued",
            Self::ExecutedLate => "late request executed",
            Self::PutStored => "put stored",
            Self::PutRefused => "put refused",
            Self::NewLife => "new life of L2",
            Self::Gap => "gap",
            Self::RowsApplied => "rows applied",
            Self::Breach => "BREACH",
        }
    }
}

/// A set of events.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Seen(pub(crate) u32);

impl Seen {
    pub(crate) const fn add(&mut self, event: Event) {
        self.0 |= 1 << event as u32;
    }

    /// What is in either.
    pub(crate) const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(crate) const fn has(self, event: Event) -> bool {
        self.0 & 1 << event as u32 != 0
    }

    /// The events, but for the breach, which every report tells by itself.
    pub(crate) fn labels(self) -> Vec<&'static str> {
        let is_told = |event: &Event| self.has(*event) && *event != Event::Breach;
        Event::ALL.into_iter().filter(is_told).map(Event::label).collect()
    }
}
