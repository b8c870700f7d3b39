//! What makes no difference any more is forgotten, so that fewer states are told apart.
//!
//! Each step here must be without a trace in everything that may follow: it joins states, and would
//! otherwise hide what only some of them lead to.

use crate::l2::{L2, Mark, Selector};
use crate::protocol::Mechanism;
use crate::scenario::Form;
use crate::state::{Age, ChangeStep, GetStep, NODES, Node, PollStep};
use crate::turn::Turn;

impl Turn<'_> {
    pub(crate) fn settle(&mut self) {
        self.settle_changes();
        self.settle_nodes();
        let gets = &self.state.gets;
        let is_held = |holder: u8| gets[usize::from(holder)].has_permit;
        self.state.l2.permit = self.state.l2.permit.filter(|permit| is_held(permit.holder));
        if self.protocol.has(Mechanism::PermitNotCounter) {
            self.state.l2.generation = 0;
        }
        self.settle_log();
        self.state.l2.settle(self.protocol);
        if self.state.budget.failovers == 0 {
            self.state.standby = L2::default();
            self.state.budget.replications = 0;
        }
    }

    /// Changes are told to those only who come later.
    fn settle_changes(&mut self) {
        if self.state.changes.iter().all(|change| change.step == ChangeStep::Done) {
            self.state.budget.timeouts = 0;
        }
        let may_start = self.state.gets.iter().any(|get| get.step == GetStep::Idle);
        for change in &mut self.state.changes {
            if !may_start {
                change.has_returned = false;
                change.is_applied = false;
                change.age = Age::ZERO;
            }
            if change.step == ChangeStep::Done && !change.is_late {
                change.since = Mark::default();
                if !change.has_returned && !change.is_applied {
                    change.version = 0;
                }
            }
        }
    }

    fn settle_nodes(&mut self) {
        for (at, node) in (0..NODES).zip(0..) {
            let (is_deserted, has_puts) = (self.is_deserted(node), self.has_puts(node));
            let held = &mut self.state.nodes[at];
            let epoch = held.epoch;
            held.entry = held.entry.filter(|entry| entry.epoch == epoch);
            if is_deserted {
                *held = Node { is_connected: held.is_connected, ..Node::default() };
            } else if held.polls_left == 0 && held.poll.step == PollStep::Resting && !has_puts {
                held.cursor = Mark::default();
            }
        }
    }

    /// Whether nobody is at work on a node who would look at anything there, but for its
    /// connection.
    fn is_deserted(&self, node: u8) -> bool {
        let mut gets = self.state.gets.iter().zip(&self.scenario.gets);
        let mut changes = self.state.changes.iter().zip(&self.scenario.changes);
        gets.all(|(get, spec)| {
            spec.node != node || matches!(get.step, GetStep::Done | GetStep::Filling)
        }) && changes.all(|(change, spec)| {
            spec.node != node || change.step == ChangeStep::Done && !change.is_late
        })
    }

    /// Whether there are puts that will be compared with the cursor of their node.
    fn has_puts(&self, node: u8) -> bool {
        let mut changes = self.state.changes.iter().zip(&self.scenario.changes);
        changes.any(|(change, spec)| {
            let is_over = change.step == ChangeStep::Done && !change.is_late;
            spec.node == node && spec.form == Form::Put && !is_over
        })
    }

    /// Rows that nobody will read again need not be told apart, nor places that nothing is
    /// compared with.
    fn settle_log(&mut self) {
        if self.scenario.needs_log() {
            let read = self.read_by_all();
            self.state.l2.forget_rows(read);
            return;
        }
        let l2 = &mut self.state.l2;
        l2.forget_rows(l2.length);
        let has_groups =
            self.scenario.changes.iter().any(|change| change.selector == Selector::Group);
        if !has_groups {
            l2.length = 0;
        }
    }

    /// Up to where the log has been read by all who read it. Those of an earlier life find a gap.
    fn read_by_all(&self) -> u8 {
        let l2 = &self.state.l2;
        let mut read = l2.length;
        let is_any = !self.has(Mechanism::LifeOfValues);
        let mut heed = |mark: Mark| {
            if mark.life == l2.life || is_any {
                read = read.min(mark.position);
            }
        };
        for node in &self.state.nodes {
            heed(node.cursor);
            if matches!(node.poll.step, PollStep::Answered | PollStep::Renewed) {
                heed(node.poll.mark);
            }
            // Messages are compared with the rows that they tell of.
            if node.messages != 0 {
                heed(Mark { life: l2.life, position: 0 });
            }
        }
        self.state.changes.iter().for_each(|change| heed(change.since));
        read
    }
}

#[cfg(test)]
mod tests {
    use crate::chance::Chance;
    use crate::model::World;
    use crate::state::State;
    use crate::{all_removals, walk};

    /// Walks through the world in which nothing is forgotten, and takes the same steps in the one
    /// in which it is. Gives what both come to.
    fn walk_both(world: &World, chance: &mut Chance) -> [State; 2] {
        let (mut whole, mut settled) = (world.first(), world.first());
        let (mut actions, mut known) = (Vec::new(), Vec::new());
        loop {
            actions.clear();
            world.possible(&whole, &mut actions);
            let next = loop {
                let Some(action) = chance.take(&mut actions) else { break None };
                let mut turn = world.turn(&whole);
                turn.take(action);
                if turn.state != whole {
                    break Some((action, turn.state));
                }
            };
            let Some((action, after)) = next else { return [whole, settled] };
            known.clear();
            world.possible(&settled, &mut known);
            if known.contains(&action) {
                settled = world.after(&settled, action).map_or(settled, |(after, _)| after);
            }
            whole = after;
        }
    }

    #[test]
    fn what_is_forgotten_hides_nothing() {
        let mut breaches = 0;
        for removal in all_removals() {
            for seed in 0..400 {
                let mut chance = Chance::of(seed);
                let world = World::new(walk::scenario(&mut chance), removal.protocol());
                let [whole, settled] = walk_both(&world, &mut chance);
                assert_eq!(whole.breach, settled.breach, "{} with seed {seed}", removal.label);
                breaches += u32::from(whole.breach.is_some());
            }
        }
        assert!(breaches > 10, "only {breaches} walks show anything");
    }
}
