//! The table that a comparison ends with.

use std::collections::BTreeMap;

use anyhow::Result;

use super::Flaw;

type Outcome = Result<Vec<String>>;

/// What the table says about a feature, directly and through Remora.
pub(super) fn row(direct: &Outcome, proxied: &Outcome, flaw: Option<Flaw>) -> [String; 2] {
    let differs = matches!((direct, proxied), (Ok(direct), Ok(proxied)) if direct != proxied);
    let proxied = if differs {
        "DIFFERS".to_owned()
    } else {
        cell(proxied, flaw)
    };
    [cell(direct, flaw), proxied]
}

fn cell(outcome: &Outcome, flaw: Option<Flaw>) -> String {
    match (outcome, flaw) {
        (Ok(_), _) => "works".to_owned(),
        (Err(e), Some(flaw)) if format!("{e:#}").contains(flaw.error) => {
            format!("fails: {}", flaw.why)
        }
        (Err(_), _) => "FAILS".to_owned(),
    }
}

/// The table in Markdown, with the rows in this order.
pub(super) fn render(client: &str, order: &[&str], rows: &BTreeMap<&str, [String; 2]>) -> String {
    let mut text = String::from("\n| client | feature | direct | Remora |\n|---|---|---|---|\n");
    for feature in order {
        if let Some([direct, proxied]) = rows.get(feature) {
            let name = feature.replace('_', " ");
            text.push_str(&format!("| {client} | {name} | {direct} | {proxied} |\n"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;
    use crate::compare::Feature;

    #[test]
    fn known_failures_are_explained_and_others_cry() {
        let known =
            Feature::broken("broken", |_| Ok(()), "not possible", "a flaw of the client").flaw;
        assert_eq!(cell(&Ok(Vec::new()), None), "works");
        assert_eq!(
            cell(&Err(anyhow!("not possible")), known),
            "fails: a flaw of the client"
        );
        assert_eq!(cell(&Err(anyhow!("lost")), known), "FAILS");
        let (some, other) = (Ok(vec!["a".to_owned()]), Ok(vec!["b".to_owned()]));
        assert_eq!(row(&some, &other, None), ["works", "DIFFERS"]);
    }

    #[test]
    fn rows_come_in_the_order_asked_for() {
        let row = ["works".to_owned(), "works".to_owned()];
        let rows = BTreeMap::from([("a_b", row.clone()), ("c", row)]);
        let table = render("Go", &["c", "a_b", "not_run"], &rows);
        let lines: Vec<&str> = table.lines().skip(3).collect();
        assert_eq!(
            lines,
            ["| Go | c | works | works |", "| Go | a b | works | works |"]
        );
    }
}
