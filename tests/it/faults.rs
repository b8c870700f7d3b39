//! The fault matrix: three engines over one L2 that is real and fails, under load.
//!
//! `scripts/faults` runs all cells; `scripts/faults --some` those of each L2 that a constant seed
//! chooses. They take real time, and judge recovery by it, so they are a command of their own.

use std::time::Duration;

use self::cell::Cell;
use self::fault::Fault;
use self::load::Load;
use self::store::Kind;

mod cell;
mod fault;
mod load;
mod machine;
mod node;
mod oracle;
mod outcome;
mod recovery;
mod store;

/// Chooses the cells that run by themselves.
const SEED: u64 = 4;

/// Says which cells run: `all` or `some`.
const CELLS: &str = "FOREWARM_FAULTS";

/// The coherence window of all cells, short so that they are.
const WINDOW: Duration = Duration::from_millis(500);

#[test]
fn nothing_is_stale_whatever_happens_to_an_sqlite_file() {
    run(Kind::Sqlite, 6);
}

#[test]
fn nothing_is_stale_whatever_happens_to_a_postgres_server() {
    run(Kind::Postgres, 9);
}

#[test]
fn nothing_is_stale_whatever_happens_to_a_redis_server() {
    run(Kind::Redis, 9);
}

/// Runs `count` cells of an L2, or all of them, as is wanted.
#[expect(clippy::print_stdout, reason = "a row as soon as its cell has ended")]
fn run(kind: Kind, count: usize) {
    let cells = match std::env::var(CELLS).as_deref() {
        Ok("all") => all(kind),
        Ok(_) => some(kind, count),
        Err(_) => return println!("skipped: {CELLS} is not set, see scripts/faults"),
    };
    let runtime = machine::runtime();
    println!("{}", outcome::head());
    let run = |cell: Cell| {
        let outcome = runtime.block_on(Box::pin(cell.run()));
        println!("{}", outcome.row());
        outcome
    };
    let outcomes: Vec<_> = cells.into_iter().map(run).collect();
    let wrong: Vec<_> = outcomes.iter().filter(|outcome| !outcome.is_good()).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn all(kind: Kind) -> Vec<Cell> {
    let faults = Fault::all(kind).into_iter();
    faults.flat_map(|fault| Load::ALL.map(|load| Cell { kind, fault, load })).collect()
}

/// As many faults as loads allow, each with another load than the one before it.
fn some(kind: Kind, count: usize) -> Vec<Cell> {
    let mut faults = Fault::all(kind);
    faults.retain(|fault| !fault.is_long());
    fastrand::Rng::with_seed(SEED).shuffle(&mut faults);
    let pairs = faults.into_iter().cycle().zip(Load::ALL.into_iter().cycle());
    pairs.take(count).map(|(fault, load)| Cell { kind, fault, load }).collect()
}
