//! The table that a comparison ends with.

/// What came of one feature of one client.
#[derive(Clone, Debug)]
pub struct Row {
    /// The client and its version.
    pub client: String,
    /// The feature's name.
    pub feature: &'static str,
    /// The cell for each way.
    pub cells: Vec<String>,
}

/// The table in Markdown, with the features in this order.
#[must_use]
pub fn render(ways: &[&str], order: &[&str], rows: &[Row]) -> String {
    let mut text = format!("\n| client | feature | {} |\n", ways.join(" | "));
    text.push_str(&format!("|---|---|{}\n", "---|".repeat(ways.len())));
    let mut clients: Vec<&str> = rows.iter().map(|row| row.client.as_str()).collect();
    clients.sort_unstable();
    clients.dedup();
    for client in clients {
        for feature in order {
            let mut same = rows
                .iter()
                .filter(|row| row.client == client && row.feature == *feature);
            if let Some(row) = same.next() {
                let name = feature.replace('_', " ");
                text.push_str(&format!(
                    "| {client} | {name} | {} |\n",
                    row.cells.join(" | ")
                ));
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_by_client_and_in_the_order_asked_for() {
        let row = |client: &str, feature| Row {
            client: client.to_owned(),
            feature,
            cells: vec!["works".to_owned(), "FAILS".to_owned()],
        };
        let rows = [
            row("Java 5", "a_b"),
            row("Java 4", "a_b"),
            row("Java 5", "c"),
        ];
        let table = render(&["direct", "Remora"], &["c", "a_b", "not_run"], &rows);
        let lines: Vec<&str> = table.lines().skip(1).collect();
        assert_eq!(
            lines,
            [
                "| client | feature | direct | Remora |",
                "|---|---|---|---|",
                "| Java 4 | a b | works | FAILS |",
                "| Java 5 | c | works | FAILS |",
                "| Java 5 | a b | works | FAILS |",
            ]
        );
    }
}
