//! A process of the service.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Starts the service in a folder with these settings, which have it log JSON; gives the address at which
/// it listens.
pub(super) fn serve(folder: &Path, settings: &str) -> (Child, String) {
    std::fs::write(folder.join("forewarm.toml"), settings).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_forewarm"));
    command.arg("serve").current_dir(folder).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let address = lines.find_map(|line| {
        let event: serde_json::Value = serde_json::from_str(&line.unwrap()).unwrap();
        event["address"].as_str().map(str::to_owned)
    });
    // Somebody has to read what it logs.
    std::thread::spawn(move || lines.for_each(drop));
    (child, address.unwrap())
}
