//! What reading a header that is not canonical may cost.

#![allow(clippy::unwrap_used, reason = "a test that panics fails")]
#![allow(clippy::disallowed_types, reason = "the test measures elapsed time")]

use std::time::{Duration, Instant};

use remoting_codec::CommandView;

fn frame(header: &str) -> Vec<u8> {
    let mut frame = Vec::new();
    frame.extend((4 + header.len() as u32).to_be_bytes());
    frame.extend((header.len() as u32).to_be_bytes());
    frame.extend(header.as_bytes());
    frame
}

/// The costliest headers of 64 KiB: none may block a worker.
#[test]
fn the_cost_of_a_header_is_linear() {
    let fields = |field: &dyn Fn(usize) -> String, last: &str| {
        let fields: Vec<String> = (0..65_000 / field(10_000).len()).map(field).collect();
        format!(
            r#"{{"opaque":7,"extFields":{{{}}}{last}}}"#,
            fields.join(",")
        )
    };
    let distinct = |nth: usize| format!(r#""{nth}":"""#);
    let same = |_: usize| r#""":0"#.to_owned();
    let escaped = |_: usize| r#""\u0061":"\t""#.to_owned();
    for header in [
        fields(&distinct, ""),
        fields(&distinct, r#","x":0"#),
        fields(&same, r#","x":0"#),
        fields(&escaped, ""),
        format!(
            r#"{{"opaque":7,"extFields":{{"a":{{{}}}}}}}"#,
            vec![r#""":0"#; 12_000].join(",")
        ),
        format!("{{\"opaque\":7,{}\"x\":0}}", r#""":0,"#.repeat(12_000)),
        format!("{{{}\"opaque\":7}}", "/**/".repeat(16_000)),
        format!("{{\"x\":{}0", "[".repeat(65_000)),
        format!("{{\"x\":\"{}", "\\n".repeat(32_000)),
        format!(
            "{{'language':\"{}\\n\",{}'opaque':7}}",
            "9".repeat(20_000),
            r#""language":"x","#.repeat(2_500)
        ),
    ] {
        let frame = frame(&header);
        // Other processes may use the processor meanwhile, so the best of several runs counts.
        let times = (0..10).map(|_| {
            let begun = Instant::now();
            let _ = CommandView::decode(&frame);
            begun.elapsed()
        });
        let time = times.min().unwrap();
        let limit = if cfg!(debug_assertions) { 3000 } else { 10 };
        assert!(
            time < Duration::from_millis(limit),
            "{time:?}: {}",
            header.get(..60).unwrap()
        );
    }
}
