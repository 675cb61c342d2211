//! The configuration as text: the example file, the table of the docs, and what is in effect.

use std::fmt::Write;

use super::keys::{
    Breaker, BrokerListener, Certificate, ConnectionAge, Credentials, Drain, Entry, File, Limits,
    Listener, Metrics, Routes, SlowLog, Timeouts, Tls, UpstreamTls,
};

/// Longest line of a comment.
const WIDTH: usize = 100;

/// A table, as it stands in a file.
struct Table {
    /// How it is opened; nothing for what stands before any table.
    head: &'static str,
    about: String,
    entries: Vec<Entry>,
    /// Whether it is there only when it is asked for, so that the example has it as a comment.
    optional: bool,
}

fn tables(file: &File) -> Vec<Table> {
    let table = |head, about, entries| Table {
        head,
        about,
        entries,
        optional: false,
    };
    let optional = |table: Table| Table {
        optional: true,
        ..table
    };
    let mut all = vec![table("", File::about(), file.entries())];
    for listener in &file.listener {
        all.push(table("[[listener]]", Listener::about(), listener.entries()));
    }
    for one in &file.broker_listener {
        let about = BrokerListener::about();
        all.push(optional(table("[[broker_listener]]", about, one.entries())));
    }
    all.extend([
        table("[limits]", Limits::about(), file.limits.entries()),
        table("[routes]", Routes::about(), file.routes.entries()),
        table("[timeouts]", Timeouts::about(), file.timeouts.entries()),
        table("[breaker]", Breaker::about(), file.breaker.entries()),
        table("[drain]", Drain::about(), file.drain.entries()),
        table(
            "[connection_age]",
            ConnectionAge::about(),
            file.connection_age.entries(),
        ),
        table("[tls]", Tls::about(), file.tls.entries()),
    ]);
    for one in &file.tls.certificate {
        let about = Certificate::about();
        all.push(optional(table("[[tls.certificate]]", about, one.entries())));
    }
    all.extend([
        table(
            "[upstream_tls]",
            UpstreamTls::about(),
            file.upstream_tls.entries(),
        ),
        table(
            "[credentials]",
            Credentials::about(),
            file.credentials.entries(),
        ),
        table("[metrics]", Metrics::about(), file.metrics.entries()),
        table("[slow_log]", SlowLog::about(), file.slow_log.entries()),
    ]);
    all
}

/// The file as it would say what is in effect. The secret key is in none of its keys.
pub(super) fn effective(file: &File) -> String {
    let mut text = String::new();
    for table in tables(file) {
        if !table.head.is_empty() {
            let _ = writeln!(text, "\n{}", table.head);
        }
        for entry in table.entries {
            if let Some(value) = entry.value {
                let _ = writeln!(text, "{} = {value}", entry.key);
            }
        }
    }
    text
}

/// What keys without a default are set to in the example.
fn example_value(head: &str, key: &str) -> &'static str {
    match (head, key) {
        ("", "name_servers") => r#"["ns-0:9876", "ns-1:9876"]"#,
        ("", "admin") => r#""127.0.0.1:9100""#,
        ("", "workers") => "2",
        ("", "node_id") => r#""remora-0""#,
        ("[[listener]]", "advertise") => r#""mq.example.com:8080""#,
        ("[[broker_listener]]", "broker") => r#""broker-a""#,
        ("[[broker_listener]]", "bind") => r#""0.0.0.0:10910""#,
        ("[[broker_listener]]", "advertise") => r#""mq.example.com:10910""#,
        ("[tls]", "client_ca") => r#""/etc/remora/tls/clients.crt""#,
        ("[upstream_tls]", "ca") => r#""/etc/remora/tls/brokers.crt""#,
        (_, "certificate") => r#""/etc/remora/tls/tls.crt""#,
        (_, "key") => r#""/etc/remora/tls/tls.key""#,
        ("[credentials]", "access_key") => r#""remora""#,
        ("[credentials]", "secret_key_file") => r#""/etc/remora/secret-key""#,
        _ => "",
    }
}

/// Every table once, at its defaults.
fn documented() -> Vec<Table> {
    let mut file = File::default();
    file.listener.push(Listener::default());
    file.broker_listener.push(BrokerListener::default());
    file.tls.certificate.push(Certificate::default());
    tables(&file)
}

/// `deploy/remora.example.toml`: every key with its default.
#[must_use]
pub fn example() -> String {
    let mut text = String::new();
    comment(
        &mut text,
        "Every key, with its default; one that has none is a comment. Made by `remora --example-config`.",
    );
    text.push('\n');
    for table in documented() {
        let hidden = if table.optional { "# " } else { "" };
        if !table.head.is_empty() {
            text.push('\n');
            comment(&mut text, &table.about);
            let _ = writeln!(text, "{hidden}{}", table.head);
        }
        for entry in &table.entries {
            comment(&mut text, &entry.doc);
            let given = example_value(table.head, entry.key);
            // Name servers are the only key that must be set.
            let (hidden, value) = match &entry.value {
                Some(value) if given.is_empty() => (hidden, value.as_str()),
                _ if entry.key == "name_servers" => ("", given),
                _ => ("# ", given),
            };
            let _ = writeln!(text, "{hidden}{} = {value}", entry.key);
        }
    }
    text
}

/// The table of `proxy-server/docs/configuration.md`.
#[must_use]
pub fn table() -> String {
    let mut text = String::new();
    for table in documented() {
        if table.head.is_empty() {
            let _ = writeln!(text, "{}\n", table.about);
        } else {
            let _ = writeln!(text, "\n## `{}`\n\n{}\n", table.head, table.about);
        }
        text.push_str("| key | default | meaning |\n|---|---|---|\n");
        for entry in &table.entries {
            let value = entry.value.as_deref().filter(|value| *value != "\"\"");
            let value = value.map_or("–".to_owned(), |value| format!("`{value}`"));
            let _ = writeln!(text, "| `{}` | {value} | {} |", entry.key, entry.doc);
        }
    }
    text
}

/// A comment, broken into lines.
fn comment(text: &mut String, words: &str) {
    let mut line = "#".to_owned();
    for word in words.split_whitespace() {
        if line.len() + 1 + word.len() > WIDTH {
            let _ = writeln!(text, "{line}");
            line = "#".to_owned();
        }
        line.push(' ');
        line.push_str(word);
    }
    let _ = writeln!(text, "{line}");
}
