//! `forewarm replay --report`: a page that stands alone and says what the replay found.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use self::document::Document;

mod document;

/// A name that would run as a script, end an attribute or close an element if it could.
const HOSTILE: &str = "<script>alert('1')<\u{7f}\" onload=x>&amp;{{style}}";

fn replay(home: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_forewarm"));
    command.arg("replay").args(arguments).current_dir(home).output().unwrap()
}

/// Skewed requests of half an hour, as CSV.
fn skewed() -> String {
    let mut random = fastrand::Rng::with_seed(7);
    let line = |second: u32| {
        let key = random.u32(1..=100) * random.u32(1..=100) / 100;
        format!("{second},k{key}\n")
    };
    let lines: String = (0..1_800).map(line).collect();
    format!("timestamp_s,key\n{lines}")
}

/// What a replay prints, and the page that it writes.
fn reported(files: &[&str], options: &[&str]) -> (Vec<Value>, String) {
    let home = tempfile::tempdir().unwrap();
    for file in files {
        fs::write(home.path().join(file), skewed()).unwrap();
    }
    let report = ["--report", "page.html", "--json"];
    let output = replay(home.path(), &[files, options, &report].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let page = fs::read_to_string(home.path().join("page.html")).unwrap();
    (serde_json::from_slice(&output.stdout).unwrap(), page)
}

#[test]
fn the_page_is_well_formed_and_needs_nothing_besides_itself() {
    let policies = ["demand", "forewarm", "classic", "xfetch"];
    let policies: Vec<_> = policies.iter().flat_map(|policy| ["--policy", policy]).collect();
    let (_, page) = reported(&["one.csv", "two.csv"], &policies);
    let document = Document::read(&page);
    let elements = document.elements();
    for outside in ["script", "link", "img", "image", "iframe", "object", "embed", "use", "base"] {
        assert!(!elements.contains(outside), "{outside}");
    }
    let attributes = || document.tags.iter().flat_map(|tag| &tag.attributes);
    for (name, value) in attributes() {
        let is_local = name != "href" || value.starts_with('#');
        assert!(name != "src" && !name.starts_with("on") && is_local, "{name}={value}");
    }
    for outside in ["http:", "https:", "url(", "@import"] {
        assert!(!page.contains(outside), "{outside}");
    }
    let policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; \
                  form-action 'none'";
    assert!(attributes().any(|(name, value)| name == "content" && value == policy));

    let ids: Vec<_> = attributes().filter(|(name, _)| name == "id").collect();
    let different: BTreeSet<_> = ids.iter().collect();
    assert_eq!(ids.len(), different.len(), "{ids:?}");
    for (_, names) in attributes().filter(|(name, _)| name == "aria-labelledby") {
        for name in names.split(' ') {
            assert!(ids.iter().any(|(_, id)| id == name), "{name}");
        }
    }
}

#[test]
fn the_page_has_the_figures_of_the_rows() {
    let (rows, page) = reported(&["reads.csv"], &["--policy", "demand", "--policy", "forewarm"]);
    let document = Document::read(&page);
    let number = |row: usize, field: &str| rows[row][field].as_f64().unwrap();
    let percent = |share: f64| format!("{:.1} %", share * 100.0);
    let removed = 1.0 - number(1, "misses") / number(0, "misses");
    assert!(removed > 0.1, "{rows:?}");
    let lead = format!(
        "At threshold 0.5, forewarm would have removed {} of the misses for {} more loads.",
        percent(removed),
        percent(number(1, "loads_vs_demand"))
    );
    assert!(document.text.contains(&lead), "{lead}\n{}", document.text);
    for figure in [
        percent(number(0, "hit_ratio")),
        percent(number(1, "hit_ratio")),
        format!("Brier score {:.3}", number(1, "brier_score")),
        format!("calibration error {:.3}", number(1, "calibration_error")),
        "forewarm 0.1 to 0.8".to_owned(),
        "None were learned.".to_owned(),
    ] {
        assert!(document.text.contains(&figure), "{figure}\n{}", document.text);
    }
    let charts = document.tags.iter().filter(|tag| tag.has("class", "chart")).count();
    assert_eq!((charts, rows.len()), (4, 2), "what is swept besides is not printed");
}

#[test]
fn given_thresholds_are_those_of_the_page() {
    let thresholds = ["--threshold", "0.3", "--threshold", "0.7", "--threshold", "0.45"];
    let policies = ["--policy", "forewarm", "--policy", "refresh"];
    let (_, page) = reported(&["reads.csv"], &[&thresholds[..], &policies].concat());
    let text = Document::read(&page).text;
    for part in ["At threshold 0.45, ", "forewarm 0.3 to 0.7", "refresh 0.3 to 0.7"] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    assert!(!text.contains("forewarm 0.8") && !text.contains("forewarm 0.5"), "{text}");
}

#[test]
fn names_are_shown_as_they_are_and_do_nothing() {
    let (_, page) = reported(&[&format!("{HOSTILE}.csv")], &[]);
    let document = Document::read(&page);
    let shown = HOSTILE.replace('\u{7f}', "\u{fffd}");
    assert_eq!(document.text.matches(&shown).count(), 2, "in the title and in the heading");
    assert!(!document.elements().contains("script"));
}

/// Clients that read one of these keys and then the next, time and again.
fn pairs(names: &[&str]) -> String {
    let mut lines = "timestamp_s,key,client\n".to_owned();
    for second in 0..4_000 {
        let (round, step) = (second / 2, second % 2);
        let name = names[round % (names.len() / 2) * 2 + step].replace('"', "\"\"");
        lines.push_str(&format!("{second},\"{name}\",c{}\n", round % 40));
    }
    lines
}

#[test]
fn what_was_learned_has_the_names_of_the_keys_which_do_nothing_and_are_not_too_long() {
    let long = "x".repeat(10_000);
    let names = [HOSTILE, "caf\u{e9}/\u{65e5}\u{672c}/\u{5e9}", &long, "short"];
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("reads.csv"), pairs(&names)).unwrap();
    let output = replay(home.path(), &["reads.csv", "--report", "page.html"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let page = fs::read_to_string(home.path().join("page.html")).unwrap();
    let document = Document::read(&page);
    assert!(!document.elements().contains("script"));
    let cut = format!("{}…", "x".repeat(79));
    for shown in [&HOSTILE.replace('\u{7f}', "\u{fffd}"), names[1], &cut, names[3]] {
        assert!(document.text.contains(&format!("trace:{shown}")), "{shown}\n{}", document.text);
    }
    assert!(!page.contains(&"x".repeat(80)), "too long");
    for number in 0..names.len() {
        assert!(!page.contains(&format!("<bdi>trace:{number}<")), "{number}");
    }
}

#[test]
fn keys_that_are_made_up_are_their_numbers() {
    let (_, page) = reported(&[], &["--synthetic", "bundles", "--limit", "4000"]);
    let (_, after) = page.split_once("<bdi>user:").expect("a pair or a rule with a user");
    assert!(after.starts_with(|letter: char| letter.is_ascii_digit()), "{after:.80}");
}

#[test]
fn requests_without_time_and_keys_never_read_again_have_a_page_too() {
    let home = tempfile::tempdir().unwrap();
    let lines = |at: fn(u32) -> u32| {
        let lines: String = (0..200).map(|nth| format!("{},k{nth}\n", at(nth))).collect();
        format!("timestamp_s,key\n{lines}")
    };
    fs::write(home.path().join("at_once.csv"), lines(|_| 0)).unwrap();
    fs::write(home.path().join("once.csv"), lines(|nth| nth)).unwrap();
    let output = replay(home.path(), &["at_once.csv", "once.csv", "--report", "page.html"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let page = fs::read_to_string(home.path().join("page.html")).unwrap();
    let text = Document::read(&page).text;
    for part in ["All requests were made at the same time.", "Nothing was predicted."] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    assert!(!page.contains("NaN") && !page.contains("inf"), "{page}");
}

#[test]
fn a_report_that_cannot_be_written_is_said_before_anything_is_replayed() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("reads.csv"), skewed()).unwrap();
    let output = replay(home.path(), &["reads.csv", "--report", "missing/page.html"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("missing/page.html"), "{said}");
    assert!(output.stdout.is_empty() && !said.contains("requests"), "{said}");
}
