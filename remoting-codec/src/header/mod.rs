//! The two header serializations: where the fields of a header lie in its bytes.
//!
//! [`json`] and [`binary`] read the canonical form, the one that clients write, in one pass and
//! without allocating. All other headers are read by [`rewrite`] as a broker reads them, and
//! written again in the canonical form. So only canonical headers are forwarded.

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
