//! The same scenarios with more in them, under the whole protocol only: what it cannot be without
//! shows in the small ones.

use super::{A, B};
use crate::l2::Selector::{Group, Key};
use crate::scenario::{Form, Scenario};
use crate::state::Faults;

pub(super) fn all() -> Vec<Scenario> {
    [keys(), groups_and_puts()].concat()
}

fn keys() -> Vec<Scenario> {
    let s1 = Scenario::new("S1+", "S1 with four gets and two invalidations")
        .gets(&[A, A, A, A])
        .preloads(&[A])
        .invalidations(&[A, A], Key);
    let s2 = Scenario::new("S2+", "S2 with a preload, and an invalidation by each node")
        .gets(&[A, A, B, B])
        .preloads(&[A])
        .invalidations(&[A, B], Key);
    let s3 = Scenario::new("S3+", "S3 with three gets and two invalidations")
        .gets(&[A, A, A])
        .invalidations(&[B, B], Key)
        .polls([1, 0])
        .window(1);
    let s3p = Scenario::new("S3p+", "S3 with two invalidations and two polls")
        .gets(&[A, A])
        .invalidations(&[B, B], Key)
        .polls([2, 0])
        .window(1);
    let s4 = Scenario::new("S4+", "S4 with a reader at B, who polls too")
        .gets(&[A, B])
        .invalidations(&[A], Key)
        .polls([1, 1])
        .window(1)
        .faults(Faults { timeouts: 1, ..Faults::default() })
        .asks_time_out();
    let s4b = Scenario::new("S4b+", "S4b with two invalidations and two polls")
        .gets(&[A, A])
        .invalidations(&[B, B], Key)
        .polls([2, 0])
        .window(1)
        .asks_time_out();
    let s5 = Scenario::new("S5+", "S5 with two invalidations, expiries and errors")
        .gets(&[A, A, B, B])
        .invalidations(&[A, B], Key)
        .faults(Faults { errors: 2, expiries: 2, ..Faults::default() });
    let s6 = Scenario::new("S6+", "S6 with an invalidation by each node")
        .gets(&[A, A])
        .invalidations(&[A, B], Key)
        .polls([1, 0])
        .window(1)
        .faults(Faults { failovers: 1, replications: 1, ..Faults::default() });
    vec![s1, s2, s3, s3p, s4, s4b, s5, s6]
}

fn groups_and_puts() -> Vec<Scenario> {
    let s8 = Scenario::new("S8+", "S8 with two nodes and an invalidation of the group by each")
        .gets(&[A, A, B])
        .invalidations(&[A, B], Group)
        .faults(Faults { forgotten: 1, ..Faults::default() });
    let s8b = Scenario::new("S8b+", "S8b with two invalidations and two polls")
        .gets(&[A, A])
        .invalidations(&[A, B], Group)
        .polls([2, 0])
        .window(1)
        .faults(Faults { forgotten: 1, ..Faults::default() });
    let s9w = Scenario::new("S9w+", "S9 with a clock")
        .gets(&[A, B])
        .change(A, Key, Form::Put)
        .invalidations(&[B], Key)
        .polls([1, 0])
        .window(1);
    let s9 = Scenario::new("S9+", "both nodes put, one invalidates, and an answer is late")
        .gets(&[A, B])
        .change(A, Key, Form::Put)
        .change(B, Key, Form::Put)
        .invalidations(&[A], Key)
        .polls([1, 0])
        .faults(Faults { timeouts: 1, ..Faults::default() });
    let s10 = Scenario::new("S10+", "S10 with two polls, and an invalidation by the other node")
        .gets(&[A, A])
        .change(A, Key, Form::Transaction)
        .invalidations(&[B], Key)
        .polls([2, 0])
        .window(1);
    vec![s8, s8b, s9w, s9, s10]
}
