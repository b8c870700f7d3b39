//! The examples of data access, run as people run them.

use std::path::PathBuf;
use std::process::Command;

/// Where cargo puts the examples: beside the command. It builds them for a run of all tests; for one
/// of these tests alone, `cargo build --examples` does.
fn built(example: &str) -> PathBuf {
    let command = PathBuf::from(env!("CARGO_BIN_EXE_forewarm"));
    let path = command.with_file_name("examples").join(example);
    assert!(path.exists(), "not built: `cargo build --all-features --example {example}`");
    path
}

/// What an example prints.
fn output(example: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(built(example)).env("TMPDIR", folder.path()).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && said.is_empty(), "{said}");
    assert_eq!(folder.path().read_dir().unwrap().count(), 0, "it leaves nothing");
    String::from_utf8(output.stdout).unwrap()
}

/// C38: one query for all reads; a committed change is seen by the next read, one that was rolled
/// back changes nothing; after a change of address the old one misses and the new one hits.
#[test]
fn the_repository_of_users_asks_once_for_all_its_reads() {
    let expected = "\
        1000 reads of ada@example.com by id: 1 query\n\
        1000 reads of the same by e-mail: 0 queries\n\
        1000 reads of nobody by id: 1 query\n\
        1000 reads of nobody by e-mail: 1 query\n\
        committed true: $1.50 -> $2.75, 1 query\n\
        committed false: still $2.75, 0 queries\n\
        ada@example.com: user 1, lovelace@example.com: nobody\n\
        moved: ada@example.com: nobody, lovelace@example.com: user 1\n\
        admin: true, false\n";
    assert_eq!(output("user_repository"), expected);
}

/// C09, S3-02: what was learned of others is in memory for who was never seen, and without
/// predictions it is not.
#[test]
fn the_chat_finds_in_memory_what_a_new_user_reads_next() {
    let output = output("chat_preloader");
    let row = |name: &str| -> [usize; 3] {
        let line = output.lines().find(|line| line.starts_with(name)).unwrap();
        let numbers = line.split_whitespace().skip(1).map(|number| number.parse().unwrap());
        numbers.collect::<Vec<_>>().try_into().unwrap()
    };
    for name in ["permissions", "relationship", "messages"] {
        let [off, learned, declared] = row(name);
        // Of twenty; one may come late where the machine is busy.
        assert!(off == 0 && learned >= 18 && declared >= 18, "{name}\n{output}");
    }
    let [off, learned, declared] = row("stream");
    assert!(off == 0 && learned == 0 && declared >= 18, "{output}");
    assert_eq!(row("person"), [0, 0, 0]);
    for line in [
        "after stream, messages (100 %)",
        "one call preloads 5 things",
        "one call reads them: 0 misses",
        "person 7, 50 newest messages, first: hello 60",
    ] {
        assert!(output.contains(line), "{line}\n{output}");
    }
}
