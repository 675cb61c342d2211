//! Headers that clients send, and bytes that are not a header. Headers that brokers accept although
//! no client writes them are in `rewritten.rs`.

#![allow(clippy::unwrap_used, reason = "a test that panics fails")]

use bytes::Bytes;
use remoting_codec::{
    CommandView, DecodeError, FieldError, FieldKind, FieldSpec, Fields, FrameError, Language,
    RemotingCommand, SerializeType, UpstreamView, Version,
};

fn frame(serialize_type: u8, header: &[u8], body: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    frame.extend((4 + header.len() as u32 + body.len() as u32).to_be_bytes());
    frame.extend((u32::from(serialize_type) << 24 | header.len() as u32).to_be_bytes());
    frame.extend(header);
    frame.extend(body);
    frame
}

fn json(header: &str) -> Vec<u8> {
    frame(0, header.as_bytes(), b"")
}

fn with_ext_fields(ext_fields: &str) -> Vec<u8> {
    json(&format!(
        r#"{{"code":310,"extFields":{ext_fields},"opaque":7}}"#
    ))
}

fn with_key(entry: &str) -> Vec<u8> {
    json(&format!(
        r#"{{"code":105,"flag":0,"opaque":7,"version":479,{entry}}}"#
    ))
}

fn error(frame: &[u8]) -> DecodeError {
    CommandView::decode(frame).unwrap_err()
}

fn value(frame: &[u8], name: &str) -> Option<String> {
    let view = CommandView::decode(frame).unwrap();
    let value = view.ext_fields().value(name)?;
    Some(value.text().into_owned())
}

/// A binary header in parts.
struct Binary {
    code: i16,
    language: u8,
    version: i16,
    opaque: i32,
    flag: i32,
    remark_length: i32,
    remark: &'static [u8],
    ext_length: i32,
    ext_fields: Vec<u8>,
}

impl Binary {
    fn new(ext_fields: Vec<u8>) -> Self {
        Self {
            code: 105,
            language: 0,
            version: 479,
            opaque: 7,
            flag: 0,
            remark_length: 0,
            remark: b"",
            ext_length: ext_fields.len() as i32,
            ext_fields,
        }
    }

    fn header(&self) -> Vec<u8> {
        let mut header = Vec::new();
        header.extend(self.code.to_be_bytes());
        header.push(self.language);
        header.extend(self.version.to_be_bytes());
        header.extend(self.opaque.to_be_bytes());
        header.extend(self.flag.to_be_bytes());
        header.extend(self.remark_length.to_be_bytes());
        header.extend(self.remark);
        header.extend(self.ext_length.to_be_bytes());
        header.extend(&self.ext_fields);
        header
    }

    fn frame(&self) -> Vec<u8> {
        frame(1, &self.header(), b"")
    }
}

fn entry(key: &[u8], value: &[u8]) -> Vec<u8> {
    entry_with_lengths(key.len() as i16, key, value.len() as i32, value)
}

fn entry_with_lengths(key_length: i16, key: &[u8], value_length: i32, value: &[u8]) -> Vec<u8> {
    let mut entry = Vec::new();
    entry.extend(key_length.to_be_bytes());
    entry.extend(key);
    entry.extend(value_length.to_be_bytes());
    entry.extend(value);
    entry
}

#[test]
fn json_keys_may_have_any_order_and_white_space() {
    for header in [
        r#"{"code":11,"extFields":{"a":"2","b":"1"},"flag":2,"language":"CPP","opaque":-3,"remark":"r","version":5}"#,
        r#"{"version":5,"opaque":-3,"language":"CPP","flag":2,"extFields":{"b":"1","a":"2"},"code":11,"remark":"r"}"#,
        " {\t\"version\" : 5 ,\r\n \"opaque\": -3,\"language\" :\"CPP\", \"flag\":2,\n\"extFields\" : { \"b\" : \"1\" , \"a\" : \"2\" } , \"code\":11,\"remark\":\"r\" } ",
        // The C++ client ends its header with a newline.
        "{\"code\":11,\"extFields\":{\"a\":\"2\",\"b\":\"1\"},\"flag\":2,\"language\":\"CPP\",\"opaque\":-3,\"remark\":\"r\",\"version\":5}\n",
    ] {
        let frame = json(header);
        let view = CommandView::decode(&frame).unwrap();
        assert_eq!(view.code(), 11);
        assert_eq!(view.language(), Language::CPP);
        assert_eq!(view.version(), Version(5));
        assert_eq!(view.opaque().0, -3);
        assert_eq!(view.flag(), 2);
        assert!(view.is_oneway() && !view.is_response());
        assert_eq!(view.remark(), "r");
        assert_eq!(value(&frame, "a").as_deref(), Some("2"));
        assert_eq!(value(&frame, "b").as_deref(), Some("1"));
    }
}

