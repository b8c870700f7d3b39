//! Reading settings: the file, the environment over it, and where what is wrong stands.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize as _;
use toml::de::{DeTable, DeValue};
use toml::{Spanned, Table, Value};

use super::Settings;
use super::names::folded;
use crate::error::ConfigError;

mod mistakes;
#[cfg(test)]
mod mutations;

/// Where settings come from.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    file: PathBuf,
    /// The variables of the environment that begin with [`PREFIX`].
    variables: Vec<(String, String)>,
}

/// What is wrong with settings; all that is known of it.
#[derive(Debug)]
pub(crate) struct SettingsError {
    problems: Vec<String>,
}

/// What variables begin with that are settings; `__` parts the keys: `FOREWARM__SERVER__LISTEN`.
const PREFIX: &str = "FOREWARM__";
const SEPARATOR: &str = "__";

/// No file that people write is longer.
const BYTES_MAX: u64 = 4 << 20;

impl Origin {
    /// This file, and the environment of the process.
    pub(crate) fn of_process(file: impl Into<PathBuf>) -> Self {
        let texts = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        let variables = std::env::vars_os().filter_map(texts);
        Self::new(file, variables.filter(|(name, _)| name.starts_with(PREFIX)))
    }

    /// This file, and these variables.
    pub(crate) fn new(
        file: impl Into<PathBuf>,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Self {
        let mut variables: Vec<_> = variables.into_iter().collect();
        // What sets a table goes before what sets a key of it, whatever the order of the environment.
        variables.sort_by_cached_key(|(name, _)| (name.to_ascii_lowercase(), name.clone()));
        Self { file: file.into(), variables }
    }

    /// Reads the settings and checks them, without asking any source.
    ///
    /// # Errors
    ///
    /// The file cannot be read, is no TOML, or has a setting that is not known or cannot work. Each is
    /// named with where it stands.
    pub(crate) fn read(&self) -> Result<Settings, SettingsError> {
        let text = self.text().map_err(|problem| SettingsError { problems: vec![problem] })?;
        self.parse(&text)
    }

    fn text(&self) -> Result<String, String> {
        let shown = self.file.display();
        let unread = |error: std::io::Error| format!("{shown}: cannot be read: {error}");
        let length = std::fs::metadata(&self.file).map_err(unread)?.len();
        if length > BYTES_MAX {
            return Err(format!("{shown}: has {length} bytes: settings have {BYTES_MAX} at most"));
        }
        std::fs::read_to_string(&self.file).map_err(unread)
    }

    /// The settings in a text.
    fn parse(&self, text: &str) -> Result<Settings, SettingsError> {
        let written = Written { file: &self.file, text, overlaid: BTreeMap::new() };
        let mut table: Table = toml::from_str(text).map_err(|error| {
            let line = error.span().map(|span| line_at(text, span.start));
            // Not the line itself, which may hold a secret.
            written.error(line, None, error.message())
        })?;
        let mut written = written;
        for (name, value) in &self.variables {
            let overlaid = overlay(&mut table, name, value);
            let path = overlaid.map_err(|problem| written.error(None, Some(name), &problem))?;
            written.overlaid.insert(path, name.clone());
        }
        let Ok(settings) = Settings::deserialize(Value::Table(table.clone())) else {
            return Err(SettingsError { problems: mistakes::all(&written, table) });
        };
        let problems = settings.problems();
        if problems.is_empty() { Ok(settings) } else { Err(written.refused(&problems)) }
    }

    /// Says where something stands that turned out not to work.
    pub(crate) fn locate(&self, problems: &[ConfigError]) -> SettingsError {
        let text = self.text().unwrap_or_default();
        Written { file: &self.file, text: &text, overlaid: self.overlaid() }.refused(problems)
    }

    /// The same for what is wrong at a setting, and no setting itself.
    pub(crate) fn locate_text(&self, field: &str, problem: &str) -> String {
        let text = self.text().unwrap_or_default();
        let written = Written { file: &self.file, text: &text, overlaid: self.overlaid() };
        written.found(field, problem)
    }

    /// The keys that variables set, and those.
    fn overlaid(&self) -> BTreeMap<String, String> {
        let path = |name: &String| {
            let keys = name.strip_prefix(PREFIX).unwrap_or(name).to_ascii_lowercase();
            (keys.replace(SEPARATOR, "."), name.clone())
        };
        self.variables.iter().map(|(name, _)| path(name)).collect()
    }
}

/// What was read, to find what is wrong in.
struct Written<'a> {
    file: &'a Path,
    text: &'a str,
    /// The keys that variables have set, and those.
    overlaid: BTreeMap<String, String>,
}

