//! What becomes of requests when `forewarm serve` is told to end under load: 20,000 a second, say.
//!
//! Clients ask at a pace of their own, whatever comes back: most over connections that they keep, one in
//! twenty over a new one. Half way, L2 is locked and misses invalidations; then the service gets
//! SIGTERM. It counts the requests that were sent as a whole and not answered, looks how long the end
//! took, and starts the service again to see whether L2 has heard of the invalidations, and whether what
//! was read last is remembered. It ends with 1 if a request was lost, or anything of that.
//!
//! `cargo bench --features service --bench drain -- [RATE] [SECONDS]`

#![expect(clippy::print_stdout, reason = "it prints what it measures")]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "a benchmark that cannot go on has nothing to say"
)]

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use self::clients::{Clients, Counts};
use self::server::{KEYS, Server, WRONG, lock_l2, make_database, rename_wrong, unlock_l2};

mod clients;
mod process;
mod server;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // `cargo bench -- --test` has it run once, to see that it works.
    let is_test = arguments.iter().any(|argument| argument == "--test");
    let figures: Vec<u64> = arguments.iter().filter_map(|text| text.parse().ok()).collect();
    let (rate, seconds) = if is_test { (500, 2) } else { (20_000, 10) };
    let rate = figures.first().copied().unwrap_or(rate);
    let seconds = figures.get(1).copied().unwrap_or(seconds);

    let folder = tempfile::tempdir().unwrap();
    let mut shop = make_database(folder.path()).await;
    let mut server = Server::start(folder.path());
    server.read_all().await;

    let counts = Arc::new(Counts::default());
    let clients = Clients::start(server.address(), rate, &counts);
    let half = Duration::from_secs(seconds) / 2;
    sleep(half).await;
    rename_wrong(&mut shop).await;
    let lock = lock_l2(folder.path()).await;
    let queued = server.invalidate_wrong().await;
    sleep(half).await;

    let before = counts.answered.load(Relaxed);
    let reached = before as f64 / clients.began.elapsed().as_secs_f64();
    server.tell_to_end();
    let told = Instant::now();
    sleep(Duration::from_millis(500)).await;
    unlock_l2(lock).await;
    let (status, took) = (server.ended().await, told.elapsed());
    clients.join().await;
    drop(server);

    let again = Server::start(folder.path());
    again.ready().await;
    let heard = again.count_renamed().await;
    // It counts as ready once nine in ten are warm.
    let mut remembered = again.count_held().await;
    for _ in 0..50 {
        if remembered == KEYS - WRONG {
            break;
        }
        sleep(Duration::from_millis(100)).await;
        remembered = again.count_held().await;
    }
    let load = |counter: &std::sync::atomic::AtomicU64| counter.load(Relaxed);
    let (sent, answered, lost) = (load(&counts.sent), load(&counts.answered), load(&counts.lost));
    println!("rate reached, before it was told to end   {reached:.0} of {rate} requests a second");
    println!("sent as a whole                           {sent}");
    println!(
        "answered with 200                         {answered}, {} after it was told",
        answered - before
    );
    println!("over new connections                      {}", load(&counts.over_new));
    println!("refused before anything was sent          {}", load(&counts.refused));
    println!("lost                                      {lost}");
    println!("time to end                               {:.2} s, {status}", took.as_secs_f64());
    println!("invalidations that L2 had missed          {queued}, of which it heard {heard}");
    println!("keys that were hot, and are after a start {remembered} of {}", KEYS - WRONG);
    let is_flushed = heard == WRONG && remembered == KEYS - WRONG;
    if lost == 0 && sent == answered && status.success() && is_flushed {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
