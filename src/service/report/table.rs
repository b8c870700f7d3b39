//! Tables.

use super::markup::Element;

/// A column: what is in it, and whether that is numbers.
#[derive(Clone, Copy, Debug)]
pub(super) enum Column<'a> {
    Name(&'a str),
    Number(&'a str),
}

/// A table that scrolls by itself where it is wider than the page. The first cell of a row names
/// the row.
pub(super) fn table(caption: &str, columns: &[Column<'_>], rows: &[Vec<String>]) -> Element {
    let head = Element::new("tr").with_all(columns.iter().map(Column::header));
    let body = rows.iter().map(|cells| row(columns, cells));
    let table = Element::new("table")
        .with(Element::of("caption", caption))
        .with(Element::new("thead").with(head))
        .with(Element::new("tbody").with_all(body));
    // Can be focused, since who has no pointer scrolls with the keys.
    Element::new("div")
        .set("class", "scroll")
        .set("role", "region")
        .set("aria-label", caption)
        .set("tabindex", "0")
        .with(table)
}

fn row(columns: &[Column<'_>], cells: &[String]) -> Element {
    let cells = columns.iter().zip(cells).enumerate().map(|(nth, (column, text))| {
        let cell = Element::new(if nth == 0 { "th" } else { "td" });
        let cell = if nth == 0 { cell.set("scope", "row") } else { cell };
        match column {
            // Names may be written from right to left, which is not to disturb their neighbours.
            Column::Name(_) => cell.with(Element::of("bdi", text)),
            Column::Number(_) => cell.set("class", "number").text(text),
        }
    });
    Element::new("tr").with_all(cells)
}

impl Column<'_> {
    fn header(&self) -> Element {
        let header = Element::new("th").set("scope", "col");
        match self {
            Self::Name(name) => header.text(name),
            Self::Number(name) => header.set("class", "number").text(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped_and_numbers_stand_at_the_right() {
        let columns = [Column::Name("key"), Column::Number("reads")];
        let rows = [vec!["<b>".to_owned(), "7".to_owned()]];
        let table = table("keys", &columns, &rows).to_string();
        for part in [
            "<caption>keys</caption>",
            "<th scope=\"col\" class=\"number\">reads</th>",
            "<th scope=\"row\"><bdi>&lt;b&gt;</bdi></th><td class=\"number\">7</td>",
        ] {
            assert!(table.contains(part), "{part}: {table}");
        }
    }
}
