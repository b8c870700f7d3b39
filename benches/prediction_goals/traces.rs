//! The recorded requests that are replayed.

use crate::setting::{Setting, Source};

pub(crate) const NASA: &str = "nasa_19950801";
pub(crate) const SDSC: &str = "sdsc_http_19950822";
pub(crate) const WIKISPEEDIA: &str = "wikispeedia_unfinished";
pub(crate) const APACHE: &str = "apache_semicomplete";
pub(crate) const ERDDAP: &str = "erddap";
pub(crate) const ANONREVIEWS: &str = "anonreviews";
pub(crate) const CLOUDPHYSICS: &str = "cloudphysics_io";
pub(crate) const WEB12: &str = "seq_cache2k_web12";
pub(crate) const WEB07: &str = "seq_cache2k_web07";
pub(crate) const CORDA: &str = "seq_corda_vaultservice";
pub(crate) const ORM: &str = "seq_cache2k_orm_busy_1M";
pub(crate) const SCARAB: &str = "seq_scarab_recs";
pub(crate) const W106: &str = "seq_cloudphysics_w106_2M";

/// Shares of the different keys, in percent.
pub(crate) const SIZES: [u32; 3] = [1, 5, 10];

/// How much is replayed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Scope {
    Everything,
    /// Two small traces.
    Quick,
}

impl Scope {
    fn has(self, trace: &str) -> bool {
        self == Self::Everything || [NASA, SDSC].contains(&trace)
    }

    /// The traces with times and the ttls, in seconds, under which something expires and something
    /// does not.
    pub(crate) fn with_ttls(self) -> Vec<Setting> {
        const ALL: [(&str, &[u32]); 6] = [
            (NASA, &[60, 300, 3_600]),
            (SDSC, &[60, 300, 3_600]),
            // Its minutes are made up.
            (APACHE, &[3_600]),
            (ERDDAP, &[300, 3_600]),
            (WIKISPEEDIA, &[3_600, 86_400]),
            (ANONREVIEWS, &[3_600, 86_400]),
        ];
        let here = ALL.into_iter().filter(|(trace, _ttls)| self.has(trace));
        here.flat_map(|(trace, ttls)| ttls.iter().map(move |ttl| Setting::with_ttl(trace, *ttl)))
            .collect()
    }

    /// The traces under every size. Anonreviews has too few keys for that.
    pub(crate) fn with_sizes(self) -> Vec<Setting> {
        const ALL: [&str; 12] = [
            NASA,
            SDSC,
            WIKISPEEDIA,
            APACHE,
            ERDDAP,
            CLOUDPHYSICS,
            WEB12,
            WEB07,
            CORDA,
            ORM,
            SCARAB,
            W106,
        ];
        sized(ALL.into_iter().filter(|trace| self.has(trace)).map(Source::Trace))
    }

    /// Where there is nothing to predict, or nearly so.
    pub(crate) fn unpredictable(self) -> Vec<Setting> {
        let traces = [WEB07, WEB12, WIKISPEEDIA, CORDA].into_iter().filter(|trace| self.has(trace));
        let made_up = ["uniform", "one-hit", "loop"].map(Source::Synthetic);
        let made_up = made_up.into_iter().filter(|_| self == Self::Everything);
        sized(traces.map(Source::Trace).chain(made_up))
    }
}

/// Every source under every size.
fn sized(sources: impl Iterator<Item = Source>) -> Vec<Setting> {
    let under_sizes = |source| SIZES.map(|percent| Setting::with_capacity(source, percent));
    sources.flat_map(under_sizes).collect()
}

/// About how many requests a source has, to tell how long it takes.
pub(crate) fn requests(source: Source) -> u64 {
    const ALL: [(&str, u64); 13] = [
        (NASA, 30_297),
        (SDSC, 25_050),
        (WIKISPEEDIA, 129_295),
        (APACHE, 9_581),
        (ERDDAP, 9_466),
        (ANONREVIEWS, 578_805),
        (CLOUDPHYSICS, 113_872),
        (WEB12, 95_607),
        (WEB07, 76_118),
        (CORDA, 135_702),
        (ORM, 1_000_000),
        (SCARAB, 1_245_184),
        (W106, 2_000_000),
    ];
    let known = ALL.into_iter().find(|(name, _requests)| *name == source.name());
    known.map_or(200_000, |(_name, requests)| requests)
}
