//! Makes an input from others.

use crate::random::Random;

/// Bytes on which something may hinge.
const BYTES: [u8; 12] = [0, 1, 2, 7, 8, 0x0a, 0x20, b'0', 0x7f, 0x80, 0xfe, 0xff];

/// Numbers on which something may hinge.
const NUMBERS: [i64; 20] = [
    -1,
    0,
    1,
    3,
    4,
    7,
    8,
    16,
    107,
    127,
    128,
    255,
    256,
    0x7fff,
    0x8000,
    0xffff,
    0x0001_0000,
    0x00ff_ffff,
    i32::MAX as i64,
    i32::MIN as i64,
];

/// Changes an input in a few places.
pub(crate) fn mutate(random: &mut Random, input: &mut Vec<u8>, other: &[u8], tokens: &[&[u8]]) {
    let most = if random.once_in(4) { 8 } else { 3 };
    for _ in 0..=random.below(most) {
        change(random, input, other, tokens);
    }
}

fn change(random: &mut Random, input: &mut Vec<u8>, other: &[u8], tokens: &[&[u8]]) {
    let at = random.below(input.len() + 1);
    let end = input.len().min(at + 1 + length(random));
    match random.below(12) {
        0 => {
            if let Some(byte) = input.get_mut(at) {
                *byte ^= 1 << random.below(8);
            }
        }
        1 => {
            let byte = match random.once_in(2) {
                true => random.pick(&BYTES),
                false => random.next() as u8,
            };
            match input.get_mut(at) {
                Some(place) if random.once_in(2) => *place = byte,
                _ => input.insert(at, byte),
            }
        }
        2 => drop(input.drain(at..end)),
        // Twice, or many times.
        3 => {
            let times = if random.once_in(10) {
                random.below(300)
            } else {
                1
            };
            let part = input[at..end].repeat(times);
            drop(input.splice(at..at, part));
        }
        4 | 5 if !tokens.is_empty() => {
            let token = random.pick(tokens);
            let over = if random.once_in(2) {
                (at + token.len()).min(input.len())
            } else {
                at
            };
            drop(input.splice(at..over, token.iter().copied()));
        }
        // A number where one may be, or near to it.
        6 | 7 => {
            let width = random.pick(&[1, 2, 2, 3, 4, 4, 8]);
            let here = input.get(at..at + width).unwrap_or_default();
            let here = here
                .iter()
                .fold(0, |number, byte| number << 8 | i64::from(*byte));
            let number = match random.below(4) {
                0 => random.pick(&NUMBERS),
                1 => input.len() as i64 - random.below(16) as i64,
                _ => here.wrapping_add(random.below(33) as i64 - 16),
            };
            let bytes = number.to_be_bytes();
            let over = (at + width).min(input.len());
            drop(input.splice(at..over, bytes[8 - width..].iter().copied()));
        }
        // The digits of a number.
        8 => {
            let digits: Vec<usize> = (0..input.len())
                .filter(|at| input[*at].is_ascii_digit())
                .collect();
            match digits.get(random.below(digits.len())) {
                Some(digit) if random.once_in(2) => {
                    input[*digit] = b'0' + random.below(10) as u8;
                }
                Some(digit) => {
                    let number = random.pick(&NUMBERS).to_string();
                    drop(input.splice(*digit..=*digit, number.bytes()));
                }
                None => {}
            }
        }
        9 => {
            let from = random.below(other.len() + 1);
            let until = other.len().min(from + length(random));
            let over = if random.once_in(2) { end } else { at };
            drop(input.splice(at..over, other[from..until].iter().copied()));
        }
        // This one's beginning, and the end of the other.
        10 => {
            let from = random.below(other.len() + 1);
            input.truncate(at);
            input.extend_from_slice(&other[from..]);
        }
        _ => {
            if random.once_in(4) {
                input.truncate(at);
            } else if !input.is_empty() {
                // A part is moved to another place.
                let part: Vec<u8> = input.drain(at..end).collect();
                let to = random.below(input.len() + 1);
                drop(input.splice(to..to, part));
            }
        }
    }
}

/// Of a part: mostly a few bytes.
fn length(random: &mut Random) -> usize {
    match random.below(8) {
        0 => random.below(200),
        1 | 2 => random.below(30),
        _ => random.below(8),
    }
}
