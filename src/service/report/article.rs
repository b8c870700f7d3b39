//! All that there is to say of one trace.

use std::borrow::Cow;
use std::time::Duration;

use crate::replay::Row;
use crate::stats::ratio;

use super::figures;
use super::gain::{Gain, within};
use super::markup::Element;
use super::table::{Column, table};
use super::{FOREWARM, Replayed, calibration, label, over_time, trade_off};

/// What is shown of the name of a key, in characters.
const NAME_CHARS: usize = 80;

/// The part of the page that is about one trace; `id` tells it from the others.
pub(super) fn article(replayed: &Replayed, id: &str) -> Element {
    let name = Element::of("bdi", &replayed.trace);
    let plots = Element::new("div")
        .set("class", "plots")
        .with(trade_off::figure(replayed, id))
        .with(calibration::figure(replayed, id))
        .with(over_time::hits(replayed, id))
        .with(over_time::loads(replayed, id));
    Element::new("article")
        .set("id", id)
        .with(Element::new("h1").with(name))
        .with_all(replayed.forewarm().into_iter().flat_map(|row| brought(row, replayed)))
        .with(facts(replayed))
        .with(plots)
        .with(Element::of("h2", "All figures"))
        .with(summary(replayed))
        .with(Element::of("h2", "What was learned"))
        .with(learned(replayed))
}

/// What forewarm would have brought, in words and in figures.
fn brought(row: &Row, replayed: &Replayed) -> [Element; 4] {
    let demand = &replayed.demand;
    let Gain { removed, extra } = Gain::of(row, demand);
    let gain = if removed > 0.0 {
        format!("removed {} of the misses", figures::percent(removed))
    } else {
        "removed no misses".to_owned()
    };
    let cost = if extra < 0.0 {
        format!("with {} fewer loads", figures::percent(-extra))
    } else {
        format!("for {} more loads", figures::percent(extra))
    };
    let lead = Element::new("p")
        .set("class", "lead")
        .text(&format!("At threshold {}, forewarm would have ", row.threshold))
        .with(Element::of("b", &gain))
        .text(" ")
        .with(Element::of("b", &cost))
        .text(".");
    let text = format!(
        "{} misses instead of {}; the hit ratio goes from {} to {}. Of {} keys loaded ahead, {} \
         were read in time and {} never.",
        figures::count(row.misses),
        figures::count(demand.misses),
        figures::percent(demand.hit_ratio),
        figures::percent(row.hit_ratio),
        figures::count(row.preloads),
        figures::count(row.useful),
        figures::count(row.wasted),
    );
    let others = "What the threshold that fits a budget would have removed, by interpolation between \
                  those that were tried:";
    [lead, Element::of("p", &text), Element::of("p", others), budgets(replayed)]
}

/// What other thresholds would have brought, by what they may cost.
fn budgets(replayed: &Replayed) -> Element {
    let all = replayed.all();
    let sweep = all.iter().filter(|row| row.policy == FOREWARM);
    let sweep: Vec<_> = sweep.map(|row| Gain::of(row, &replayed.demand)).collect();
    let budgets = [0.05, 0.1, 0.25, 0.5].map(|budget| {
        let removed = figures::percent(within(budget, &sweep));
        fact(
            &format!("at most {:.0} % more loads", budget * 100.0),
            &format!("{removed} fewer misses"),
        )
    });
    Element::new("dl").set("class", "budgets").with_all(budgets)
}

/// What was replayed, and how.
fn facts(replayed: &Replayed) -> Element {
    let Replayed { demand, .. } = replayed;
    let none = || "none".to_owned();
    let seconds =
        |seconds: f64| figures::span(Duration::try_from_secs_f64(seconds).unwrap_or_default());
    let count = u32::try_from(demand.outcome.series.parts.len()).unwrap_or(1);
    let of_all = ratio(demand.requests, replayed.requests);
    let clients =
        if replayed.clients == 0 { "unknown".to_owned() } else { figures::count(replayed.clients) };
    let facts = [
        ("requests", figures::count(replayed.requests)),
        (
            "of these counted",
            format!("{} ({})", figures::count(demand.requests), figures::percent(of_all)),
        ),
        ("keys", figures::count(replayed.keys)),
        ("clients", clients),
        ("span", figures::span(demand.outcome.series.part * count)),
        ("ttl", demand.ttl_s.map_or_else(none, seconds)),
        (
            "capacity",
            demand.capacity.map_or_else(none, |keys| format!("{} keys", figures::count(keys))),
        ),
        ("latency of the source", seconds(demand.latency_s)),
        ("threshold", replayed.threshold.to_string()),
        ("seed", replayed.seed.to_string()),
    ];
    let facts = facts.iter().map(|(name, value)| fact(name, value));
    Element::new("dl").set("class", "facts").with_all(facts)
}