impl Written<'_> {
    fn error(&self, line: Option<usize>, variable: Option<&str>, problem: &str) -> SettingsError {
        SettingsError { problems: vec![self.placed(line, variable, problem)] }
    }

    fn placed(&self, line: Option<usize>, variable: Option<&str>, problem: &str) -> String {
        match (variable, line) {
            (Some(variable), _) => format!("{variable}: {problem}"),
            (None, Some(line)) => format!("{}:{line}: {problem}", self.file.display()),
            (None, None) => format!("{}: {problem}", self.file.display()),
        }
    }

    /// A value that is none of its field, or a field that is not known.
    fn mistaken(&self, error: &serde_path_to_error::Error<toml::de::Error>) -> String {
        let field = error.path().to_string();
        let message = without_value(error.inner().message());
        let problem =
            if field == "." { message } else { format!("`{}`: {message}", field.escape_debug()) };
        self.found(&field, &problem)
    }

    fn refused(&self, problems: &[ConfigError]) -> SettingsError {
        let say = |problem: &ConfigError| self.found(problem.field(), &problem.to_string());
        SettingsError { problems: problems.iter().map(say).collect() }
    }

    /// A problem with a field, and where that stands.
    fn found(&self, field: &str, problem: &str) -> String {
        let is_part = |path: &str| {
            // Names that variables cannot have are folded, which changes no length.
            let (start, rest) = field.split_at_checked(path.len()).unwrap_or_default();
            folded(start) == folded(path) && (rest.is_empty() || rest.starts_with(['.', '[']))
        };
        let variable = self.overlaid.iter().find(|(path, _)| is_part(path));
        self.placed(line_of(self.text, field), variable.map(|(_, name)| name.as_str()), problem)
    }
}

/// Sets the value of a key as a variable has it; gives the key.
fn overlay(table: &mut Table, name: &str, value: &str) -> Result<String, String> {
    let keys = name.strip_prefix(PREFIX).unwrap_or(name).to_ascii_lowercase();
    let keys: Vec<_> = keys.split(SEPARATOR).collect();
    if keys.iter().any(|key| key.is_empty()) {
        let example = format!("{PREFIX}SERVER{SEPARATOR}LISTEN");
        return Err(format!("names no setting: write it like `{example}`"));
    }
    let Some((last, parents)) = keys.split_last() else { return Err("names no setting".into()) };
    let (mut at, mut path) = (table, String::new());
    for key in parents {
        let key = name_in(at, key);
        path += &format!("{key}.");
        let inner = at.entry(key.clone()).or_insert_with(|| Value::Table(Table::new()));
        at = match inner {
            Value::Table(inner) => inner,
            _ => return Err(format!("`{key}` has a value of its own, and no keys below it")),
        };
    }
    let value = match value_of(value) {
        value @ Value::Table(_) => value,
        // It stands in the environment already, as secrets should.
        _ if is_secret(&keys) => Value::Table(Table::from_iter([("env".to_owned(), name.into())])),
        value => value,
    };
    let last = name_in(at, last);
    path += &last;
    at.insert(last, value);
    Ok(path)
}

/// What a key of a variable is called in a table: as it is, or as something there whose name variables
/// cannot have, such as `User` or `user-profile`.
fn name_in(table: &Table, key: &str) -> String {
    if table.contains_key(key) {
        return key.to_owned();
    }
    let named = table.keys().find(|name| folded(name) == folded(key));
    named.map_or_else(|| key.to_owned(), Clone::clone)
}

/// Whether a key is one of a secret.
fn is_secret(keys: &[&str]) -> bool {
    matches!(
        keys,
        [.., "password" | "secret"] | [.., "headers", _] | [.., "postgres" | "redis", "url"]
    )
}

