//! A thousand settings that nobody would write, of which each is taken or refused in words that help.

use std::panic::{AssertUnwindSafe, catch_unwind};

use fastrand::Rng;
use toml::{Table, Value};

use super::Origin;

/// The settings that are given as an example, which have every section.
const EXAMPLE: &str = include_str!("../../../../deploy/forewarm.toml");
/// Settings that have every field.
const FULL: &str = include_str!("full.toml");

/// What must never be shown again.
const CANARY: &str = "hunter2canary";

/// Of each.
const MUTANTS: usize = 500;

/// What came of a text.
enum Outcome {
    Taken,
    Refused(Vec<String>),
}

fn read(text: &str) -> Outcome {
    match Origin::new("forewarm.toml", []).parse(text) {
        Ok(_) => Outcome::Taken,
        Err(error) => Outcome::Refused(error.problems().to_vec()),
    }
}

/// Keys on the way to a value.
type Keys = Vec<String>;

/// Every value of a table, and of the tables in it.
fn values(table: &Table, at: &Keys, found: &mut Vec<Keys>) {
    for (key, value) in table {
        let mut keys = at.clone();
        keys.push(key.clone());
        found.push(keys.clone());
        if let Value::Table(inner) = value {
            values(inner, &keys, found);
        }
    }
}

fn table_at<'t>(table: &'t mut Table, keys: &[String]) -> &'t mut Table {
    keys.iter().fold(table, |table, key| table[key].as_table_mut().unwrap())
}

/// A table as people write it: values first, then each table in it as a section of its own.
fn written(table: &Table) -> String {
    fn section(table: &Table, path: &str, text: &mut String) {
        for (key, value) in table.iter().filter(|(_, value)| !value.is_table()) {
            *text += &format!("{} = {}\n", quoted(key), inline(value));
        }
        for (key, value) in table {
            if let Value::Table(inner) = value {
                let path = format!("{path}{}", quoted(key));
                *text += &format!("[{path}]\n");
                section(inner, &format!("{path}."), text);
            }
        }
    }
    let mut text = String::new();
    section(table, "", &mut text);
    text
}

/// A text of JSON is one of TOML.
fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap()
}

fn inline(value: &Value) -> String {
    let list = |parts: Vec<String>| parts.join(", ");
    match value {
        Value::String(text) => quoted(text),
        Value::Integer(number) => number.to_string(),
        Value::Float(number) if number.is_nan() => "nan".to_owned(),
        Value::Float(number) if number.is_infinite() => "inf".to_owned(),
        Value::Float(number) => format!("{number:e}"),
        Value::Boolean(is_so) => is_so.to_string(),
        Value::Datetime(at) => at.to_string(),
        Value::Array(values) => format!("[{}]", list(values.iter().map(inline).collect())),
        Value::Table(table) => {
            let parts =
                table.iter().map(|(key, value)| format!("{} = {}", quoted(key), inline(value)));
            format!("{{ {} }}", list(parts.collect()))
        }
    }
}

/// A value of any kind.
fn any_value(random: &mut Rng) -> Value {
    match random.u8(0..16) {
        0 => Value::Integer(i64::MAX),
        1 => Value::Integer(i64::MIN),
        2 => Value::Integer(random.i64(-1..=1)),
        3 => Value::Float([f64::MAX, f64::NAN, f64::INFINITY, -0.0][random.usize(..4)]),
        4 => Value::Boolean(random.bool()),
        5 => Value::Array(Vec::new()),
        6 => Value::Array(vec![Value::Integer(0), Value::String("x".into())]),
        7 => Value::Table(Table::new()),
        8 => Value::Table(Table::from_iter([("env".to_owned(), Value::Boolean(true))])),
        9 => Value::String("99999999999999999999999999h".into()),
        10 => Value::String("99999999999999999999999 GiB".into()),
        11 => Value::String(" \u{202e}\u{1f600}\0\u{301}\n`\"".into()),
        12 => Value::String("9".repeat(10_000)),
        13 => Value::Datetime("2026-01-31T23:59:59Z".parse().unwrap()),
        _ => Value::String(
            [CANARY, "", "-1s", "* * * * *", "{id", "/", "none"][random.usize(..7)].into(),
        ),
    }
}

