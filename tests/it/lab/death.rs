//! What is left when the process that has started a server dies.

use std::env;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use forewarm::lab::{PostgresOptions, PostgresServer, RedisOptions, RedisServer};

/// Set where the test below is the process that is going to die.
const VICTIM: &str = "FOREWARM_LAB_VICTIM";

#[tokio::test]
async fn servers_end_with_the_process_that_started_them_even_if_it_is_killed() {
    if env::var_os(VICTIM).is_some() {
        hold_servers().await;
        return;
    }
    let mut victim = Command::new(env::current_exe().unwrap());
    victim.args([
        "--exact",
        "--nocapture",
        concat!(
            "lab::death::",
            "servers_end_with_the_process_that_started_them_even_if_it_is_killed"
        ),
    ]);
    let victim = victim.env(VICTIM, "1").stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut victim = victim.spawn().unwrap();
    let lines = BufReader::new(victim.stdout.take().unwrap()).lines().map(Result::unwrap);
    let traces: Vec<PathBuf> = lines
        .map_while(|line| (line != "ready").then_some(line))
        .filter_map(|line| line.split_once("trace=").map(|(_, path)| path.into()))
        .collect();
    assert_eq!(traces.len(), 4);
    assert!(traces.iter().all(|path| path.exists()), "{traces:?}");
    victim.kill().unwrap();
    victim.wait().unwrap();
    super::until(|| !traces.iter().any(|path| path.exists())).await;
}

/// Starts servers, tells what there is to be seen of them, and waits for the end.
async fn hold_servers() {
    let redis = RedisServer::launch(RedisOptions::default()).await.unwrap();
    let postgres = PostgresServer::launch(PostgresOptions::default()).await.unwrap();
    // A stopped process cannot end by itself.
    postgres.freeze().unwrap();
    let mut said = String::new();
    for (pid, directory) in
        [(redis.pid(), redis.directory()), (postgres.pid(), postgres.directory())]
    {
        said += &format!("\ntrace=/proc/{}\ntrace={}", pid.unwrap(), directory.display());
    }
    std::io::stdout().write_all(format!("{said}\nready\n").as_bytes()).unwrap();
    std::io::stdout().flush().unwrap();
    std::io::stdin().read_line(&mut String::new()).unwrap();
}
