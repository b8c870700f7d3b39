//! What a node takes of the machine, as it writes it down while it runs.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;

use super::history::now;

/// What a node takes at a moment.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Sample {
    /// When that is, by [`now`].
    pub(super) at: u64,
    /// The bytes of memory that are resident.
    pub(super) resident: u64,
    /// The open files and connections.
    pub(super) handles: u64,
    /// The tasks that have not ended.
    pub(super) tasks: u64,
}

/// A file to which a node writes what it takes.
#[derive(Debug)]
pub(super) struct Samples(File);

impl Samples {
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        Ok(Self(File::create(path)?))
    }

    /// Writes down what this process takes now. Where the system does not tell, nothing is written.
    pub(super) fn take(&mut self) {
        let Ok(sample) = Sample::now() else { return };
        if let Ok(line) = serde_json::to_string(&sample) {
            // One that is missing is not missed.
            drop(self.0.write_all((line + "\n").as_bytes()));
        }
    }
}

/// Reads what a node has written, but for a line that was cut off.
pub(super) fn read(path: &Path) -> Vec<Sample> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().map_while(|line| serde_json::from_str(line).ok()).collect()
}

impl Sample {
    fn now() -> io::Result<Self> {
        let handles = fs::read_dir("/proc/self/fd")?.count();
        Ok(Self {
            at: now(),
            resident: resident(&fs::read_to_string("/proc/self/status")?)
                .ok_or(io::ErrorKind::InvalidData)?,
            // The folder itself was open as well.
            handles: handles.saturating_sub(1) as u64,
            tasks: Handle::current().metrics().num_alive_tasks() as u64,
        })
    }
}

/// The bytes that are resident, by the status of a process.
fn resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn samples_are_read_as_they_were_taken_up_to_where_they_were_cut_off() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("samples");
        let mut samples = Samples::create(&path).unwrap();
        samples.take();
        let held = File::open(&path).unwrap();
        samples.take();
        drop(held);
        let taken = read(&path);
        assert_eq!(taken.len(), 2);
        assert!(taken[0].resident > 1 << 20 && taken[0].at < taken[1].at, "{taken:?}");
        assert!(taken[0].handles >= 3, "{taken:?}");
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() - 2]).unwrap();
        assert_eq!(read(&path), taken[..1]);
    }

    #[test]
    fn the_resident_bytes_are_found_in_the_status() {
        let status = "VmHWM:\t   20 kB\nVmRSS:\t   12 kB\nThreads:\t3\n";
        assert_eq!(resident(status), Some(12 * 1024));
        assert_eq!(resident("Threads:\t3\n"), None);
    }
}
