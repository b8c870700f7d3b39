//! The rows of a replay as people read them.

use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{CellAlignment, Table};

use crate::replay::Row;

/// A table without rows, whose columns from the third on hold numbers.
pub(super) fn with_header<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_BORDERS_ONLY);
    table.set_header(header);
    for column in table.column_iter_mut().skip(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

pub(super) fn table(rows: &[Row]) -> String {
    let mut table = with_header([
        "trace",
        "policy",
        "threshold",
        "ttl s",
        "capacity",
        "latency ms",
        "requests",
        "miss %",
        "hit %",
        "late",
        "loads",
        "vs demand",
        "preloads",
        "useful",
        "wasted",
        "precision",
        "p50 ms",
        "p99 ms",
        "cpu s",
    ]);
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "none".to_owned());
    for row in rows {
        table.add_row([
            row.trace.clone(),
            row.policy.to_owned(),
            format!("{}", row.threshold),
            or_none(row.ttl_s.map(|ttl| ttl.to_string())),
            or_none(row.capacity.map(|keys| keys.to_string())),
            format!("{}", row.latency_s * 1e3),
            row.requests.to_string(),
            format!("{:.2}", row.miss_ratio * 100.0),
            format!("{:.2}", row.hit_ratio * 100.0),
            row.late.to_string(),
            row.loads.to_string(),
            row.loads_vs_demand.map_or_else(String::new, |more| format!("{:+.1} %", more * 100.0)),
            row.preloads.to_string(),
            row.useful.to_string(),
            row.wasted.to_string(),
            row.precision.map_or_else(String::new, |share| format!("{share:.3}")),
            format!("{:.1}", row.wait_p50_ms),
            format!("{:.1}", row.wait_p99_ms),
            format!("{:.2}", row.cpu_s),
        ]);
    }
    table.to_string()
}
