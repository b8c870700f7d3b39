//! README.md and docs/settings.md say what the crate says: settings, and the output of a replay.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use forewarm::{Config, JobPolicy, Policy};
use serde::Serialize;
use serde_json::Value;

/// A document of the project.
pub(crate) fn document(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

/// The tables whose header begins with this cell: of each its rows, of each its cells.
fn tables(text: &str, header: &str) -> Vec<Vec<Vec<String>>> {
    let header = format!("| {header} |");
    let mut tables = Vec::new();
    let mut lines = text.lines();
    while lines.any(|line| line.starts_with(&header)) {
        let rows = lines.by_ref().skip(1).take_while(|line| line.starts_with('|'));
        tables.push(rows.map(cells).collect());
    }
    tables
}

fn cells(row: &str) -> Vec<String> {
    let row = row.trim_start_matches('|').trim_end_matches('|');
    row.split('|').map(|cell| cell.trim().to_owned()).collect()
}

/// Every setting by its path, such as `source.deadline`, with its default as people write it.
fn defaults(settings: &impl Serialize) -> BTreeMap<String, String> {
    fn walk(path: &str, value: &Value, found: &mut BTreeMap<String, String>) {
        let default = match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    walk(&format!("{path}.{name}"), value, found);
                }
                return;
            }
            Value::Null => "none".to_owned(),
            Value::String(text) => text.clone(),
            Value::Number(number) => number.as_f64().unwrap().to_string(),
            other => other.to_string(),
        };
        found.insert(format!("`{}`", path.trim_start_matches('.')), default);
    }
    let mut found = BTreeMap::new();
    walk("", &serde_json::to_value(settings).unwrap(), &mut found);
    found
}

#[test]
fn the_settings_are_those_of_the_crate_with_their_defaults() {
    let tables = tables(&document("docs/settings.md"), "setting");
    let expected = [
        defaults(&Policy::default()),
        defaults(&Config::default()),
        defaults(&JobPolicy::default()),
    ];
    assert_eq!(tables.len(), expected.len());
    for (table, expected) in tables.iter().zip(expected) {
        let said: BTreeMap<_, _> =
            table.iter().map(|row| (row[0].clone(), row[1].clone())).collect();
        assert_eq!(said, expected);
        assert_eq!(table.len(), expected.len(), "a setting is listed twice");
        assert!(table.iter().all(|row| row.len() == 3 && !row[2].is_empty()));
    }
}

#[test]
fn the_knobs_of_the_readme_have_their_defaults() {
    let mut defaults = defaults(&Policy::default());
    defaults.extend(self::defaults(&Config::default()));
    let [table] = &tables(&document("README.md"), "setting")[..] else { panic!("there is one") };
    for row in table {
        assert_eq!(defaults.get(&row[0]), Some(&row[1]), "{row:?}");
    }
}

#[test]
fn a_wrong_default_and_a_missing_setting_are_noticed() {
    let text = "| setting | default | meaning |\n|---|---|---|\n| `a` | 1 | one |\n\n| setting |";
    assert_eq!(tables(text, "setting"), [vec![vec!["`a`", "1", "one"]], vec![]]);
    let found = defaults(&serde_json::json!({ "a": 1.0, "b": { "c": null, "d": "2h" } }));
    let expected = [("`a`", "1"), ("`b.c`", "none"), ("`b.d`", "2h")];
    assert_eq!(found, expected.map(|(path, text)| (path.to_owned(), text.to_owned())).into());
}

#[cfg(feature = "service")]
pub(crate) mod replay {
    use std::fmt::Write as _;
    use std::process::Command;

    use super::document;

    /// The log that the program in README.md makes, in the same arithmetic.
    pub(crate) fn log() -> String {
        let mut text = "timestamp_s,key\n".to_owned();
        let mut x = 1_u64;
        for nth in 0..20_000 {
            x = x * 16_807 % 2_147_483_647;
            let share = f64::from(u32::try_from(x).unwrap()) / 2_147_483_647.0;
            writeln!(text, "{:.1},{}", f64::from(nth) / 2.0, (500.0 * share.powi(3)).floor())
                .unwrap();
        }
        text
    }

    /// The rows of a table in borders, each with its cells but the last, which is a time that
    /// differs from run to run.
    pub(crate) fn rows(text: &str) -> Vec<Vec<&str>> {
        let rows = text.lines().filter(|line| line.starts_with('│'));
        rows.map(|row| {
            let mut cells: Vec<_> = row.trim_matches('│').split_whitespace().collect();
            cells.pop();
            cells
        })
        .collect()
    }

    #[test]
    fn the_replay_gives_the_figures_of_the_readme() {
        let readme = document("README.md");
        let line = readme.lines().find(|line| line.contains("-- replay reads.csv")).unwrap();
        let (_, options) = line.split_once("replay reads.csv").unwrap();
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("reads.csv"), log()).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_forewarm"));
        command.args(["replay", "reads.csv"]).args(options.split_whitespace());
        let output = command.current_dir(home.path()).output().unwrap();
        let output = String::from_utf8(output.stdout).unwrap();
        assert!(rows(&output).len() > 2, "{output}");
        assert_eq!(rows(&readme), rows(&output), "\n{output}");
    }
}
