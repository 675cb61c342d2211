//! The handle of a delayed message, which the broker has made.

use base64::Engine as _;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};

/// The broker of a recall handle (`RecallMessageHandle`): base64 of `v1 topic broker time id`;
/// `None` if it is no handle of that topic.
#[must_use]
pub fn broker_of_recall(handle: &str, topic: &str) -> Option<String> {
    const LONGEST: usize = 2048;
    let handle = (handle.len() <= LONGEST).then_some(handle)?;
    let decoded = URL_SAFE
        .decode(handle)
        .or_else(|_| URL_SAFE_NO_PAD.decode(handle));
    let text = String::from_utf8(decoded.ok()?).ok()?;
    let mut parts = text.split(' ');
    let (version, of, broker) = (parts.next()?, parts.next()?, parts.next()?);
    (version == "v1" && of == topic && !broker.is_empty()).then(|| broker.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recall_handle_names_its_broker() {
        let handle = URL_SAFE.encode("v1 T broker-a 1700000000000 id");
        assert_eq!(broker_of_recall(&handle, "T").as_deref(), Some("broker-a"));
        assert_eq!(broker_of_recall(&handle, "other"), None);
        for wrong in [
            "",
            "x",
            "!",
            &URL_SAFE.encode("v2 T b 1 i"),
            &URL_SAFE.encode("v1 T"),
        ] {
            assert_eq!(broker_of_recall(wrong, "T"), None);
        }
    }
}
