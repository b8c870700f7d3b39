//! What can be had for what, between the points that were measured.

/// Misses against loads: demand alone, and a policy under several thresholds.
#[derive(Clone, Debug)]
pub(crate) struct Front {
    demand: Point,
    points: Vec<Point>,
}

/// One replay.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Point {
    pub(crate) loads: f64,
    pub(crate) misses: f64,
}

impl Front {
    pub(crate) fn new(demand: Point, points: impl IntoIterator<Item = Point>) -> Self {
        Self { demand, points: points.into_iter().chain([demand]).collect() }
    }

    pub(crate) fn demand(&self) -> Point {
        self.demand
    }

    /// The largest share of the misses of demand alone that goes for no more than these loads;
    /// negative if the policy only does harm there.
    pub(crate) fn removed_at(&self, loads: f64) -> f64 {
        let pairs = self.points.iter().map(|point| (point.loads, point.misses));
        let misses = least(&pairs.collect::<Vec<_>>(), loads);
        1.0 - misses / self.demand.misses
    }

    /// The fewest loads for no more than these misses; infinite if no threshold gets there.
    pub(crate) fn loads_for(&self, misses: f64) -> f64 {
        let pairs = self.points.iter().map(|point| (point.misses, point.loads));
        least(&pairs.collect::<Vec<_>>(), misses)
    }
}

/// The least `y` at no more than `limit` of `x`, over all points and the lines between any two of
/// them: who wants what lies between two thresholds uses either for a part of the time.
fn least(points: &[(f64, f64)], limit: f64) -> f64 {
    let within = |point: &&(f64, f64)| point.0 <= limit;
    let at_points = points.iter().filter(within).map(|point| point.1);
    let between = points.iter().filter(within).flat_map(|near| {
        let beyond = points.iter().filter(|far| far.0 > limit);
        beyond.map(|far| near.1 + (far.1 - near.1) * (limit - near.0) / (far.0 - near.0))
    });
    at_points.chain(between).fold(f64::INFINITY, f64::min)
}
