use super::*;

const LIMITS: Limits = Limits {
    root: "R",
    known: &["a", "b"],
    fields: 4,
};

type Fields<'a> = Vec<(Option<&'static str>, Text<'a>)>;

fn read_with(document: &[u8], work: usize) -> Result<(Fields<'_>, usize), XmlError> {
    let mut reader = Reader::new(document, LIMITS);
    let (mut fields, mut pauses) = (Vec::new(), 0);
    loop {
        match reader.next(work)? {
            Step::Field(field) => fields.push((field.name, field.text)),
            Step::End => return Ok((fields, pauses)),
            Step::Pause => pauses += 1,
        }
    }
}

fn read(document: &str) -> Result<Fields<'_>, XmlError> {
    read_with(document.as_bytes(), WORK).map(|(fields, _)| fields)
}

#[test]
fn documents_are_read() {
    let (a, b) = (Some("a"), Some("b"));
    for (document, expected) in [
        ("<R/>", vec![]),
        ("<R><a>x</a></R>", vec![(a, "x")]),
        ("<R><a/><b></b></R>", vec![(a, ""), (b, "")]),
        // Any namespace, any prefix, any attribute.
        (
            "<n:R xmlns:n=\"x\"><n:a y='>'>x</n:a></n:R>",
            vec![(a, "x")],
        ),
        ("<R xmlns=\"x\"><c>x</c></R>", vec![(None, "x")]),
        // References and CDATA, among text and by themselves.
        (
            "<R><a>x&lt;&amp;&gt;&quot;&apos;y&#x4e2d;&#25991;</a></R>",
            vec![(a, "x<&>\"'y中文")],
        ),
        (
            "<R><a><![CDATA[<x> & ]] ]]></a></R>",
            vec![(a, "<x> & ]] ")],
        ),
        (
            "<R><a>x<![CDATA[&amp;]]>&amp;</a></R>",
            vec![(a, "x&amp;&")],
        ),
        ("<R><a><![CDATA[]]></a></R>", vec![(a, "")]),
        // White space stays in elements, and has no meaning between them.
        ("<R>\n <a> x\r\n\ty </a>\n</R>\n", vec![(a, " x\r\n\ty ")]),
        ("<R><a>&#13;&#9;</a></R>", vec![(a, "\r\t")]),
        // What stands around it.
        (
            "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"no\"?><R><a>x</a></R>",
            vec![(a, "x")],
        ),
        ("\u{FEFF}<?xml version=\"1.0\"?><R></R>", vec![]),
        (
            "<!-- c --><R><a>x<!-- c -->y<?p i?></a></R><!-- c -->",
            vec![(a, "xy")],
        ),
    ] {
        let expected = expected.into_iter();
        let expected = expected.map(|(name, text)| (name, Cow::Borrowed(text)));
        assert_eq!(read(document), Ok(expected.collect()), "{document}");
    }
}

#[test]
fn text_in_one_piece_is_not_copied() {
    for document in ["<R><a>x</a></R>", "<R><a><![CDATA[<x>]]></a></R>"] {
        let fields = read(document).unwrap();
        assert!(matches!(fields.as_slice(), [(_, Cow::Borrowed(_))]));
    }
}

#[test]
fn other_documents_are_refused() {
    let deep = format!("<R>{}</R>", "<a>".repeat(100_000));
    for document in [
        "",
        " ",
        "x",
        "{}",
        "<S/>",
        "<R>",
        "<R><a>",
        "<R><a></R>",
        "<R></a></R>",
        "<R></R></R>",
        "<R/><R/>",
        "<R>x</R>",
        "<R>&amp;</R>",
        "<R><![CDATA[]]></R>",
        "<R/>x",
        "x<R/>",
        "<R><a><b/></a></R>",
        "<R><a/><a/><a/><a/><a/></R>",
        &deep,
        // Entities.
        "<R><a>&x;</a></R>",
        "<R><a>&</a></R>",
        "<R><a>&lt</a></R>",
        "<!DOCTYPE R [<!ENTITY x \"y\">]><R><a>&x;</a></R>",
        "<!DOCTYPE R SYSTEM \"file:///etc/passwd\"><R/>",
        // Characters that XML does not have.
        "<R><a>\u{1}</a></R>",
        "<R><a>&#1;</a></R>",
        "<R><a>&#0;</a></R>",
        "<R><a>&#xFFFE;</a></R>",
        "<R><a>&#xD800;</a></R>",
        "<R><a>&#x110000;</a></R>",
        "<R><a><![CDATA[\u{b}]]></a></R>",
        // Declarations.
        "<?xml version=\"1.0\" encoding=\"utf-16\"?><R/>",
        " <?xml version=\"1.0\"?><R/>",
        "<R><?xml version=\"1.0\"?></R>",
        "<R><a><![CDATA[x</a></R>",
        "<R><!-- </R>",
    ] {
        let error = read(document).expect_err(document);
        assert!(error.to_string().len() < 250, "{error}");
    }
    for document in [&b"<R><a>\xff</a></R>"[..], b"<R><a>&#65;\xe4\xb8</a></R>"] {
        assert!(read_with(document, WORK).is_err(), "{document:?}");
    }
}

#[test]
fn a_document_of_many_pieces_is_read_in_parts() {
    let document = format!("<R><a>{}</a></R>", "&amp;x".repeat(WORK));
    let (fields, pauses) = read_with(document.as_bytes(), WORK).unwrap();
    assert_eq!(fields, [(Some("a"), Cow::from("&x".repeat(WORK)))]);
    assert!(pauses > 0);
    // The parts do not depend on where it paused.
    let (again, more) = read_with(document.as_bytes(), 7).unwrap();
    assert_eq!(again, fields);
    assert!(more > pauses);
}