/// A text as TOML reads it, such as `true` or `[1, 2]`; else the text itself.
fn value_of(text: &str) -> Value {
    let parsed = toml::from_str::<Table>(&format!("value = {text}"));
    // What has several lines or keys is a text.
    let only = parsed.ok().filter(|table| table.len() == 1);
    let value = only.and_then(|mut table| table.remove("value"));
    value.unwrap_or_else(|| Value::String(text.to_owned()))
}

/// The message, without the value that was found, which may be a secret in the wrong place: only what
/// kind of thing it is.
fn without_value(message: &str) -> String {
    let unexpected = ["invalid type: ", "invalid value: "];
    if let Some(rest) = unexpected.iter().find_map(|start| message.strip_prefix(start)) {
        // What is expected may hold the word too, and comes last; the value may hold anything.
        let (found, expected) = rest.rsplit_once(", expected ").unwrap_or((rest, "something else"));
        let kind = found.split([' ', '`', '"']).next().unwrap_or_default();
        let kind = match kind {
            "string" | "character" => "a text",
            "integer" => "a whole number",
            "floating" => "a number",
            "boolean" => "`true` or `false`",
            "sequence" => "a list",
            "map" => "a table",
            _ => "something else",
        };
        return format!("is {kind}, and should be {}", in_words(expected));
    }
    match message.strip_prefix("unknown variant `").and_then(|rest| rest.split_once("`, ")) {
        Some((found, expected)) if !is_word(found) => format!("is none of its values, {expected}"),
        _ => message.to_owned(),
    }
}

/// What is expected, without the names that types have in Rust.
fn in_words(expected: &str) -> &str {
    match expected {
        "u8" | "u16" | "u32" | "u64" | "usize" | "i8" | "i16" | "i32" | "i64" | "isize" => {
            "a whole number"
        }
        "f32" | "f64" => "a number",
        "a string" => "a text",
        "a boolean" => "`true` or `false`",
        "a sequence" => "a list",
        "a map" => "a table",
        other => other,
    }
}

/// Whether a text is a word as names of values are, and no secret.
fn is_word(text: &str) -> bool {
    const LENGTH_MAX: usize = 20;
    let is_plain = |c: char| c.is_ascii_lowercase() || matches!(c, '_' | '+');
    text.len() <= LENGTH_MAX && text.chars().all(is_plain)
}

/// The line, from 1, on which a field stands; or as much of it as does.
fn line_of(text: &str, field: &str) -> Option<usize> {
    let table = DeTable::parse(text).ok()?;
    let start = start_of(table.get_ref(), field)?;
    Some(line_at(text, start))
}

/// Where the innermost part of a field begins that stands in a table.
fn start_of(table: &DeTable<'_>, field: &str) -> Option<usize> {
    // Names may have dots, so the longest key that fits is taken.
    let fits = |key: &str| {
        let rest = field.strip_prefix(key)?;
        (rest.is_empty() || rest.starts_with(['.', '['])).then_some(rest)
    };
    let fitting = table.iter().filter_map(|(key, value)| Some((key, value, fits(key.get_ref())?)));
    let (key, value, rest) = fitting.max_by_key(|(key, ..)| key.get_ref().len())?;
    let inner = start_within(value, rest);
    Some(inner.unwrap_or_else(|| key.span().start))
}

fn start_within(value: &Spanned<DeValue<'_>>, rest: &str) -> Option<usize> {
    if let Some(rest) = rest.strip_prefix('.') {
        return start_of(value.get_ref().as_table()?, rest);
    }
    let (nth, rest) = rest.strip_prefix('[')?.split_once(']')?;
    let element = value.get_ref().as_array()?.get(nth.parse::<usize>().ok()?)?;
    Some(start_within(element, rest).unwrap_or_else(|| element.span().start))
}

fn line_at(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
}

impl SettingsError {
    /// What is wrong, a line each.
    pub(crate) fn problems(&self) -> &[String] {
        &self.problems
    }
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problems.join("\n"))
    }
}

impl std::error::Error for SettingsError {}
