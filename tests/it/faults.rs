//! The fault matrix: three engines over one L2 that is real and fails, under load.
//!
//! Every run of the tests runs some cells of each L2, others each day; `scripts/faults` runs all.

use std::time::Duration;

use forewarm::Clock;
use parking_lot::Mutex;

use self::cell::Cell;
use self::fault::Fault;
use self::load::Load;
use self::store::{Kind, far};

mod cell;
mod fault;
mod load;
mod machine;
mod node;
mod oracle;
mod outcome;
mod recovery;
mod store;

/// Says which cells run: `all`, or those that the number chooses that it is; without it, those of
/// the number of today.
const CELLS: &str = "FOREWARM_FAULTS";

/// How many cells of an L2 run if not all do.
const SOME: usize = 8;

/// The coherence window of all cells, short so that they are.
const WINDOW: Duration = Duration::from_millis(500);

/// Cells judge by time: they run one after another, whichever test they are of.
static TURN: Mutex<()> = Mutex::new(());

#[test]
fn nothing_is_stale_whatever_happens_to_an_sqlite_file() {
    run(Kind::Sqlite);
}

#[test]
fn nothing_is_stale_whatever_happens_to_a_postgres_server() {
    run(Kind::Postgres);
}

#[test]
fn nothing_is_stale_whatever_happens_to_a_redis_server() {
    run(Kind::Redis);
}

/// The network of the kernel itself, which falls silent without a word and goes on in the same
/// connections.
#[test]
#[expect(clippy::print_stdout, reason = "whoever reads the output must know what was not tried")]
fn nothing_is_stale_when_the_network_of_the_kernel_falls_silent() {
    match far::is_possible() {
        Ok(()) => run(Kind::FarRedis),
        Err(why) => println!("skipped: no network of its own can be made here: {why}"),
    }
}

/// Runs all cells of an L2, or some, as is wanted.
#[expect(clippy::print_stdout, reason = "a row as soon as its cell has ended")]
fn run(kind: Kind) {
    let _turn = TURN.lock();
    let cells = match std::env::var(CELLS) {
        Ok(wanted) if wanted == "all" => all(kind),
        wanted => {
            let seed = wanted.map_or_else(|_unset| today(), |seed| seed.parse().unwrap());
            println!("these cells again: {CELLS}={seed}");
            some(kind, seed)
        }
    };
    let runtime = machine::runtime();
    println!("{}", outcome::head());
    let run = |cell: Cell| {
        let outcome = runtime.block_on(Box::pin(cell.run()));
        println!("{}", outcome.row());
        // Another process may have held up the server, which nothing here can measure. What is
        // stale, fails or panics is never given another chance.
        if !outcome.is_only_late() {
            return outcome;
        }
        let again = runtime.block_on(Box::pin(cell.run()));
        println!("{}", again.row());
        again
    };
    let outcomes: Vec<_> = cells.into_iter().map(run).collect();
    let wrong: Vec<_> = outcomes.iter().filter(|outcome| !outcome.is_good()).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The number of the day.
fn today() -> u64 {
    let secs = Clock::system().wall().as_second();
    u64::try_from(secs / (24 * 60 * 60)).unwrap()
}

fn all(kind: Kind) -> Vec<Cell> {
    let faults = Fault::all(kind).into_iter();
    faults.flat_map(|fault| Load::ALL.map(|load| Cell { kind, fault, load })).collect()
}

/// Different cells, of as many faults and loads as there are.
fn some(kind: Kind, seed: u64) -> Vec<Cell> {
    let mut faults = Fault::all(kind);
    faults.retain(|fault| !fault.is_long());
    // Others for each L2.
    let mut random = fastrand::Rng::with_seed(seed ^ ((kind as u64) << 32));
    random.shuffle(&mut faults);
    let first = random.usize(..Load::ALL.len());
    let count = SOME.min(faults.len() * if kind == Kind::FarRedis { 1 } else { Load::ALL.len() });
    let cell = |nth: usize| {
        let fault = faults[nth % faults.len()];
        // Another load when the same fault comes again.
        let load = Load::ALL[(first + nth + nth / faults.len()) % Load::ALL.len()];
        Cell { kind, fault, load }
    };
    (0..count).map(cell).collect()
}

#[test]
fn the_cells_of_a_day_are_different_ones_and_those_of_days_are_all() {
    for kind in [Kind::Sqlite, Kind::Postgres, Kind::Redis] {
        let mut seen = std::collections::BTreeSet::new();
        for day in 0..100 {
            let cells = some(kind, day).into_iter().map(|cell| format!("{cell:?}"));
            let cells: std::collections::BTreeSet<_> = cells.collect();
            assert_eq!(cells.len(), SOME, "{day}");
            seen.extend(cells);
        }
        let short = all(kind).into_iter().filter(|cell| !cell.fault.is_long()).count();
        assert_eq!(seen.len(), short, "{kind:?}");
    }
}
