//! Headers in JSON, and what only resembles it.

use super::plain_text;
use crate::random::Random;

/// A string of JSON, some of its characters escaped.
fn text(random: &mut Random) -> String {
    let mut out = "\"".to_owned();
    let odd = random.once_in(4);
    for c in plain_text(random).chars() {
        match c {
            _ if c < ' ' || odd && random.once_in(3) => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    out += &format!("\\u{unit:04x}");
                }
            }
            _ => out.push(c),
        }
        if odd && random.once_in(5) {
            out += random.pick(&[
                "\\\"", "\\\\", "\\/", "\\b", "\\n", "\\t", "\\ud83d", "\\ude00", "\\u0000",
                "\\u00e9", "\\uFFFF",
            ]);
        }
    }
    out + "\""
}

const NUMBERS: [&str; 47] = [
    "0",
    "-0",
    "7",
    "-7",
    "+7",
    "007",
    "00",
    "7.0",
    "7.9",
    "-7.9",
    "1.50",
    "0.1",
    "0.0000001",
    "-0.00",
    "1e2",
    "1E+2",
    "2e0",
    "100E-2",
    "1.5e300",
    "1e400",
    "2147483647",
    "2147483648",
    "-2147483648",
    "-2147483649",
    "4294967303",
    "4294967303.5",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775809",
    "123456789012345678901234567890",
    "12345678901234567890123456789012345678901234567890",
    "0.33333333333333333333",
    "1.",
    ".5",
    "1e",
    "-",
    "7L",
    "0x10",
    "NaN",
    "1e2048",
    "+2147483647",
    "+1234567890.5",
    "1234567890123456789012345678901234567890e-37",
    "-1234567890123456789012345678901234567890e9",
    "1234567890123456789012345678901234567890e0",
    "999999999999999999",
    "1000000000000000000",
];

/// A value of any kind.
fn value(random: &mut Random, depth: u8) -> String {
    match random.below(if depth > 3 { 7 } else { 10 }) {
        0 => "null".to_owned(),
        1 => random.pick(&["true", "false"]).to_owned(),
        2 => random.pick(&NUMBERS).to_owned(),
        3 => random.next().to_string(),
        4..7 => text(random),
        7 => {
            let elements: Vec<String> = (0..random.below(4))
                .map(|_| value(random, depth + 1))
                .collect();
            format!("[{}]", elements.join(space(random, ",").as_str()))
        }
        _ => {
            let members: Vec<String> = (0..random.below(4))
                .map(|_| {
                    format!(
                        "{}{}{}",
                        name(random),
                        space(random, ":"),
                        value(random, depth + 1)
                    )
                })
                .collect();
            format!("{{{}}}", members.join(","))
        }
    }
}

fn space(random: &mut Random, token: &str) -> String {
    if random.once_in(8) {
        format!(
            "{}{token}{}",
            random.pick(&["", " ", "\n", "\t"]),
            random.pick(&["", " ", "\r\n", "\t "])
        )
    } else {
        token.to_owned()
    }
}

/// The name of an ext field or of a member of a value.
fn name(random: &mut Random) -> String {
    match random.below(12) {
        0..9 => format!(
            "\"{}\"",
            random.pick(&[
                "a",
                "b",
                "i",
                "topic",
                "consumerGroup",
                "queueId",
                "msgId",
                "bname",
                "AccessKey",
                "Signature",
                "__ZONE_MODE"
            ])
        ),
        9 => random
            .pick(&[
                "\"\"",
                "\"@type\"",
                "\"$ref\"",
                "\"null\"",
                "\"opaque\"",
                "\"t\\u006fpic\"",
                "\"é😀\"",
                "\"é😀\\n\"",
                "\"😀\\\"\"",
            ])
            .to_owned(),
        _ => text(random),
    }
}

fn ext_fields(random: &mut Random) -> String {
    let count = if random.once_in(20) {
        40
    } else {
        random.below(9)
    };
    let odd = random.once_in(3);
    let fields: Vec<String> = (0..count)
        .map(|_| {
            let value = if odd && random.once_in(3) {
                value(random, 0)
            } else if random.once_in(6) {
                random.below(100_000).to_string()
            } else {
                text(random)
            };
            let name = if odd {
                name(random)
            } else {
                format!(
                    "\"{}\"",
                    random.pick(&["a", "b", "topic", "queueId", "transactionId"])
                )
            };
            format!("{name}:{value}")
        })
        .collect();
    format!("{{{}}}", fields.join(space(random, ",").as_str()))
}