fn any_key(random: &mut Rng) -> String {
    let long = "k".repeat(300);
    let keys = ["", "é\u{301}", "\u{1f600}", "a.b", "a b", "`", "\u{1b}[2J", "polcy", &long];
    keys[random.usize(..keys.len())].to_owned()
}

/// Changes a table; gives the key that it was done to, and the new one beside it if there is one.
fn mutate(table: &mut Table, random: &mut Rng) -> Option<(Keys, Option<String>)> {
    let mut all = Vec::new();
    values(table, &Vec::new(), &mut all);
    if all.is_empty() {
        return None;
    }
    let keys = all[random.usize(..all.len())].clone();
    let (last, parents) = keys.split_last().unwrap();
    let parent = table_at(table, parents);
    let mut added = None;
    match random.u8(0..6) {
        0 => {
            parent.remove(last);
        }
        1 => {
            let value = parent.remove(last).unwrap();
            parent.insert(added.insert(any_key(random)).clone(), value);
        }
        2 => {
            let value = any_value(random);
            parent.insert(added.insert(any_key(random)).clone(), value);
        }
        3 => {
            // One level more.
            let value = parent.remove(last).unwrap();
            parent.insert(last.clone(), Value::Table(Table::from_iter([(last.clone(), value)])));
        }
        _ => {
            let value = any_value(random);
            parent.insert(last.clone(), value);
        }
    }
    Some((keys, added))
}

/// Breaks a text rather than what it says.
fn garble(text: &str, random: &mut Rng) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    for _ in 0..random.usize(1..4) {
        let at = random.usize(..chars.len());
        match random.u8(0..4) {
            0 => {
                chars.remove(at);
            }
            1 => chars.insert(at, ['[', '"', '\0', '=', '\u{feff}', '#', '{'][random.usize(..7)]),
            2 => chars.truncate(at.max(1)),
            _ => {
                let line: Vec<_> = chars[at..].iter().copied().take(40).collect();
                chars.splice(at..at, line);
            }
        }
    }
    chars.into_iter().collect()
}

/// Whether a problem says where: a line, or a setting.
fn is_placed(problem: &str) -> bool {
    let Some(rest) = problem.strip_prefix("forewarm.toml:") else { return false };
    let line = rest.split(':').next().unwrap();
    line.parse::<usize>().is_ok_and(|line| line > 0) || rest.contains('`')
}

fn try_all(text: &str, seed: u64) -> (usize, usize) {
    assert!(matches!(read(text), Outcome::Taken), "the settings of seed {seed} do not work");
    let mut random = Rng::with_seed(seed);
    let table: Table = toml::from_str(text).unwrap();
    let (mut taken, mut refused) = (0, 0);
    for _ in 0..MUTANTS {
        let mutant = if random.u8(0..4) == 0 {
            garble(text, &mut random)
        } else {
            let mut mutant = table.clone();
            for _ in 0..random.usize(1..4) {
                mutate(&mut mutant, &mut random);
            }
            written(&mutant)
        };
        let outcome = catch_unwind(AssertUnwindSafe(|| read(&mutant)));
        let outcome = outcome.unwrap_or_else(|_| panic!("it panicked at\n{mutant}"));
        match outcome {
            Outcome::Taken => taken += 1,
            Outcome::Refused(problems) => {
                refused += 1;
                assert!(!problems.is_empty(), "refused without a word:\n{mutant}");
                for problem in &problems {
                    assert!(is_placed(problem), "{problem}\n{mutant}");
                    // Nobody reads more.
                    assert!(problem.len() < 13_000, "{} bytes\n{mutant}", problem.len());
                }
            }
        }
    }
    (taken, refused)
}