#[test]
fn json_keys_that_are_absent_have_defaults() {
    for header in [
        r#"{"opaque":1}"#,
        r#"{"opaque":1,"extFields":null,"remark":null,"language":null,"serializeTypeCurrentRPC":null}"#,
    ] {
        let frame = json(header);
        let view = CommandView::decode(&frame).unwrap();
        assert_eq!((view.code(), view.flag()), (0, 0));
        assert_eq!(view.version(), Version(0));
        assert_eq!(view.remark(), "");
        assert!(view.body().is_empty());
        view.ext_fields().visit(|_, _| panic!("there is none"));
    }
    // A broker invents an opaque if there is none, so no client can rely on that of the answer.
    for header in ["{}", r#"{"code":105}"#, r#"{"opaque":null}"#] {
        let frame = json(header);
        assert_eq!(CommandView::decode(&frame).unwrap().opaque().0, 0);
    }
}

#[test]
fn invalid_json_is_refused() {
    for header in [
        "",
        " ",
        "{",
        r#"{"opaque""#,
        r#"{"opaque":"#,
        r#"{"opaque":7"#,
        r#"{"opaque":7,"#,
        r#"{"opaque":7,"remark":"x"#,
        r#"{"opaque":7,"remark":"x\"#,
        r#"{"opaque":7,"remark":"\u12"#,
        r#"{"opaque":7,"x":["#,
        r#"{"opaque":7,"x":{"a":1"#,
    ] {
        assert_eq!(error(&json(header)), DecodeError::Truncated, "{header}");
    }
    for header in [
        "null",
        "[]",
        "7",
        r#""opaque""#,
        r#"{"opaque":7}x"#,
        r#"{"opaque":7}{}"#,
        r#"{"opaque":7 "code":1}"#,
        r#"{"opaque":7,,"code":1}"#,
        r#"{opaque:7}"#,
        r#"{"opaque":7,"remark":NaN}"#,
        r#"{"opaque":7,"remark":.5}"#,
        r#"{"opaque":7,"remark":1e}"#,
        r#"{"opaque":7,"remark":-}"#,
        r#"{"opaque":7,"remark":nul}"#,
        r#"{"opaque":7,"x":True}"#,
        r#"{"opaque":7,"x":[1}}"#,
        r#"{"opaque":7,"x":"\u00g0"}"#,
        "\u{feff}{\"opaque\":7}",
    ] {
        let error = error(&json(header));
        assert!(matches!(error, DecodeError::Malformed(_)), "{header}");
    }
    for header in [
        &b"{\"opaque\":7,\"remark\":\"\xff\"}"[..],
        b"{\"opaque\":7,\"remark\":\"\xc0\xaf\"}",
        b"{\"opaque\":7,\"remark\":\"\xed\xa0\x80\"}",
    ] {
        assert_eq!(error(&frame(0, header, b"")), DecodeError::NotText);
    }
}

