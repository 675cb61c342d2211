//! The expressions that are shipped.

use std::fs;

use anyhow::{Context, Result};
use integration_tests::workspace::crate_dir;
use serde_json::Value;

/// Those of a file of rules. What an alert compares with is left out: it has data whether it fires
/// or not.
pub(crate) fn of_rules(path: &str) -> Result<Vec<String>> {
    let text = read(path)?;
    let mut expressions = Vec::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let Some((indent, given)) = line.split_once("expr:") else {
            continue;
        };
        let mut expression = given.trim().to_owned();
        if expression == "|" {
            expression.clear();
            let deeper = |line: &&str| {
                line.len() - line.trim_start().len() > indent.len() || line.trim().is_empty()
            };
            while let Some(line) = lines.next_if(deeper) {
                expression.push_str(line.trim());
                expression.push('\n');
            }
        }
        expressions.push(without_threshold(expression.trim()).to_owned());
    }
    Ok(expressions)
}

/// An alert's threshold is its last line.
fn without_threshold(expression: &str) -> &str {
    match expression.rsplit_once('\n') {
        Some((measured, last)) if last.starts_with(['<', '>']) => measured,
        _ => expression,
    }
}

/// The expressions of a dashboard, with all choices of its variables.
pub(crate) fn of_dashboard(path: &str) -> Result<Vec<String>> {
    let dashboard: Value = serde_json::from_str(&read(path)?)?;
    let mut expressions = Vec::new();
    collect(&dashboard, &mut expressions);
    for expression in &mut expressions {
        for (variable, value) in [
            ("$namespace", ".*"),
            ("$cluster", ".*"),
            ("$node_id", ".*"),
            ("$__rate_interval", "15s"),
        ] {
            *expression = expression.replace(variable, value);
        }
    }
    Ok(expressions)
}

fn collect(value: &Value, expressions: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            if let Some(Value::String(expression)) = fields.get("expr") {
                expressions.push(expression.clone());
            }
            fields
                .values()
                .for_each(|value| collect(value, expressions));
        }
        Value::Array(values) => values.iter().for_each(|value| collect(value, expressions)),
        _ => {}
    }
}

fn read(path: &str) -> Result<String> {
    let path = crate_dir().join("..").join(path);
    fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
}