#[test]
fn whatever_is_done_to_settings_they_are_taken_or_refused_with_a_place() {
    for (text, seed) in [(EXAMPLE, 1), (FULL, 2)] {
        let (taken, refused) = try_all(text, seed);
        assert!(taken > MUTANTS / 50, "the mutants of seed {seed} are all alike: {taken} taken");
        assert!(
            refused > MUTANTS / 2,
            "the mutants of seed {seed} are harmless: {refused} refused"
        );
    }
}

/// Whether a problem names a key that was changed: by its path, by that of the table it stands in, or,
/// where something else refers to it, by what it is called.
fn names(problem: &str, keys: &Keys, added: Option<&str>) -> bool {
    // The line may be that of anything.
    let said = problem.splitn(3, ':').last().unwrap();
    let (last, parents) = keys.split_last().unwrap();
    let escaped = |name: &str| name.escape_debug().to_string();
    let is_named = |name: &str| said.contains(&format!("`{}`", escaped(name)));
    let is_within = !parents.is_empty() && said.contains(&escaped(&parents.join(".")));
    let is_itself = said.contains(&keys.join("."));
    is_itself || is_within || is_named(last) || added.is_some_and(is_named)
}

#[test]
fn what_is_refused_names_the_key_that_was_changed() {
    for (text, seed) in [(EXAMPLE, 3), (FULL, 4)] {
        let mut random = Rng::with_seed(seed);
        let table: Table = toml::from_str(text).unwrap();
        for _ in 0..MUTANTS {
            let mut mutant = table.clone();
            let (keys, added) = mutate(&mut mutant, &mut random).unwrap();
            let Outcome::Refused(problems) = read(&written(&mutant)) else { continue };
            let named = problems.iter().any(|problem| names(problem, &keys, added.as_deref()));
            assert!(named, "{keys:?}, {added:?}: {problems:?}");
        }
    }
}

#[test]
fn no_problem_speaks_of_how_it_is_written_in_rust() {
    let table: Table = toml::from_str(FULL).unwrap();
    let mut all = Vec::new();
    values(&table, &Vec::new(), &mut all);
    for keys in all {
        let (last, parents) = keys.split_last().unwrap();
        for value in [Value::Integer(7), Value::Array(vec![7.into()]), Value::Boolean(true)] {
            let mut mutant = table.clone();
            table_at(&mut mutant, parents).insert(last.clone(), value);
            let Outcome::Refused(problems) = read(&written(&mutant)) else { continue };
            for problem in problems {
                let is_told = ["struct ", "enum ", "tuple", "newtype", "u64", "usize", "unit"];
                assert!(!is_told.iter().any(|word| problem.contains(word)), "{keys:?}: {problem}");
            }
        }
    }
}

#[test]
fn variables_are_taken_by_their_names_and_reach_names_that_they_cannot_have() {
    let text = "
[sources.Shop.sqlite]
path = 'shop.db'
[resources.user-profile]
source = 'Shop'
query = 'select 1 where $1 = $1'
";
    let read = |variables: &[(&str, &str)]| {
        let variables = variables.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        Origin::new("forewarm.toml", variables).parse(text)
    };
    let table = ("FOREWARM__RESOURCES__USER_PROFILE__POLICY", "{ ttl = '5m', schema = 7 }");
    let ttl = ("FOREWARM__RESOURCES__USER_PROFILE__POLICY__TTL", "9m");
    for variables in [[table, ttl], [ttl, table]] {
        let settings = read(&variables).unwrap();
        let policy = &settings.resources["user-profile"].policy;
        assert_eq!((policy.ttl.as_secs(), policy.schema), (540, 7));
        assert_eq!(settings.resources.len(), 1);
    }
    let path = ("FOREWARM__SOURCES__SHOP__SQLITE__PATH", "other.db");
    assert!(format!("{:?}", read(&[path]).unwrap().sources["Shop"]).contains("other.db"));
    let wrong = ("FOREWARM__SOURCES__SHOP__SQLITE__CONNECTIONS_MAX", "0");
    let error = read(&[wrong]).unwrap_err().to_string();
    assert!(error.starts_with(wrong.0) && error.contains("sources.Shop.sqlite"), "{error}");
}

