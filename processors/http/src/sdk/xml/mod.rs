//! XML, as much of it as the protocol has: a root with elements that have nothing but text, or, in
//! answers, with elements that have such elements.

mod read;
mod text;
mod write;

pub use read::{Field, Limits, Reader, Step, Text, WORK, XmlError};
pub use text::{is_text, is_valid};
pub use write::Writer;

#[cfg(test)]
#[path = "generated_tests.rs"]
mod tests;
