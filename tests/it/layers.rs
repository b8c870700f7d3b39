//! The order of the modules: the table in ARCHITECTURE.md holds it, and the sources must keep it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use self::paths::{Import, Source};

mod paths;

/// A row of the table.
struct Row {
    module: String,
    /// What it may import; `None` stands for everything above it.
    imports: Option<Vec<String>>,
}

/// The rows under the header that begins with `| module |`.
fn table(document: &str) -> Vec<Row> {
    let lines = document.lines().skip_while(|line| !line.starts_with("| module |")).skip(2);
    lines.take_while(|line| line.starts_with('|')).map(row).collect()
}

fn row(line: &str) -> Row {
    let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
    let [module, _holds, imports] = cells[..] else { panic!("not three cells: {line}") };
    let imports = match imports {
        "all above" => None,
        "nothing" => Some(Vec::new()),
        list => Some(list.split(", ").map(|name| name.trim_matches('`').to_owned()).collect()),
    };
    Row { module: module.trim_matches('`').to_owned(), imports }
}

/// What of the sources the table does not allow, and what of the table is wrong in itself.
fn violations(rows: &[Row], sources: &[Source]) -> Vec<String> {
    let place = |name: &str| rows.iter().position(|row| row.module == name);
    let present: BTreeSet<_> = sources.iter().map(Source::module).collect();
    let mut violations = Vec::new();
    for module in &present {
        if place(module).is_none() {
            violations.push(format!("`{module}` is not in the table"));
        }
    }
    for (nth, row) in rows.iter().enumerate() {
        let module = &row.module;
        if !present.contains(module.as_str()) {
            violations.push(format!("`{module}` is in the table, and gone"));
        }
        if place(module) != Some(nth) {
            violations.push(format!("`{module}` is in the table twice"));
        }
        for import in row.imports.iter().flatten() {
            if place(import).is_none_or(|import| import >= nth) {
                violations.push(format!("`{module}` may import `{import}`, which is not above it"));
            }
        }
    }
    for import in sources.iter().flat_map(Source::imports) {
        violations.extend(violation(rows, &import));
    }
    violations
}

/// What is wrong with an import.
fn violation(rows: &[Row], import: &Import) -> Option<String> {
    let Import { file, line, from, to } = import;
    let at = format!("{file}:{line}: `{from}` imports `{to}`");
    let place = |name: &str| rows.iter().position(|row| row.module == *name);
    // A module that is missing in the table has been named for that.
    let user = place(from)?;
    let Some(used) = place(to) else {
        return Some(format!("{at}, which is no module: name the one that holds it"));
    };
    if used > user {
        return Some(format!("{at}, which stands below it"));
    }
    let allowed = rows[user].imports.as_ref();
    let is_listed = allowed.is_none_or(|allowed| allowed.contains(to));
    (!is_listed).then(|| format!("{at}, which its row does not list"))
}

/// The sources under `folder`, without those that only tests see.
fn sources(folder: &Path) -> Vec<Source> {
    let mut files = files(folder);
    files.sort();
    let read = |file: &PathBuf| {
        let name = file.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
        Source::new(&name, &fs::read_to_string(file).unwrap())
    };
    let sources: Vec<_> = files.iter().map(read).collect();
    let for_tests: Vec<_> = sources.iter().flat_map(Source::modules_of_tests).collect();
    let is_for_tests = |source: &Source| for_tests.iter().any(|path| source.path.starts_with(path));
    // The roots declare the modules, and give users their names.
    let is_root = |source: &Source| ["lib", "main"].contains(&source.module());
    sources.into_iter().filter(|source| !is_root(source) && !is_for_tests(source)).collect()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let (folders, mut found): (Vec<_>, Vec<_>) = paths.partition(|path| path.is_dir());
    found.retain(|path| path.extension().is_some_and(|extension| extension == "rs"));
    found.extend(folders.iter().flat_map(|folder| files(folder)));
    found
}

#[test]
fn no_module_imports_against_the_table_in_architecture_md() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let rows = table(&fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap());
    let sources = sources(&root.join("src"));
    let imports: usize = sources.iter().map(|source| source.imports().len()).sum();
    // Fewer would mean that they are no longer found.
    assert!(rows.len() > 25 && imports > 200, "{} rows, {imports} imports", rows.len());
    let violations = violations(&rows, &sources);
    assert!(violations.is_empty(), "\n{}", violations.join("\n"));
}

const TABLE: &str = "
| module | holds | may import |
|---|---|---|
| `word` | words | nothing |
| `store` | things | `word` |
| `shell` | the rest | all above |
";

const WORD: &str = "pub struct Word;";
const SHELL: &str = "use crate::{store::Thing, word::Word};";

fn found(table_text: &str, files: &[(&str, &str)]) -> Vec<String> {
    let sources: Vec<_> = files.iter().map(|(file, text)| Source::new(file, text)).collect();
    violations(&table(table_text), &sources)
}

#[test]
fn what_imports_against_the_table_is_named() {
    let cases = [
        ("use crate::word::Word;", vec![]),
        ("use super::shell;", vec!["store.rs:1: `store` imports `shell`, which stands below it"]),
        (
            "fn f() {\n    crate::shell::run()\n}",
            vec!["store.rs:2: `store` imports `shell`, which stands below it"],
        ),
        (
            "use crate::{word::{self, Word},\n shell};",
            vec!["store.rs:2: `store` imports `shell`, which stands below it"],
        ),
        (
            "use crate::Word;",
            vec![
                "store.rs:1: `store` imports `Word`, which is no module: name the one that holds it",
            ],
        ),
        (
            "mod inner { use super::super::shell; use super::shell; }",
            vec!["store.rs:1: `store` imports `shell`, which stands below it"],
        ),
    ];
    for (text, expected) in cases {
        let files = [("word.rs", WORD), ("store.rs", text), ("shell.rs", SHELL)];
        assert_eq!(found(TABLE, &files), expected, "{text}");
    }
}

#[test]
fn what_the_table_lacks_or_has_too_much_is_named() {
    let [word, store, shell] = [("word.rs", WORD), ("store.rs", ""), ("shell.rs", SHELL)];
    let all = [word, store, shell];
    assert_eq!(found(TABLE, &all), [""; 0]);
    let strict = TABLE.replace("all above", "`store`");
    assert_eq!(
        found(&strict, &all),
        ["shell.rs:1: `shell` imports `word`, which its row does not list"]
    );
    let upside_down = TABLE.replace("nothing", "`shell`");
    assert_eq!(found(&upside_down, &all), ["`word` may import `shell`, which is not above it"]);
    assert_eq!(found(TABLE, &[word, shell]), ["`store` is in the table, and gone"]);
    let more = [word, store, shell, ("new/part.rs", "use crate::shell;")];
    assert_eq!(found(TABLE, &more), ["`new` is not in the table"]);
    let twice = format!("{TABLE}| `word` | again | nothing |\n");
    assert_eq!(found(&twice, &all), ["`word` is in the table twice"]);
}
