//! Room for a share of the keys, and no ttl: beside Mithril, moka and LRU.

use crate::line::Bound::{AtLeast, AtMost};
use crate::line::{Goal, Line};
use crate::mithril::{self, CELLS, Mithril};
use crate::plan::Plan;
use crate::replays::{Results, Row};
use crate::setting::{Setting, Source};
use crate::traces::{ORM, Scope};

const MITHRIL: Goal =
    Goal { name: "cells with a miss ratio up to Mithril's", gate: Some(AtLeast(30.0)), aim: None };
const LOST: Goal = Goal {
    name: "cells lost to Mithril where it pays <= +50 % loads",
    gate: None,
    aim: Some(AtMost(0.0)),
};
const BESIDE_MITHRIL: Goal = Goal::new("miss ratio over Mithril's", AtMost(0.0), AtMost(0.0));
const MOKA: Goal = Goal::new("misses beside plain moka, mean", AtMost(-0.20), AtMost(-0.30));
const BESIDE_MOKA: Goal = Goal { name: "misses beside plain moka", gate: None, aim: None };
const OBJECTS: Goal =
    Goal::new("miss ratio with the objects of a database", AtMost(0.075), AtMost(0.060));
const MEAN_HITS: Goal =
    Goal::new("hit ratio over moka without preloads, mean points", AtLeast(2.0), AtLeast(3.0));
const WORST_HITS: Goal =
    Goal::new("hit ratio over LRU and moka without preloads, points", AtLeast(-3.5), AtLeast(-1.0));

/// The figures of the table are rounded to three decimals.
const ROUNDING: f64 = 0.0005;

/// Loads of Mithril, in percent more than those of LRU, above which no cell is aimed at.
const RUINOUS: u32 = 50;

/// A trace at a size.
struct Cell<'a> {
    setting: Setting,
    forewarm: &'a Row,
    demand: &'a Row,
    lru: &'a Row,
    moka: &'a Row,
}

pub(crate) fn plan(plan: &mut Plan, scope: Scope) {
    for setting in scope.with_sizes() {
        plan.want(setting, &["forewarm", "lru", "moka"]);
    }
}

pub(crate) fn lines(results: &Results, scope: Scope) -> Vec<Line> {
    let settings = scope.with_sizes();
    let cells = settings.iter().map(|setting| cell(results, *setting));
    let cells: Vec<_> = cells.filter_map(Result::ok).collect();
    let mut lines = beside_mithril(&cells);
    lines.extend(beside_moka(&cells));
    let objects = Setting::with_capacity(Source::Trace(ORM), 10);
    let miss_ratio = cell(results, objects).map(|cell| cell.forewarm.miss_ratio);
    lines.push(OBJECTS.line(objects.label(), miss_ratio));
    lines.extend(without_preloads(&cells));
    lines
}

fn cell(results: &Results, setting: Setting) -> Result<Cell<'_>, String> {
    let rows = results.rows(&setting)?;
    Ok(Cell {
        setting,
        forewarm: rows.one("forewarm")?,
        demand: rows.one("demand")?,
        lru: rows.one("lru")?,
        moka: rows.one("moka")?,
    })
}

fn beside_mithril(cells: &[Cell<'_>]) -> Vec<Line> {
    let pairs = cells.iter().filter_map(|cell| {
        let mithril = mithril::cell(cell.setting.source.name(), cell.setting.capacity?)?;
        Some((cell, mithril))
    });
    let pairs: Vec<(&Cell<'_>, Mithril)> = pairs.collect();
    let over = |(cell, mithril): &(&Cell<'_>, Mithril)| {
        let over = cell.forewarm.miss_ratio - mithril.miss_ratio;
        if over <= ROUNDING { over.min(0.0) } else { over }
    };
    let details = pairs.iter().map(|pair| {
        let (cell, mithril) = pair;
        let extra = (cell.forewarm.loads / cell.lru.loads - 1.0) * 100.0;
        let (ours, theirs) = (cell.forewarm.miss_ratio, mithril.miss_ratio);
        let note = format!("{ours:.3} at {extra:+.0} %, {theirs:.3} at {:+} %", mithril.extra);
        BESIDE_MITHRIL.detail(cell.setting.label(), Ok(over(pair))).noting(note)
    });
    let is_lost = |pair: &&(&Cell<'_>, Mithril)| over(pair) > 0.0;
    let lost = pairs.iter().filter(is_lost).count();
    let dear = pairs.iter().filter(is_lost).filter(|(_, mithril)| mithril.extra > RUINOUS).count();
    let summaries = [
        over_all(MITHRIL, cells, (pairs.len() - lost) as f64),
        over_all(LOST, cells, (lost - dear) as f64),
    ];
    summaries.into_iter().chain(details).collect()
}

/// At as many entries in all.
fn beside_moka(cells: &[Cell<'_>]) -> Vec<Line> {
    let change = |cell: &Cell<'_>| cell.forewarm.misses / cell.moka.misses - 1.0;
    let details = cells.iter().map(|cell| {
        let more = (cell.forewarm.loads / cell.moka.loads - 1.0) * 100.0;
        BESIDE_MOKA
            .detail(cell.setting.label(), Ok(change(cell)))
            .noting(format!("{more:+.0} % loads"))
    });
    let mean = mean(cells.iter().map(change));
    [over_all(MOKA, cells, mean)].into_iter().chain(details).collect()
}

/// The memory tier alone.
fn without_preloads(cells: &[Cell<'_>]) -> Vec<Line> {
    let points =
        |misses: f64, of: &Cell<'_>| (misses - of.demand.misses) / of.demand.requests * 100.0;
    let over_moka = mean(cells.iter().map(|cell| points(cell.moka.misses, cell)));
    let details: Vec<_> = cells
        .iter()
        .map(|cell| {
            let better = cell.moka.misses.min(cell.lru.misses);
            WORST_HITS.detail(cell.setting.label(), Ok(points(better, cell)))
        })
        .collect();
    let summaries = [over_all(MEAN_HITS, cells, over_moka), WORST_HITS.worst(&details)];
    summaries.into_iter().chain(details).collect()
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = values.len();
    values.sum::<f64>() / count as f64
}

/// A line about all cells. It is not judged where some of them are missing.
fn over_all(goal: Goal, cells: &[Cell<'_>], value: f64) -> Line {
    if cells.is_empty() {
        return goal.line("all cells", Err("skipped: no trace is here".to_owned()));
    }
    let line = goal.line("all cells", Ok(value));
    let counted = format!("of {} cells", cells.len());
    if cells.len() < CELLS { line.partial(counted) } else { line.noting(counted) }
}
