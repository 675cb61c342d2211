//! Headers of both kinds: plain ones, odd ones that brokers may take, and spoilt ones.

mod json;

use crate::random::Random;

/// A frame without its length field.
pub(crate) fn frame(random: &mut Random) -> Vec<u8> {
    let binary = random.once_in(3);
    let mut header = if binary {
        binary_header(random)
    } else {
        json::header(random).into_bytes()
    };
    if random.once_in(3) {
        for _ in 0..=random.below(3) {
            spoil(random, &mut header);
        }
    }
    let mut frame = (u32::from(binary) << 24 | header.len() as u32)
        .to_be_bytes()
        .to_vec();
    frame.extend(header);
    let body = random.below(40);
    frame.extend((0..body).map(|at| b'a' + at as u8 % 26));
    frame
}

/// What stands in such headers.
pub(crate) const TOKENS: [&[u8]; 34] = [
    b"{",
    b"}",
    b"[",
    b"]",
    b"\"",
    b",",
    b":",
    b"\\",
    b"'",
    b" ",
    b"\\u00e9",
    b"\\ud83d",
    b"\\ude00",
    b"null",
    b"-1",
    b"1e9",
    b"\"opaque\":9,",
    b"\"\\u006fpaque\":9,",
    b"\"topic\":{\"a\":[1]},",
    b"\xff",
    b"\0",
    b"\x7f\xff\xff\xff",
    b"\xff\xff\xff\xff",
    b"\0\x01",
    b"\xf0\x9f\x98\x80",
    b"\xed\xa0\x80",
    b"\xc3",
    b"\0\0\0\x05",
    b"@type",
    b"$ref",
    b"\n",
    b"//",
    b"/*",
    b"true",
];

fn spoil(random: &mut Random, bytes: &mut Vec<u8>) {
    if bytes.is_empty() {
        return;
    }
    let at = random.below(bytes.len());
    let end = bytes.len().min(at + 1 + random.below(20));
    match random.below(5) {
        0 => bytes.truncate(at),
        1 => bytes[at] ^= 1 << random.below(8),
        2 => drop(bytes.splice(at..at, random.pick(&TOKENS).iter().copied())),
        3 => drop(bytes.drain(at..end)),
        _ => {
            let copy = bytes[at..end].to_vec();
            drop(bytes.splice(at..at, copy));
        }
    }
}

const LETTERS: [&str; 26] = [
    "a", "B", "7", " ", "-", "_", ".", "/", "é", "世", "😀", "\u{1}", "\u{2}", "\u{7f}",
    "\u{2028}", "\u{fffd}", "%", "<", "null", "topic", "@", "$", "{", "]", "'", "ÿ",
];

fn plain_text(random: &mut Random) -> String {
    let letters = if random.once_in(2) {
        &LETTERS[..8]
    } else {
        &LETTERS
    };
    let length = if random.once_in(40) {
        300
    } else {
        random.below(14)
    };
    (0..length).map(|_| random.pick(letters)).collect()
}

/// A length, or one that lies.
fn length(random: &mut Random, true_one: usize, odd: bool) -> i64 {
    if odd && random.once_in(10) {
        return random.pick(&[
            -1,
            0,
            1,
            true_one as i64 + 1,
            true_one as i64 - 1,
            true_one as i64 + 20,
            i64::from(i32::MAX),
            i64::from(i32::MIN),
        ]);
    }
    true_one as i64
}

fn bytes(random: &mut Random, odd: bool) -> Vec<u8> {
    let mut bytes = plain_text(random).into_bytes();
    if odd && random.once_in(4) && !bytes.is_empty() {
        let at = random.below(bytes.len());
        bytes[at] = random.next() as u8;
    }
    bytes
}

fn binary_header(random: &mut Random) -> Vec<u8> {
    let odd = random.once_in(2);
    let mut header = Vec::new();
    let any = random.next() as i16;
    let code = random.pick(&[105, 310, 11, 3442, 3448, 3543, -1, any]);
    header.extend(code.to_be_bytes());
    header.push(random.below(if odd { 256 } else { 14 }) as u8);
    header.extend((random.next() as i16).to_be_bytes());
    header.extend((random.next() as i32).to_be_bytes());
    header.extend((random.below(4) as i32).to_be_bytes());
    let remark = if random.once_in(3) {
        bytes(random, odd)
    } else {
        Vec::new()
    };
    header.extend((length(random, remark.len(), odd) as i32).to_be_bytes());
    header.extend(remark);
    let mut fields = Vec::new();
    let most = if random.once_in(20) { 40 } else { 8 };
    for _ in 0..random.below(most) {
        let key = if random.once_in(8) {
            bytes(random, odd)
        } else {
            random
                .pick(&[&b"a"[..], b"b", b"topic", b"queueId", b"consumerGroup"])
                .to_vec()
        };
        if key.is_empty() && !odd {
            continue;
        }
        fields.extend((length(random, key.len(), odd) as i16).to_be_bytes());
        fields.extend(key);
        let value = if random.once_in(10) {
            Vec::new()
        } else {
            bytes(random, odd)
        };
        fields.extend((length(random, value.len(), odd) as i32).to_be_bytes());
        fields.extend(value);
    }
    header.extend((length(random, fields.len(), odd) as i32).to_be_bytes());
    header.extend(fields);
    if odd && random.once_in(4) {
        header.extend(plain_text(random).bytes());
    }
    header
}