fn fact(name: &str, value: &str) -> Element {
    Element::new("div").with(Element::of("dt", name)).with(Element::of("dd", value))
}

/// Every policy and threshold.
fn summary(replayed: &Replayed) -> Element {
    let columns = [
        Column::Name("policy"),
        Column::Number("misses"),
        Column::Number("miss ratio"),
        Column::Number("hit ratio"),
        Column::Number("removed"),
        Column::Number("loads"),
        Column::Number("vs demand"),
        Column::Number("preloads"),
        Column::Number("useful"),
        Column::Number("wasted"),
        Column::Number("late"),
        Column::Number("precision"),
        Column::Number("p50 ms"),
        Column::Number("p99 ms"),
        Column::Number("cpu s"),
    ];
    let rows: Vec<_> = replayed.all().into_iter().map(|row| cells(row, &replayed.demand)).collect();
    table("All policies and thresholds that were replayed", &columns, &rows)
}

fn cells(row: &Row, demand: &Row) -> Vec<String> {
    let Gain { removed, extra } = Gain::of(row, demand);
    vec![
        label(row),
        figures::count(row.misses),
        figures::percent(row.miss_ratio),
        figures::percent(row.hit_ratio),
        figures::percent(removed),
        figures::count(row.loads),
        figures::change(extra),
        figures::count(row.preloads),
        figures::count(row.useful),
        figures::count(row.wasted),
        figures::count(row.late),
        row.precision.map_or_else(String::new, |share| format!("{share:.3}")),
        format!("{:.1}", row.wait_p50_ms),
        format!("{:.1}", row.wait_p99_ms),
        format!("{:.2}", row.cpu_s),
    ]
}

/// The surest associations and the rules.
fn learned(replayed: &Replayed) -> Element {
    let learned = Element::new("div").set("class", "learned");
    let Some(row) = replayed.forewarm() else { return learned };
    let named = |resource: &str, key: &str| format!("{resource}:{}", shortened(key));
    let associations = row.outcome.pairs.iter().map(|pair| {
        let related = &pair.related;
        vec![
            named(&pair.resource, &pair.key),
            named(&related.resource, &related.key),
            figures::percent(related.confidence),
            format!("{:.1}", related.weight),
        ]
    });
    let rules = row.outcome.rules.iter().map(|rule| {
        vec![rule.from.to_string(), rule.to.to_string(), figures::percent(rule.confidence)]
    });
    let (from, to) = (Column::Name("after a read of"), Column::Name("often follows"));
    let (confidence, weight) = (Column::Number("confidence"), Column::Number("weight"));
    learned
        .with(found(
            "Associations",
            &[from, to, confidence, weight],
            &associations.collect::<Vec<_>>(),
        ))
        .with(found("Rules", &[from, to, confidence], &rules.collect::<Vec<_>>()))
}

/// The beginning of a name, where all of it would make a table unreadable.
fn shortened(name: &str) -> Cow<'_, str> {
    match name.char_indices().nth(NAME_CHARS - 1) {
        Some((end, last)) if end + last.len_utf8() < name.len() => {
            format!("{}…", name.get(..end).unwrap_or_default()).into()
        }
        _ => name.into(),
    }
}

fn found(heading: &str, columns: &[Column<'_>], rows: &[Vec<String>]) -> Element {
    let section = Element::new("section").with(Element::of("h3", heading));
    if rows.is_empty() {
        section.with(Element::of("p", "None were learned."))
    } else {
        section.with(table(heading, columns, rows))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_are_cut_between_characters_and_others_are_whole() {
        for letter in ["x", "\u{fc}", "\u{1f600}"] {
            for (letters, is_cut) in
                [(0, false), (79, false), (80, false), (81, true), (9_999, true)]
            {
                let name = letter.repeat(letters);
                let expected = if is_cut { letter.repeat(79) + "…" } else { name.clone() };
                assert_eq!(shortened(&name), expected, "{letters} times {letter}");
            }
        }
    }

    #[test]
    fn keys_are_shown_as_they_are_and_nothing_is_said_to_be_nothing() {
        let columns = [Column::Name("key"), Column::Number("confidence")];
        let rows = [vec!["</td><script>".to_owned(), "90.0 %".to_owned()]];
        let section = found("Associations", &columns, &rows).to_string();
        assert!(section.contains("<bdi>&lt;/td&gt;&lt;script&gt;</bdi>"), "{section}");
        let section = found("Rules", &columns, &[]).to_string();
        assert!(section.contains("None were learned.") && !section.contains("table"), "{section}");
    }
}
