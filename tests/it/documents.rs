//! The table of what the source systems did: no row is missing or empty, and what it names exists.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// How many items each system has, by its number.
const ITEMS: [usize; 5] = [15, 41, 20, 48, 53];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The rows of the table, as item, what it is, and evidence.
fn rows(document: &str) -> Vec<[&str; 3]> {
    let rows = document.lines().filter(|line| line.starts_with("| S"));
    rows.map(|line| {
        let cells: Vec<_> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        cells.try_into().unwrap_or_else(|_| panic!("not three cells: {line}"))
    })
    .collect()
}

/// The sources under a folder of the project, in one text for each.
fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            found.push((path, text));
        }
    }
    found
}

/// What stands in backquotes.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[test]
fn every_item_of_the_source_systems_has_evidence() {
    let document = fs::read_to_string(root().join("docs/source-systems.md")).unwrap();
    let rows = rows(&document);
    let items: Vec<_> = rows.iter().map(|[item, ..]| (*item).to_owned()).collect();
    let of_system = |(system, count): (usize, &usize)| {
        (1..=*count).map(move |item| format!("S{system}-{item:02}")).collect::<Vec<_>>()
    };
    assert_eq!(items, ITEMS.iter().enumerate().flat_map(of_system).collect::<Vec<_>>());
    for [item, what, evidence] in &rows {
        assert!(what.len() > 3 && evidence.len() > 10, "{item} is empty");
        let shows = evidence.contains('`') || evidence.starts_with("Differs: ");
        assert!(shows, "{item} names neither a test nor a reason: {evidence}");
    }
}

#[test]
fn what_the_table_names_exists() {
    let document = fs::read_to_string(root().join("docs/source-systems.md")).unwrap();
    let tests: Vec<_> = ["tests", "src"].iter().flat_map(|of| sources(&root().join(of))).collect();
    let functions: BTreeSet<_> = tests
        .iter()
        .flat_map(|(_, text)| text.lines())
        .filter_map(|line| line.trim_start().split_once("fn ").map(|(_, rest)| rest))
        .filter_map(|rest| rest.split(['(', '<']).next())
        .collect();
    let mut named = 0;
    for [item, _, evidence] in rows(&document) {
        for name in quoted(evidence) {
            // A test is written with its modules, an example by its file; the rest is API.
            if let Some(test) = name.strip_prefix("it::") {
                let (module, function) = test.rsplit_once("::").unwrap();
                assert!(functions.contains(function), "{item}: no test `{name}`");
                let file = module.replace("::", "/");
                let is_there = tests.iter().any(|(path, text)| {
                    path.ends_with(format!("tests/it/{file}.rs"))
                        && text.contains(&format!("fn {function}("))
                });
                assert!(is_there, "{item}: `{name}` is elsewhere");
                named += 1;
            } else if let Some(example) = name.strip_prefix("examples/") {
                assert!(root().join("examples").join(example).exists(), "{item}: no `{name}`");
                named += 1;
            }
        }
    }
    assert!(named > 150, "{named} tests and examples are named");
}