#[test]
fn a_job_that_renews_too_seldom_is_refused_by_its_triggers() {
    let read = |ttl: &str, triggers: &str, form: &str| {
        let text = format!(
            "[sources.shop.sqlite]\npath = 'shop.db'
            [resources.quote]\nsource = 'shop'\nquery = 'select 1 where $1 = $1'
            policy = {{ ttl = '{ttl}' }}
            [jobs.stocks]\ntriggers = [{triggers}]\n{form}"
        );
        match Origin::new("forewarm.toml", []).parse(&text) {
            Ok(_) => String::new(),
            Err(error) => error.to_string(),
        }
    };
    let renew = "renew = { resource = 'quote', keys = ['A'] }";
    let hot = "renew_hot = { resource = 'quote', count = 10 }";
    let every = "{ every = '5m' }, { at_start = true }";
    let cron = "{ cron = '*/5 9-17 * * 1-5', zone = 'America/New_York' }";
    for form in [renew, hot] {
        for triggers in [every, cron] {
            for ttl in ["1m", "5m"] {
                let said = read(ttl, triggers, form);
                assert!(said.starts_with("forewarm.toml:8: `jobs.stocks.triggers`"), "{said}");
                assert!(said.contains("every 5m") && said.contains(".quote.policy.ttl"), "{said}");
            }
            assert_eq!(read("5m 1s", triggers, form), "");
        }
        assert_ne!(read("1h", "{ daily_at = '02:00' }", form), "");
    }
    assert_eq!(read("1m", "{ at_start = true }", renew), "");
    assert_eq!(read("1m", every, "warm = { resource = 'quote', keys = ['A'] }"), "");
}

#[test]
fn a_key_that_nobody_knows_is_named_wherever_it_stands() {
    let table: Table = toml::from_str(FULL).unwrap();
    let mut all = vec![Vec::new()];
    values(&table, &Vec::new(), &mut all);
    // Where users choose the names, none is unknown.
    let is_open = |keys: &Keys| match keys.last().map(String::as_str) {
        Some("sources" | "resources" | "snapshots" | "jobs") => keys.len() == 1,
        Some("aliases" | "trim" | "collections") => keys.len() == 3,
        Some("headers") => true,
        _ => false,
    };
    for keys in all {
        let mut mutant = table.clone();
        let parents = keys.iter().try_fold(&table, |table, key| table[key].as_table());
        if parents.is_none() || is_open(&keys) {
            continue;
        }
        table_at(&mut mutant, &keys).insert("no_such_key".to_owned(), Value::Boolean(true));
        let Outcome::Refused(problems) = read(&written(&mutant)) else {
            panic!("{keys:?} takes anything");
        };
        let named = problems
            .iter()
            .any(|problem| problem.contains("no_such_key") || problem.contains(&keys.join(".")));
        assert!(named, "{keys:?}: {problems:?}");
    }
}

#[test]
fn secrets_are_not_quoted_whatever_is_wrong_with_them() {
    let secrets = [
        ["l2", "redis", "url"].as_slice(),
        &["l2", "redis", "password"],
        &["sources", "crm", "postgres", "url"],
        &["sources", "crm", "postgres", "password"],
        &["sources", "quotes", "http", "headers", "authorization"],
    ];
    for keys in secrets {
        let keys: Keys = keys.iter().map(|key| (*key).to_owned()).collect();
        let (last, parents) = keys.split_last().unwrap();
        for value in [
            Value::String(CANARY.into()),
            Value::String(format!("redis://me:{CANARY}@host")),
            Value::String(format!("::{CANARY}")),
            Value::Array(vec![Value::String(CANARY.into())]),
            Value::Table(Table::from_iter([("vault".to_owned(), Value::String(CANARY.into()))])),
            Value::Table(Table::from_iter([("env".to_owned(), Value::Array(vec![CANARY.into()]))])),
        ] {
            let mut mutant: Table = toml::from_str(FULL).unwrap();
            table_at(&mut mutant, parents).insert(last.clone(), value);
            let text = written(&mutant);
            let shown = match read(&text) {
                Outcome::Refused(problems) => problems.join("\n"),
                Outcome::Taken => format!("{:?}", Origin::new("x", []).parse(&text).unwrap()),
            };
            assert!(!shown.contains(CANARY), "{keys:?}: {shown}");
        }
    }
    let broken = format!("[l2.redis]\npassword = \"{CANARY}");
    let Outcome::Refused(problems) = read(&broken) else { panic!("it is no TOML") };
    assert!(!problems.join("\n").contains(CANARY), "{problems:?}");
}

