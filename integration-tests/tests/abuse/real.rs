//! Placeholder.
pub(crate) fn all() -> Vec<(String, crate::Test)> {
    Vec::new()
}
