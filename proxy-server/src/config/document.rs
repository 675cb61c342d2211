//! The configuration as text: the example file, the table of the docs, and what is in effect.

use std::fmt::Write;

use super::entry::Entry;
use super::keys::{
    Breaker, BrokerListener, Certificate, ConnectionAge, Credentials, Drain, File, Http, Limits,
    Listener, Metrics, Routes, SlowLog, Timeouts, Tls, UpstreamTls,
};

/// Longest line of a comment.
const WIDTH: usize = 100;

/// Before a value of the file in `/config` that is not in effect.
const WAITING: &str = "# waits for a restart:";

/// A kind of table, with the keys of each table of this kind that a file has.
struct Section {
    /// How such a table is opened; empty for what stands before any table.
    head: &'static str,
    about: String,
    tables: Vec<Vec<Entry>>,
    /// Whether the example has it as a comment.
    optional: bool,
}

impl Section {
    /// The name of a key, as the log has it: `limits.frame_bytes`.
    fn name(&self, key: &str) -> String {
        let table = self.table_name();
        match table {
            "" => key.to_owned(),
            table => format!("{table}.{key}"),
        }
    }

    fn table_name(&self) -> &str {
        self.head.trim_matches(['[', ']'])
    }
}

/// All kinds of tables, always in the same order.
fn sections(file: &File) -> Vec<Section> {
    let one = |head, about, entries| Section {
        head,
        about,
        tables: vec![entries],
        optional: false,
    };
    let several = |head, about, tables, optional| Section {
        head,
        about,
        tables,
        optional,
    };
    let listeners = file.listener.iter().map(Listener::entries);
    let own = file.broker_listener.iter().map(BrokerListener::entries);
    let certificates = file.tls.certificate.iter().map(Certificate::entries);
    vec![
        one("", File::about(), file.entries()),
        several(
            "[[listener]]",
            Listener::about(),
            listeners.collect(),
            false,
        ),
        several(
            "[[broker_listener]]",
            BrokerListener::about(),
            own.collect(),
            true,
        ),
        one("[limits]", Limits::about(), file.limits.entries()),
        one("[routes]", Routes::about(), file.routes.entries()),
        one("[timeouts]", Timeouts::about(), file.timeouts.entries()),
        one("[breaker]", Breaker::about(), file.breaker.entries()),
        one("[drain]", Drain::about(), file.drain.entries()),
        one(
            "[connection_age]",
            ConnectionAge::about(),
            file.connection_age.entries(),
        ),
        one("[tls]", Tls::about(), file.tls.entries()),
        several(
            "[[tls.certificate]]",
            Certificate::about(),
            certificates.collect(),
            true,
        ),
        one(
            "[upstream_tls]",
            UpstreamTls::about(),
            file.upstream_tls.entries(),
        ),
        one(
            "[credentials]",
            Credentials::about(),
            file.credentials.entries(),
        ),
        one("[metrics]", Metrics::about(), file.metrics.entries()),
        one("[slow_log]", SlowLog::about(), file.slow_log.entries()),
        one("[http]", Http::about(), file.http.entries()),
    ]
}

/// The names of the keys whose values differ. Where a file has more tables of a kind than the
/// other, it is the name of the table.
pub(super) fn differences(one: &File, other: &File) -> Vec<String> {
    let mut names = Vec::new();
    for (one, other) in sections(one).iter().zip(&sections(other)) {
        if one.tables.len() != other.tables.len() {
            names.push(one.table_name().to_owned());
            continue;
        }
        for (mine, theirs) in one.tables.iter().zip(&other.tables) {
            let pairs = mine.iter().zip(theirs);
            let differing = pairs.filter(|(mine, theirs)| mine.value != theirs.value);
            for name in differing.map(|(entry, _)| one.name(entry.key)) {
                if !names.contains(&name) {
                    names.push(name);
                }
            }
        }
    }
    names
}

/// The text of `/config`: a file with what is in effect, and as comments what waits for a restart
/// because only the file has it. The secret key is in none of its keys.
pub(super) fn effective(in_effect: &File, file: &File) -> String {
    let mut text = String::new();
    for (now, waiting) in sections(in_effect).iter().zip(&sections(file)) {
        let same = now.tables.len() == waiting.tables.len();
        for (number, entries) in now.tables.iter().enumerate() {
            if !now.head.is_empty() {
                let _ = writeln!(text, "\n{}", now.head);
            }
            let waiting = waiting.tables.get(number).filter(|_| same);
            for (index, entry) in entries.iter().enumerate() {
                assign(&mut text, "", entry);
                let waiting = waiting.and_then(|entries| entries.get(index));
                match waiting.filter(|waiting| waiting.value != entry.value) {
                    None => {}
                    Some(Entry { value: None, .. }) => {
                        let _ = writeln!(text, "{WAITING} {} is not set", entry.key);
                    }
                    Some(waiting) => assign(&mut text, WAITING, waiting),
                }
            }
        }
        if same {
            continue;
        }
        let (count, head) = (waiting.tables.len(), waiting.head);
        let _ = writeln!(text, "\n{WAITING} {count} of {head}");
        for entries in &waiting.tables {
            let _ = writeln!(text, "{WAITING} {head}");
            for entry in entries {
                assign(&mut text, WAITING, entry);
            }
        }
    }
    text
}

fn assign(text: &mut String, before: &str, entry: &Entry) {
    if let Some(value) = &entry.value {
        let space = if before.is_empty() { "" } else { " " };
        let _ = writeln!(text, "{before}{space}{} = {value}", entry.key);
    }
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

/// Every kind of table once, at its defaults.
fn documented() -> Vec<Section> {
    let mut file = File::default();
    file.listener.push(Listener::default());
    file.broker_listener.push(BrokerListener::default());
    file.tls.certificate.push(Certificate::default());
    sections(&file)
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
    for section in documented() {
        let hidden = if section.optional { "# " } else { "" };
        if !section.head.is_empty() {
            text.push('\n');
            comment(&mut text, &section.about);
            let _ = writeln!(text, "{hidden}{}", section.head);
        }
        for entry in section.tables.iter().flatten() {
            comment(&mut text, &entry.doc);
            let given = example_value(section.head, entry.key);
            // Name servers are the only key that must be set.
            let (hidden, value) = match &entry.value {
                Some(value) if given.is_empty() => (hidden, value.to_string()),
                _ if entry.key == "name_servers" => ("", given.to_owned()),
                _ => ("# ", given.to_owned()),
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
    for section in documented() {
        if section.head.is_empty() {
            let _ = writeln!(text, "{}\n", section.about);
        } else {
            let (head, about) = (section.head, &section.about);
            let _ = writeln!(text, "\n## `{head}`\n\n{about}\n");
        }
        text.push_str("| key | default | SIGHUP | meaning |\n|---|---|---|---|\n");
        for entry in section.tables.iter().flatten() {
            let Entry { key, doc, .. } = entry;
            let value = entry.value.as_ref().map(ToString::to_string);
            let value = value.filter(|value| value != "\"\"");
            let value = value.map_or("–".to_owned(), |value| format!("`{value}`"));
            let applies = if entry.live { "applies" } else { "" };
            let _ = writeln!(text, "| `{key}` | {value} | {applies} | {doc} |");
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
