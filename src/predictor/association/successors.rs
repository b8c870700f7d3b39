//! What was read soon after a key.

use super::NodeId;

/// The keys that were read soon after another, with their weights: how often each was.
///
/// When a ninth comes, the lightest loses what the newcomer weighs, and is replaced when nothing
/// is left (Misra and Gries, "Finding repeated elements", 1982), so a weight is never too large,
/// and an error makes a successor look less likely than it is.
///
/// Those that came only from afar live on what the near ones leave: they lose first, and a far
/// newcomer takes nothing from a near one. So to look further back costs the near ones nothing.
#[derive(Clone, Debug)]
pub(super) struct Successors {
    held: [Successor; SUCCESSORS],
    count: u8,
    /// A bit for each that came only from afar.
    far: u8,
}

#[derive(Clone, Copy, Debug)]
struct Successor {
    to: NodeId,
    weight: f32,
}

/// How many reads after another one came.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Distance {
    Near,
    Far,
}

/// The successors that a node remembers.
pub(crate) const SUCCESSORS: usize = 8;

impl Successors {
    pub(super) const fn new() -> Self {
        let none = Successor { to: NodeId::new(0, 0), weight: 0.0 };
        Self { held: [none; SUCCESSORS], count: 0, far: 0 }
    }

    pub(super) fn len(&self) -> usize {
        usize::from(self.count)
    }

    /// The keys, with their weights, and how near they came at best.
    pub(super) fn iter(&self) -> impl Iterator<Item = (NodeId, f32, Distance)> {
        let held = self.held.iter().take(self.len()).enumerate();
        held.map(|(place, held)| (held.to, held.weight, self.distance(place)))
    }

    pub(super) fn decay(&mut self, factor: f32) {
        for successor in &mut self.held {
            successor.weight *= factor;
        }
    }

    /// Notes that `to` was read after, and gives how it was known before, if it was.
    pub(super) fn link(&mut self, to: NodeId, distance: Distance) -> Option<Distance> {
        let place = self.place(to);
        if let Some(known) = self.held.get_mut(place).filter(|_| place < usize::from(self.count)) {
            known.weight += 1.0;
            let was = self.distance(place);
            if distance == Distance::Near {
                self.far &= !(1 << place);
            }
            return Some(was);
        }
        let place = self.make_room(distance)?;
        *self.held.get_mut(place)? = Successor { to, weight: 1.0 };
        match distance {
            Distance::Near => self.far &= !(1 << place),
            Distance::Far => self.far |= 1 << place,
        }
        None
    }

    /// Adds what an earlier process knew of a key that was read after, if there is room.
    pub(super) fn recall(&mut self, to: NodeId, weight: f32, distance: Distance) {
        let count = self.len();
        if let Some(known) = self.held.iter_mut().take(count).find(|known| known.to == to) {
            known.weight += weight;
        } else if let Some(slot) = self.held.get_mut(count).filter(|_| weight > 0.0) {
            *slot = Successor { to, weight };
            self.count += 1;
            if distance == Distance::Far {
                self.far |= 1 << count;
            } else {
                self.far &= !(1 << count);
            }
        }
    }

    /// The place of a key, or one that is not taken. All are compared at once, which costs less than
    /// to stop at the right one.
    fn place(&self, to: NodeId) -> usize {
        let is_it = (0..).zip(&self.held).map(|(place, held)| u32::from(held.to == to) << place);
        is_it.sum::<u32>().trailing_zeros() as usize
    }

    /// The place for a newcomer: a free one, or that of the lightest, once nothing is left of it.
    fn make_room(&mut self, distance: Distance) -> Option<usize> {
        let free = self.len();
        if free < SUCCESSORS {
            self.count += 1;
            return Some(free);
        }
        let losing = if self.far == 0 && distance == Distance::Near { u8::MAX } else { self.far };
        let losers = self.held.iter().enumerate().filter(|(place, _)| losing & (1 << place) != 0);
        let weights = losers.map(|(place, held)| (place, held.weight));
        let (place, _) = weights.reduce(|a, b| if b.1 < a.1 { b } else { a })?;
        let lightest = self.held.get_mut(place)?;
        lightest.weight -= 1.0;
        (lightest.weight <= 0.0).then_some(place)
    }

    const fn distance(&self, place: usize) -> Distance {
        if self.far & (1 << place) == 0 { Distance::Near } else { Distance::Far }
    }
}

#[cfg(test)]
mod tests {
    use super::Distance::{Far, Near};
    use super::*;

    fn id(place: u32) -> NodeId {
        NodeId::new(place, 0)
    }

    fn known(successors: &Successors) -> Vec<(u32, f32, Distance)> {
        let known = successors
            .iter()
            .map(|(to, weight, distance)| (u32::try_from(to.place()).unwrap(), weight, distance));
        known.collect()
    }

    #[test]
    fn what_came_from_afar_and_then_near_is_near_from_then_on() {
        let mut successors = Successors::new();
        let steps = [(Far, None), (Far, Some(Far)), (Near, Some(Far)), (Far, Some(Near))];
        for (distance, was) in steps {
            assert_eq!(successors.link(id(1), distance), was);
        }
        assert_eq!(known(&successors), [(1, 4.0, Near)]);
    }

    #[test]
    fn far_ones_take_nothing_from_near_ones_and_give_way_to_them() {
        let mut successors = Successors::new();
        (0..7).for_each(|near| {
            successors.link(id(near), Near);
        });
        (0..2).for_each(|_| {
            successors.link(id(7), Far);
        });
        (100..200).for_each(|far| {
            successors.link(id(far), Far);
        });
        let near: Vec<_> = (0..7).map(|near| (near, 1.0, Near)).collect();
        assert_eq!(known(&successors)[..7], near);
        assert_eq!(known(&successors)[7].2, Far);
        successors.link(id(8), Near);
        assert!(known(&successors).iter().all(|known| known.2 == Near));
        (100..200).for_each(|far| {
            successors.link(id(far), Far);
        });
        assert_eq!(known(&successors)[..7], near);
    }
}
