//! Makes an input that fails shorter.

/// Most tries.
const TRIES: usize = 5_000;

/// Takes away and simplifies what an input does not need to fail.
pub(crate) fn shorten(input: &[u8], fails: &mut impl FnMut(&[u8]) -> bool) -> Vec<u8> {
    let mut best = input.to_vec();
    let mut tries = 0;
    let mut part = best.len().div_ceil(2);
    while part > 0 && tries < TRIES {
        let mut at = 0;
        let before = best.len();
        while at < best.len() && tries < TRIES {
            let mut shorter = best.clone();
            shorter.drain(at..(at + part).min(best.len()));
            tries += 1;
            if fails(&shorter) {
                best = shorter;
            } else {
                at += part;
            }
        }
        // What could not go before may go now.
        if part > 1 || best.len() == before {
            part /= 2;
        }
    }
    for at in 0..best.len() {
        for simple in [b'0', b'a'] {
            let mut simpler = best.clone();
            simpler[at] = simple;
            tries += 1;
            if best[at] != b'0' && tries < 2 * TRIES && fails(&simpler) {
                best = simpler;
                break;
            }
        }
    }
    best
}
