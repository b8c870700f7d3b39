//! What people see on their terminal.

use std::error::Error;
use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{CellAlignment, Table};
use indicatif::{ProgressBar, ProgressStyle};

/// What a command may fail with.
pub(super) type Failure = Box<dyn Error + Send + Sync>;

/// Writes what a command is asked for. A reader that has gone away is no failure.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.write_all(b"\n")) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Says what went wrong, and why, and why that.
pub(super) fn complain(error: &(dyn Error + Send + Sync)) {
    let label = if is_watched() && wants_colours() {
        painted("error:", Paint::Bad)
    } else {
        "error:".to_owned()
    };
    let mut text = format!("{label} {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!("\n  because: {error}"));
        cause = error.source();
    }
    // If even that cannot be said, there is nobody to say it to.
    drop(writeln!(io::stderr(), "{text}"));
}

/// Says something besides what a command is asked for.
pub(super) fn note(text: &str) {
    drop(writeln!(io::stderr(), "{text}"));
}

/// A progress bar on standard error; it does not show where that is no terminal.
pub(super) fn progress_bar(length: u64, what: String) -> ProgressBar {
    let bar = ProgressBar::new(length).with_message(what);
    let template = "{msg:40} {bar:30} {percent:>3} % {eta:>4} left";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}

/// Reads a span as people write it: `300s`, `20ms`, `1h 30m`.
pub(super) fn parse_span(text: &str) -> Result<Duration, String> {
    let span: jiff::SignedDuration =
        text.parse().map_err(|error| format!("{error}; write it like `300s` or `20ms`"))?;
    Duration::try_from(span).map_err(|_negative| "a span is not negative".to_owned())
}

/// Whether somebody sees standard error on a terminal.
pub(super) fn is_watched() -> bool {
    io::stderr().is_terminal()
}

/// Whether standard output may have colours: it is a terminal, and nobody has asked for none.
pub(super) fn is_coloured() -> bool {
    io::stdout().is_terminal() && wants_colours()
}

/// Colours are left out where `NO_COLOR` is set to anything (<https://no-color.org>).
fn wants_colours() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// How a text stands out.
#[derive(Clone, Copy, Debug)]
pub(super) enum Paint {
    /// What is well.
    Good,
    /// What needs a look.
    Doubtful,
    /// What went wrong.
    Bad,
}

/// The text in colour.
pub(super) fn painted(text: &str, paint: Paint) -> String {
    let code = match paint {
        Paint::Good => 32,
        Paint::Doubtful => 33,
        Paint::Bad => 31,
    };
    format!("\u{1b}[1;{code}m{text}\u{1b}[0m")
}

/// A text of somebody else's, such as a key, without anything that a terminal would obey.
pub(super) fn harmless(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() || is_invisible(c) {
            shown.extend(c.escape_debug());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// Characters that change the direction in which others are shown, or are not seen themselves.
const fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A table without rows.
pub(super) fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_BORDERS_ONLY);
    table.set_header(header);
    table
}

/// Has the columns from this one on hold numbers.
pub(super) fn align_numbers(table: &mut Table, from: usize) {
    for column in table.column_iter_mut().skip(from) {
        column.set_cell_alignment(CellAlignment::Right);
    }
}

/// A count as people read it: `12,345`.
pub(super) fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (nth, digit) in digits.chars().enumerate() {
        if nth > 0 && (digits.len() - nth).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Breaks a text into lines.
pub(super) fn wrapped(text: &str) -> String {
    const WIDTH: usize = 96;
    let (mut wrapped, mut length) = (String::with_capacity(text.len()), 0);
    for word in text.split_whitespace() {
        let added = word.chars().count();
        if length > 0 && length + 1 + added > WIDTH {
            wrapped.push('\n');
            length = 0;
        } else if length > 0 {
            wrapped.push(' ');
            length += 1;
        }
        wrapped.push_str(word);
        length += added;
    }
    wrapped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_grouped_by_thousands() {
        for (count, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(count), text);
        }
    }

    #[test]
    fn what_a_terminal_would_obey_is_written_out() {
        assert_eq!(harmless("Grüße \u{1f600}"), "Grüße \u{1f600}");
        assert_eq!(harmless("a\u{1b}[2Jb\n\u{9b}31m"), "a\\u{1b}[2Jb\\n\\u{9b}31m");
        assert_eq!(harmless("x\u{202e}y"), "x\\u{202e}y");
    }

    #[test]
    fn texts_are_broken_between_words() {
        let text = "preload ".repeat(40);
        let lines = wrapped(&text);
        let lengths: Vec<_> = lines.lines().map(str::len).collect();
        assert_eq!(lengths, [95, 95, 95, 31]);
        let long = "x".repeat(200);
        assert_eq!(wrapped(&format!("a {long} b")), format!("a\n{long}\nb"));
    }
}