const UNKNOWN: [&str; 24] = [
    "namespaceId",
    "onewayRPC",
    "customHeader",
    "cachedHeader",
    "serialize_type",
    "body",
    "responseType",
    "type",
    "suspended",
    "processTimer",
    "callbackList",
    "Opaque",
    "_opaque",
    "isOpaque",
    "OPAQUE",
    "extfields",
    "ext_fields",
    "Code",
    "traceparent",
    "",
    "@type",
    "$ref",
    "opaque\\u0000",
    "opaqu\\u0065",
];

fn int(random: &mut Random, odd: bool) -> String {
    match random.below(if odd { 6 } else { 2 }) {
        0 => random.below(1000).to_string(),
        1 => (random.next() as i32).to_string(),
        2 => random.pick(&NUMBERS).to_owned(),
        3 => format!("\"{}\"", random.pick(&NUMBERS)),
        4 => random
            .pick(&[
                "\"\\u0037\"",
                "\"1\\x30\"",
                "\"-\\u0031\"",
                "\"1,000\"",
                "\"0,007\"",
            ])
            .to_owned(),
        _ => value(random, 2),
    }
}

pub(super) fn header(random: &mut Random) -> String {
    let odd = random.once_in(2);
    let mut entries = Vec::new();
    let mut add = |random: &mut Random, key: &str, value: String| {
        if !random.once_in(if odd { 12 } else { 60 }) {
            entries.push(format!(
                "\"{key}\"{}{value}",
                if odd {
                    space(random, ":")
                } else {
                    ":".to_owned()
                }
            ));
        }
    };
    let strange = |random: &mut Random| odd && random.once_in(4);
    let code = strange(random);
    let value_of = int(random, code);
    add(random, "code", value_of);
    if !random.once_in(5) {
        let fields = if strange(random) && random.once_in(4) {
            value(random, 0)
        } else {
            ext_fields(random)
        };
        add(random, "extFields", fields);
    }
    let flag = if strange(random) {
        int(random, true)
    } else {
        random.below(4).to_string()
    };
    add(random, "flag", flag);
    let language = if strange(random) {
        if random.once_in(2) {
            value(random, 2)
        } else {
            random
                .pick(&[
                    "13",
                    "12",
                    "14",
                    "\"é😀\"",
                    "\"go\"",
                    "\"_GO\"",
                    "\"9\"",
                    "\"\\u0039\"",
                    "\"KLINGON\"",
                    "\"\\u004aAVA\"",
                    "null",
                    "1.5",
                    "\"G\\u004f\"",
                ])
                .to_owned()
        }
    } else {
        format!(
            "\"{}\"",
            random.pick(&["JAVA", "GO", "CPP", "RUST", "NODE_JS", "OTHER", "KLINGON"])
        )
    };
    add(random, "language", language);
    let strange_opaque = strange(random);
    let opaque = int(random, strange_opaque);
    add(random, "opaque", opaque);
    if random.once_in(3) {
        let remark = if strange(random) {
            value(random, 0)
        } else {
            text(random)
        };
        add(random, "remark", remark);
    }
    if random.once_in(2) {
        let kind = if strange(random) {
            value(random, 2)
        } else {
            random
                .pick(&[
                    "\"JSON\"",
                    "\"ROCKETMQ\"",
                    "\"é😀\"",
                    "\"X\"",
                    "\"\\u0035\"",
                    "\"rocket-\\u006dq\"",
                ])
                .to_owned()
        };
        add(random, "serializeTypeCurrentRPC", kind);
    }
    let strange_version = strange(random);
    let version = int(random, strange_version);
    add(random, "version", version);
    if odd {
        for _ in 0..random.below(3) {
            let key = random.pick(&UNKNOWN);
            let unknown = value(random, 0);
            add(random, key, unknown);
        }
        if random.once_in(4) {
            let key = random.pick(&["code", "opaque", "flag", "remark", "extFields", "language"]);
            let again = if key == "extFields" {
                ext_fields(random)
            } else {
                value(random, 1)
            };
            add(random, key, again);
        }
        // In any order.
        for at in (1..entries.len()).rev() {
            entries.swap(at, random.below(at + 1));
        }
    }
    if random.once_in(500) {
        let depth = 1 + random.below(400);
        entries.push(format!("\"x\":{}{}", "[".repeat(depth), "]".repeat(depth)));
    }
    let separator = if odd {
        space(random, ",")
    } else {
        ",".to_owned()
    };
    let end = if random.once_in(10) { "\n" } else { "" };
    format!("{{{}}}{end}", entries.join(&separator))
}
