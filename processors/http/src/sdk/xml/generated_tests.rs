//! Reader and writer with generated texts and documents.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;

const LIMITS: Limits = Limits {
    root: "Message",
    known: &["MessageBody", "Properties"],
    fields: 8,
};

/// Pieces that documents are made of, whole and broken.
const PIECES: &[&str] = &[
    "<?xml version=\"1.0\" encoding=\"utf-8\"?>",
    "<Message>",
    "<Message xmlns=\"http://mq.aliyuncs.com/doc/v1/\">",
    "</Message>",
    "<MessageBody>",
    "</MessageBody>",
    "<MessageBody/>",
    "<x:Properties a='>'>",
    "</x:Properties>",
    "text",
    " ",
    "\r\n",
    "&amp;",
    "&#x4e2d;",
    "&#1;",
    "&x;",
    "&",
    "<![CDATA[",
    "]]>",
    "<!--",
    "-->",
    "<?",
    "?>",
    "<!DOCTYPE a [",
    "]>",
    "<",
    ">",
    "中",
    "\u{1}",
    "\u{FEFF}",
];

fn read(document: &[u8], work: usize) -> Result<Vec<(Option<&'static str>, String)>, XmlError> {
    let mut reader = Reader::new(document, LIMITS);
    let mut fields = Vec::new();
    loop {
        match reader.next(work)? {
            Step::Field(field) => fields.push((field.name, field.text.into_owned())),
            Step::End => return Ok(fields),
            Step::Pause => {}
        }
    }
}

fn text() -> impl Strategy<Value = String> {
    let odd = select(vec![
        '<', '>', '&', '"', '\'', ']', '\r', '\n', '\t', ' ', '\u{FFFD}',
    ]);
    let sign = prop_oneof![any::<char>(), odd];
    vec(sign, 0..40).prop_map(|signs| signs.into_iter().filter(|sign| is_valid(*sign)).collect())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// What is written is read, and each valid text is the same.
    #[test]
    fn texts_return(body in text(), properties in text()) {
        let mut writer = Writer::new("Message", 0);
        writer.element("MessageBody", &body);
        writer.element("Properties", &properties);
        writer.close("Message");
        let document = writer.end();
        let fields = read(document.as_bytes(), WORK).unwrap();
        prop_assert_eq!(fields, [(Some("MessageBody"), body), (Some("Properties"), properties)]);
    }

    /// The same by CDATA, which has no other texts than itself.
    #[test]
    fn sections_return(body in text()) {
        prop_assume!(!body.contains("]]>"));
        let document = format!("<Message><MessageBody><![CDATA[{body}]]></MessageBody></Message>");
        let fields = read(document.as_bytes(), WORK).unwrap();
        prop_assert_eq!(fields, [(Some("MessageBody"), body)]);
    }

    /// Any bytes are read or refused; where the reader pauses changes nothing; and what is read is
    /// text.
    #[test]
    fn documents_are_read_or_refused(pieces in vec(select(PIECES), 0..24), cut in any::<u16>()) {
        let document = pieces.concat();
        let bytes = document.as_bytes();
        // Within a character, too.
        let cut = &bytes[..bytes.len().saturating_sub(usize::from(cut) % 8)];
        let fields = read(cut, WORK);
        prop_assert_eq!(&read(cut, 1), &fields);
        for (name, text) in fields.into_iter().flatten() {
            prop_assert!(is_text(&text));
            prop_assert!(name.is_none_or(|name| LIMITS.known.contains(&name)));
        }
    }

    #[test]
    fn is_text_agrees_with_each_character(text in vec(any::<char>(), 0..300)) {
        let all: String = text.iter().collect();
        prop_assert_eq!(is_text(&all), text.into_iter().all(is_valid));
    }
}
