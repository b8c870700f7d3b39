//! A model of how forewarm keeps nodes coherent.
mod change;
mod check;
mod event;
mod fault;
mod l2;
mod model;
mod poll;
mod protocol;
mod reader;
mod scenario;
mod state;
mod turn;

fn main() {
    use scenario::*; use l2::Selector::*; use protocol::*; use state::Faults;
    println!("state: {} bytes", size_of::<state::State>());
    let s9 = Scenario::new("S9", "put").gets(&[0, 1]).change(0, Key, Form::Put).change(0, Key, Form::Invalidate).window(1).faults(Faults { timeouts: 1, ..Faults::default() });
    let s9b = Scenario::new("S9b", "put other").gets(&[0, 1, 1]).change(0, Key, Form::Put).change(1, Key, Form::Invalidate).polls([1,1]).window(1);
    for (s, p, l, e) in [
        (&s9, Protocol::without(&[Mechanism::PutHeedsOwn]), "as the contract has it", Expected::Safe),
        (&s9, Protocol::FULL, "", Expected::Safe),
        (&s9b, Protocol::without(&[Mechanism::PutHeedsOwn]), "as the contract has it", Expected::Safe),
        (&s9b, Protocol::FULL, "", Expected::Safe),
    ] {
        let r = check::explore(s, p, l, e, 2);
        println!("{r:#?}");
    }
}
