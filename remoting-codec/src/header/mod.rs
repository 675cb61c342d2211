//! The two header serializations: where the fields of a header lie in its bytes.
//!
//! [`json`] and [`binary`] read the canonical form, the one that clients write, in one pass and without allocating. What is
//! not in it, [`rewrite`] reads as a broker does and writes anew in that form. So only the canonical form goes on.

pub(crate) mod binary;
mod head;
mod index;
pub(crate) mod json;
pub(crate) mod rewrite;
mod scanner;
mod span;
pub(crate) mod text;
pub(crate) mod value;

pub(crate) use self::head::Head;
pub(crate) use self::index::{Entry, first_bytes};
pub(crate) use self::span::Span;
