//! What the targets of `tests/fuzz` have been tried with and will be again: a file for each, with
//! one input in each line, so that they can be read and compared.

use std::fs;
use std::path::PathBuf;

use crate::workspace::crate_dir;
use anyhow::{Context, Result, bail, ensure};

fn file(target: &str) -> PathBuf {
    crate_dir().join(format!("tests/fuzz/corpus/{target}.txt"))
}

/// The inputs of a target's corpus. A line that starts with `#` is a comment.
///
/// # Errors
/// When there is no such file, or a line in it is not as [`keep`] writes them.
pub fn read(target: &str) -> Result<Vec<Vec<u8>>> {
    let file = file(target);
    let text =
        fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| unescape(line).with_context(|| format!("{}: {line}", file.display())))
        .collect()
}

/// Adds an input to the target's corpus, unless the corpus has it. Returns the input's line and the
/// path of the file.
///
/// # Errors
/// When the file cannot be written.
pub fn keep(target: &str, input: &[u8]) -> Result<String> {
    let file = file(target);
    let line = input.escape_ascii().to_string();
    // Without it a line would be a comment.
    let line = match line.strip_prefix('#') {
        Some(rest) => format!("\\x23{rest}"),
        None => line,
    };
    let mut text = fs::read_to_string(&file).unwrap_or_default();
    if !text.lines().any(|known| known == line) {
        text += &line;
        text.push('\n');
        fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(format!("{line}\nit is a line of {}", file.display()))
}

/// The reverse of `escape_ascii`.
fn unescape(line: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(line.len());
    let mut rest = line.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        bytes.push(match rest.next() {
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(b'x') => {
                let digits: String = rest.by_ref().take(2).map(char::from).collect();
                ensure!(digits.len() == 2, "an escape that ends early");
                u8::from_str_radix(&digits, 16).with_context(|| format!("\\x{digits}"))?
            }
            Some(same @ (b'\\' | b'"' | b'\'')) => same,
            _ => bail!("a backslash that escapes nothing"),
        });
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_escaped_is_read_as_it_was() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(unescape(&all.escape_ascii().to_string()).unwrap(), all);
        assert!(unescape("\\").is_err() && unescape("\\q").is_err() && unescape("\\x4").is_err());
    }
}