#[test]
fn a_secret_in_the_place_of_something_else_is_not_quoted() {
    let table: Table = toml::from_str(FULL).unwrap();
    let mut all = Vec::new();
    values(&table, &Vec::new(), &mut all);
    // Where people put URLs and passwords by mistake; not where a size is written.
    let is_near = |keys: &Keys| {
        let is_within = ["l2", "sources", "auth"].contains(&&*keys[0]);
        (keys.len() == 1 || is_within) && !keys.ends_with(&["body_bytes_max".to_owned()])
    };
    for keys in all.into_iter().filter(is_near) {
        let (last, parents) = keys.split_last().unwrap();
        let url = || Value::String(format!("redis://me:{CANARY}@host"));
        for value in [url(), Value::String(format!("{CANARY}, expected x")), vec![url()].into()] {
            let mut mutant = table.clone();
            table_at(&mut mutant, parents).insert(last.clone(), value);
            let Outcome::Refused(problems) = read(&written(&mutant)) else { continue };
            assert!(!problems.join("\n").contains(CANARY), "{keys:?}: {problems:?}");
        }
    }
}

#[test]
fn a_secret_in_a_variable_stands_where_it_should_and_is_not_quoted() {
    let read = |name: &str, value: &str| {
        let variables = [(name.to_owned(), value.to_owned())];
        Origin::new("forewarm.toml", variables).parse(FULL)
    };
    let url = format!("postgres://me:{CANARY}@host/db");
    for (name, value) in [
        ("FOREWARM__L2__REDIS__PASSWORD", "12345678"),
        ("FOREWARM__L2__REDIS__PASSWORD", CANARY),
        ("FOREWARM__SOURCES__CRM__POSTGRES__URL", &*url),
        ("FOREWARM__SOURCES__QUOTES__HTTP__HEADERS__AUTHORIZATION", CANARY),
    ] {
        let settings = read(name, value).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(!format!("{settings:?}").contains(value), "{name}");
    }
    for name in ["FOREWARM__L2", "FOREWARM__SOURCES__CRM", "FOREWARM__AUTH", "FOREWARM__SOURCES"] {
        let error = read(name, &url).unwrap_err().to_string();
        assert!(error.contains(name) && !error.contains(CANARY), "{error}");
    }
}

#[test]
fn all_mistakes_are_told_at_once_and_none_twice() {
    let text = "
[server]
listen = 'nowhere'
batch_keys_max = 'many'
[log]
fromat = 'json'
[resources.user]
source = 7
query = 'select 1 where $1 = $1'
[resources.team]
query = 'select 1 where $1 = $1'
[jobs.stocks]
triggers = [{ cron = 'now', zone = 'UTC' }, { every = 'second' }]
check_health = true
";
    let Outcome::Refused(problems) = read(text) else { panic!("it is all wrong") };
    let lines: Vec<_> = problems.iter().map(|problem| problem.split(':').nth(1).unwrap()).collect();
    let mut sorted: Vec<u32> = lines.iter().map(|line| line.parse().unwrap()).collect();
    sorted.sort_unstable();
    assert_eq!(sorted, [3, 4, 6, 8, 10, 13], "{problems:#?}");
}