#[test]
fn json_escapes_are_resolved() {
    for (text, plain) in [
        (
            r"KEYS\u0001k\u0002TAGS\u0001t\u0002",
            "KEYS\u{1}k\u{2}TAGS\u{1}t\u{2}",
        ),
        (r#"\"\\\/\b\f\n\r\t"#, "\"\\/\u{8}\u{c}\n\r\t"),
        (r"\u00e9\u4E16", "é世"),
        (r"\ud83d\ude00!", "😀!"),
        ("😀 \u{7f}\u{2028}", "😀 \u{7f}\u{2028}"),
        // Java keeps half a pair, and cannot write it as UTF-8 either.
        (r"a\ud83d", "a\u{fffd}"),
        (r"\ud83dx\ude00", "\u{fffd}x\u{fffd}"),
        (r"\ud83d\u0041", "\u{fffd}A"),
        (r"\ud83d\ud83d\ude00", "\u{fffd}😀"),
        (r"\u0000", "\0"),
    ] {
        let in_ext_fields = with_ext_fields(&format!(r#"{{"a":"{text}"}}"#));
        assert_eq!(value(&in_ext_fields, "a").as_deref(), Some(plain));
        let remark = with_key(&format!(r#""remark":"{text}""#));
        assert_eq!(CommandView::decode(&remark).unwrap().remark(), plain);
    }
    // A broker resolves escapes before it reads a number or a boolean, and so must Remora.
    let frame = with_ext_fields(r#"{"m":"\u0074rue","e":"\u0031\u0032"}"#);
    let view = CommandView::decode(&frame).unwrap();
    assert!(view.ext_fields().value("m").unwrap().is_true());
    assert_eq!(view.ext_fields().value("e").unwrap().int(), Some(12));
    assert_eq!(view.ext_fields().value("e").unwrap().long(), Some(12));
}

#[test]
fn json_ext_fields_that_occur_twice_count_once() {
    let frame = with_ext_fields(r#"{"a":"x","b":"z","a":"y"}"#);
    assert_eq!(value(&frame, "a").as_deref(), Some("y"));
    let command = RemotingCommand::decode(&Bytes::from(frame)).unwrap();
    assert_eq!(command.field("a"), Some("y"));
}

#[test]
fn languages_are_names_in_json_and_numbers_in_binary() {
    for (text, language) in [
        (r#""GO""#, Language::GO),
        (r#""NODE_JS""#, Language(13)),
        (r#""KLINGON""#, Language::OTHER),
        (r#""é😀""#, Language::OTHER),
        (r#""node-js""#, Language(13)),
        (r#""9""#, Language::GO),
        ("13", Language(13)),
        (r#""""#, Language::OTHER),
        ("9", Language::GO),
        ("12", Language(12)),
        ("null", Language::OTHER),
    ] {
        let frame = with_key(&format!(r#""language":{text}"#));
        assert_eq!(CommandView::decode(&frame).unwrap().language(), language);
    }
    for language in [0, 9, 13, 50, 255] {
        let header = Binary {
            language,
            ..Binary::new(Vec::new())
        };
        let frame = header.frame();
        let view = CommandView::decode(&frame).unwrap();
        assert_eq!(view.language(), Language(language));
    }
}

#[test]
fn binary_headers_are_read() {
    let mut header = Binary::new(entry(b"topic", b"T"));
    header.remark = "hé\u{1}".as_bytes();
    header.remark_length = header.remark.len() as i32;
    header.version = -1;
    header.opaque = -9;
    header.flag = 3;
    let frame = header.frame();
    let view = CommandView::decode(&frame).unwrap();
    assert_eq!(view.serialize_type(), SerializeType::RocketMq);
    assert_eq!((view.code(), view.opaque().0, view.flag()), (105, -9, 3));
    assert_eq!(view.version(), Version(-1));
    assert_eq!(view.remark(), "hé\u{1}");
    assert_eq!(value(&frame, "topic").as_deref(), Some("T"));
}

#[test]
fn binary_ext_fields_that_occur_twice_count_once() {
    // A Java client with an ACL hook writes its fast headers twice.
    let fields = [
        entry(b"a", b"old"),
        entry(b"b", b"B"),
        entry(b"a", b"new\x01\x02"),
    ];
    let frame = Binary::new(fields.concat()).frame();
    assert_eq!(value(&frame, "a").as_deref(), Some("new\u{1}\u{2}"));
    let command = RemotingCommand::decode(&Bytes::from(frame)).unwrap();
    assert_eq!(command.field("a"), Some("new\u{1}\u{2}"));
    assert_eq!(command.ext_fields.len(), 3);
}

#[test]
fn binary_values_without_length_are_absent() {
    let frame = Binary::new([entry(b"a", b""), entry(b"b", b"x")].concat()).frame();
    assert_eq!(value(&frame, "a"), None);
    assert_eq!(value(&frame, "b").as_deref(), Some("x"));
}

#[test]
fn wrong_lengths_in_binary_headers_are_refused() {
    let ext_fields = |bytes: Vec<u8>| Binary::new(bytes);
    let mut negative_remark = ext_fields(Vec::new());
    negative_remark.remark_length = -1;
    let mut long_remark = ext_fields(Vec::new());
    long_remark.remark_length = 5;
    let mut huge_remark = ext_fields(Vec::new());
    huge_remark.remark_length = i32::MAX;
    let mut huge_ext = ext_fields(Vec::new());
    huge_ext.ext_length = i32::MAX;
    let mut long_ext = ext_fields(entry(b"a", b"b"));
    long_ext.ext_length += 1;
    for (name, header) in [
        ("negative remark", negative_remark),
        ("long remark", long_remark),
        ("huge remark", huge_remark),
        ("huge map", huge_ext),
        ("long map", long_ext),
        (
            "negative key",
            ext_fields(entry_with_lengths(-1, b"", 1, b"b")),
        ),
        (
            "negative value",
            ext_fields(entry_with_lengths(1, b"a", -1, b"")),
        ),
        (
            "long key",
            ext_fields(entry_with_lengths(40, b"a", 1, b"b")),
        ),
        (
            "huge key",
            ext_fields(entry_with_lengths(i16::MAX, b"a", 1, b"b")),
        ),
        (
            "long value",
            ext_fields(entry_with_lengths(1, b"a", 40, b"b")),
        ),
        (
            "huge value",
            ext_fields(entry_with_lengths(1, b"a", i32::MAX, b"b")),
        ),
        ("half an entry", ext_fields(vec![0])),
    ] {
        // Reading must not continue into the body.
        for body in [&b""[..], &[b'x'; 64]] {
            let frame = frame(1, &header.header(), body);
            assert_eq!(error(&frame), DecodeError::Truncated, "{name}");
        }
    }
}

#[test]
fn truncated_codes_of_binary_headers_are_restored() {
    for (cut, whole) in [
        (3442, 200_050),
        (3443, 200_051),
        (3444, 200_052),
        (3445, 200_053),
        (3446, 200_054),
        (3447, 200_055),
        (3448, 200_056),
        (3543, 200_151),
        (3441, 3441),
        (3449, 3449),
        (3542, 3542),
        (-3, -3),
        (310, 310),
    ] {
        let header = Binary {
            code: cut,
            ..Binary::new(Vec::new())
        };
        let frame = header.frame();
        assert_eq!(CommandView::decode(&frame).unwrap().code(), whole);
        // JSON has room for the whole code.
        let frame = json(&format!(r#"{{"code":{cut},"opaque":7}}"#));
        let code = CommandView::decode(&frame).unwrap().code();
        assert_eq!(code, i32::from(cut));
    }
}

#[test]
fn truncated_frames_and_headers_are_refused() {
    let json = json(
        r#"{"code":105,"extFields":{"topic":"T\u00e9","n":4},"flag":0,"language":"JAVA","opaque":7,"remark":"x","version":479}"#,
    );
    let mut header = Binary::new([entry(b"topic", b"T"), entry(b"b", b"")].concat());
    header.remark = b"remark";
    header.remark_length = 6;
    for (serialize_type, whole) in [(0, &json), (1, &header.frame())] {
        assert!(CommandView::decode(whole).is_ok());
        for end in 0..whole.len() {
            assert!(CommandView::decode(&whole[..end]).is_err());
        }
        // The header itself ends early, its frame does not.
        for end in 8..whole.len() {
            let cut = frame(serialize_type, &whole[8..end], b"");
            let error = error(&cut);
            assert!(
                matches!(error, DecodeError::Truncated | DecodeError::Malformed(_)),
                "{error:?}"
            );
        }
    }
}

#[test]
fn invalid_frames_are_refused() {
    assert_eq!(
        error(b"").to_string(),
        "frame of 0 bytes, too short to hold a header"
    );
    assert_eq!(
        error(&[0, 0, 0, 4, 2, 0, 0, 0]),
        DecodeError::Frame(FrameError::UnknownSerializeType(2))
    );
    assert_eq!(
        error(&[0, 0, 0, 4, 0, 0, 0, 1]),
        DecodeError::Frame(FrameError::HeaderOverrun {
            header: 1,
            frame: 8
        })
    );
}

#[test]
fn declared_fields_are_read_and_checked() {
    const SPECS: &[FieldSpec] = &[
        FieldSpec::required("b", FieldKind::Text),
        FieldSpec::required("e", FieldKind::Int),
        FieldSpec::optional("g", FieldKind::Long),
        FieldSpec::optional("i", FieldKind::Text),
    ];
    let read = |ext_fields: &str| {
        let frame = with_ext_fields(ext_fields);
        let view = CommandView::decode(&frame).unwrap();
        let fields = Fields::read(view.ext_fields(), SPECS)?;
        let text = |at| fields.value(at).map(|value| value.text().into_owned());
        Ok([text(0), text(1), text(2), text(3)])
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(
        read(r#"{"i":"\u00e9","x":"y","g":"1700000000000","b":"T","e":"-1"}"#),
        Ok([some("T"), some("-1"), some("1700000000000"), some("é")])
    );
    // As C++ sends it, unlike Java.
    assert_eq!(
        read(r#"{"b":"T","e":3,"g":null,"i":""}"#),
        Ok([some("T"), some("3"), None, None])
    );
    assert_eq!(
        read(r#"{"b":"T","e":"1","b":"U","e":2}"#),
        Ok([some("U"), some("2"), None, None])
    );
    for missing in [
        "{}",
        r#"{"e":"1"}"#,
        r#"{"b":"","e":"1"}"#,
        r#"{"b":null,"e":"1"}"#,
        r#"{"B":"T","e":"1"}"#,
    ] {
        assert_eq!(read(missing), Err(FieldError::Missing("b")));
    }
    for (malformed, found) in [
        (r#""x""#, "x"),
        ("1.0", "1.0"),
        ("true", "true"),
        (r#"" 1""#, " 1"),
        (r#""2147483648""#, "2147483648"),
        (r#"[1]"#, "[1]"),
        (r#""\u0078""#, "x"),
    ] {
        assert_eq!(
            read(&format!(r#"{{"b":"T","e":{malformed}}}"#)),
            Err(FieldError::Malformed {
                name: "e",
                expected: "a 32 bit number",
                found: found.to_owned()
            })
        );
    }
    let long = format!(r#"{{"b":"T","e":"1","g":"{}"}}"#, "é".repeat(100));
    assert_eq!(
        read(&long),
        Err(FieldError::Malformed {
            name: "g",
            expected: "a 64 bit number",
            found: "é".repeat(40)
        })
    );
}

#[test]
fn an_answer_of_a_broker_is_read_from_its_ends() {
    let ext_fields = r#"{"msgId":"7F","queueId":"2","MSG_REGION":"é\",\"flag\":1"}"#;
    let head = r#""flag":1,"language":"JAVA","opaque":-77,"serializeTypeCurrentRPC":"JSON","version":513}"#;
    for (header, fields) in [
        (format!(r#"{{"code":0,"extFields":{ext_fields},{head}"#), 3),
        (format!(r#"{{"code":0,{head}"#), 0),
        (format!(r#"{{"code":0,"extFields":{{}},{head}"#), 0),
    ] {
        let frame = frame(0, header.as_bytes(), b"body");
        let (view, whole) = (
            CommandView::decode_upstream(&frame).unwrap(),
            UpstreamView::decode_answer(&frame).unwrap(),
        );
        assert_eq!((view.code(), view.opaque().0, view.flag()), (0, -77, 1));
        assert_eq!(view.version(), Version(513));
        assert_eq!(view.body(), b"body");
        let read = |view: &UpstreamView<'_>| {
            let mut read = Vec::new();
            view.ext_fields()
                .visit(|key, value| read.push((key.to_owned(), value.text().into_owned())));
            let mut head = Vec::new();
            view.encode_head_with_opaque(5, &mut head);
            (read, head)
        };
        assert_eq!(read(&view), read(&whole));
        assert_eq!(read(&view).0.len(), fields);
    }
    // Other forms are read as any other header: a request, a remark, another order, nonsense.
    for (header, code) in [
        (
            r#"{"code":40,"flag":0,"language":"JAVA","opaque":1,"serializeTypeCurrentRPC":"JSON","version":513}"#,
            Some(40),
        ),
        (
            r#"{"code":1,"flag":1,"language":"JAVA","opaque":1,"remark":"no","serializeTypeCurrentRPC":"JSON","version":513}"#,
            Some(1),
        ),
        (
            r#"{"flag":1,"code":2,"language":"GO","opaque":1,"version":0}"#,
            Some(2),
        ),
        (
            r#"{"code":0,"x":1,"flag":1,"language":"JAVA","opaque":1,"serializeTypeCurrentRPC":"JSON","version":513}"#,
            Some(0),
        ),
        (
            r#"{"code":0,"flag":1,"language":"JAVA","opaque":99999999999,"serializeTypeCurrentRPC":"JSON","version":513}"#,
            None,
        ),
        (
            r#"{"code":0"flag":1,"language":"JAVA","opaque":1,"serializeTypeCurrentRPC":"JSON","version":}"#,
            None,
        ),
        ("", None),
    ] {
        let frame = frame(0, header.as_bytes(), b"");
        let view = CommandView::decode_upstream(&frame);
        assert_eq!(view.map(|view| view.code()).ok(), code, "{header}");
    }
}
