//! What the nodes took of the machine, and whether it grew.

use serde::Serialize;

use super::history::Member;
use super::samples::Sample;

/// What the nodes took of the machine, over the time of a run.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Usage {
    /// The nodes that lived through more than half of the run.
    pub(super) nodes: Vec<Taken>,
    /// Those that were started again later than that.
    pub(super) too_young: Vec<Member>,
}

/// What a node took in its last life.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Taken {
    pub(super) member: Member,
    /// How many seconds of the run it has lived through.
    pub(super) seconds: f64,
    pub(super) resident_mib: Course,
    pub(super) handles: Course,
    pub(super) tasks: Course,
    /// How much its memory grew in ten minutes, in percent, by least squares over what came after
    /// the first tenth.
    pub(super) growth: Option<f64>,
}

/// A figure when a tenth of the time had passed, and at the end: the median of a twentieth of the
/// time.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Course {
    pub(super) early: f64,
    pub(super) late: f64,
}

const MIB: f64 = 1_048_576.0;
const GROWTH_SECONDS: f64 = 600.0;

impl Usage {
    /// What there is to say of nodes of which each life has these samples, of a run from `began` to
    /// `ended`.
    pub(super) fn of(lives: &[(Member, Vec<Sample>)], began: u64, ended: u64) -> Self {
        let mut usage = Self::default();
        for (member, samples) in lives {
            let is_last =
                |(other, _): &&(Member, _)| other.node == member.node && other.life > member.life;
            if lives.iter().any(|life| is_last(&life)) {
                continue;
            }
            let within = |sample: &&Sample| (began..=ended).contains(&sample.at);
            let samples: Vec<_> = samples.iter().filter(within).copied().collect();
            let since = if member.life == 0 {
                began
            } else {
                samples.first().map_or(ended, |sample| sample.at)
            };
            if (ended - since) * 2 <= ended - began {
                usage.too_young.push(*member);
            } else if let Some(taken) = Taken::of(*member, &samples, since, ended) {
                usage.nodes.push(taken);
            }
        }
        usage
    }
}

impl Taken {
    fn of(member: Member, samples: &[Sample], since: u64, ended: u64) -> Option<Self> {
        let span = ended - since;
        let settled = samples.partition_point(|sample| sample.at < since + span / 10);
        let settled = samples.get(settled..)?;
        let early = settled.partition_point(|sample| sample.at < since + span / 20 * 3).max(1);
        let late = settled.partition_point(|sample| sample.at < ended - span / 20);
        // The last one counts, however long before the end it was taken.
        let late = late.min(settled.len().checked_sub(1)?);
        let (early, late) = (settled.get(..early)?, settled.get(late..)?);
        let course = |figure: fn(&Sample) -> f64| {
            Some(Course { early: median(early, figure)?, late: median(late, figure)? })
        };
        let resident_mib = course(resident_mib)?;
        let slope = slope(settled);
        Some(Self {
            member,
            seconds: seconds(span),
            resident_mib,
            handles: course(|sample| float(sample.handles))?,
            tasks: course(|sample| float(sample.tasks))?,
            growth: slope.map(|slope| slope * GROWTH_SECONDS / resident_mib.early * 100.0),
        })
    }
}

fn median(samples: &[Sample], figure: fn(&Sample) -> f64) -> Option<f64> {
    let mut figures: Vec<_> = samples.iter().map(figure).collect();
    figures.sort_unstable_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied()
}

/// By how many MiB a second the memory grew, by least squares.
fn slope(samples: &[Sample]) -> Option<f64> {
    let first = samples.first()?.at;
    let points = || samples.iter().map(|of| (seconds(of.at - first), resident_mib(of)));
    let count = float(samples.len() as u64);
    let (x_sum, y_sum) = points().fold((0.0, 0.0), |sum, point| (sum.0 + point.0, sum.1 + point.1));
    let (x_mean, y_mean) = (x_sum / count, y_sum / count);
    let (mut together, mut spread) = (0.0, 0.0);
    for (x, y) in points() {
        together += (x - x_mean) * (y - y_mean);
        spread += (x - x_mean) * (x - x_mean);
    }
    (spread > 0.0).then(|| together / spread)
}

fn resident_mib(sample: &Sample) -> f64 {
    float(sample.resident) / MIB
}

fn seconds(nanos: u64) -> f64 {
    float(nanos) / 1e9
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
const fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    /// A node that takes 100 MiB at first and one more each minute; a sample a second.
    fn growing(from: u64, until: u64) -> Vec<Sample> {
        let sample = |at: u64| {
            let resident = (100 << 20) + (at - from) * (1 << 20) / 60;
            Sample { at: at * SECOND, resident, handles: 20, tasks: 30 + at / 600 }
        };
        (from..until).map(sample).collect()
    }

    fn member(node: u32, life: u32) -> Member {
        Member { node, life }
    }

    #[test]
    fn growth_is_told_from_a_tenth_of_the_time_on() {
        let mut samples = growing(0, 600);
        // What is taken while it begins is no growth.
        samples[0].resident = 1;
        let usage = Usage::of(&[(member(0, 0), samples)], 0, 600 * SECOND);
        let taken = usage.nodes[0];
        let Course { early, late } = taken.resident_mib;
        assert!((early - 101.25).abs() < 0.1 && (late - 109.75).abs() < 0.1, "{taken:?}");
        let growth = taken.growth.unwrap();
        assert!((growth - 10.0 / 101.25 * 100.0).abs() < 0.1, "{growth}");
        assert!((taken.handles.early, taken.tasks.late) == (20.0, 30.0), "{taken:?}");
    }

    #[test]
    fn a_node_that_was_started_again_counts_if_that_was_early() {
        let lives = [
            (member(0, 0), growing(0, 100)),
            (member(0, 1), growing(110, 600)),
            (member(1, 0), growing(0, 590)),
            (member(1, 1), growing(592, 600)),
            (member(2, 0), growing(0, 100)),
            (member(2, 1), Vec::new()),
        ];
        let usage = Usage::of(&lives, 0, 600 * SECOND);
        assert_eq!(usage.too_young, [member(1, 1), member(2, 1)]);
        assert_eq!(usage.nodes.len(), 1);
        let taken = usage.nodes[0];
        assert!(taken.member == member(0, 1) && (taken.seconds - 490.0).abs() < 1.0, "{taken:?}");
        assert!((taken.resident_mib.early - 100.0).abs() < 1.5, "{taken:?}");
    }
}
