//! The `key=value` words of a command line or of a command.

use std::{collections::HashMap, str::FromStr, time::Duration};

use crate::Result;

/// Words by their keys; the last one of a key wins.
#[derive(Debug)]
pub(crate) struct Options(HashMap<String, String>);

impl Options {
    pub(crate) fn parse(words: impl Iterator<Item = String>) -> Result<Self> {
        let pair = |word: String| {
            let pair = word.split_once('=').filter(|(key, _)| !key.is_empty());
            let (key, value) = pair.ok_or_else(|| format!("not key=value: {word}"))?;
            Ok((key.to_owned(), value.to_owned()))
        };
        Ok(Self(words.map(pair).collect::<Result<_>>()?))
    }

    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    pub(crate) fn require(&self, key: &str) -> Result<&str> {
        self.text(key).ok_or_else(|| format!("missing: {key}"))
    }

    pub(crate) fn number<T: FromStr>(&self, key: &str, otherwise: T) -> Result<T> {
        let Some(text) = self.text(key) else {
            return Ok(otherwise);
        };
        text.parse().map_err(|_| format!("{key}={text}"))
    }

    pub(crate) fn flag(&self, key: &str) -> bool {
        self.text(key) == Some("true")
    }

    /// A list with commas between; empty when the key is absent.
    pub(crate) fn list(&self, key: &str) -> Vec<&str> {
        let text = self.text(key);
        text.map_or_else(Vec::new, |text| text.split(',').collect())
    }
}

pub(crate) fn millis(number: u64) -> Duration {
    Duration::from_millis(number)
}
