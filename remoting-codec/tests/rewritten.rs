//! Headers that brokers accept although no client writes them: they are read as a broker reads
//! them, and forwarded in the canonical form. The judge of the integration tests compares both with
//! the brokers' own readers.

#![allow(clippy::unwrap_used, reason = "a test that panics fails")]

use remoting_codec::{CommandView, DecodeError, FrameError, RemotingCommand, Version};

fn frame(serialize_type: u8, header: &[u8], body: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    frame.extend((4 + header.len() as u32 + body.len() as u32).to_be_bytes());
    frame.extend((u32::from(serialize_type) << 24 | header.len() as u32).to_be_bytes());
    frame.extend(header);
    frame.extend(body);
    frame
}

/// The forwarded header with opaque 9, and the view of it, followed by the body.
fn rewritten(frame: &[u8]) -> (String, Vec<u8>) {
    let view = CommandView::decode(frame).unwrap();
    assert!(!view.is_canonical());
    let mut out = Vec::new();
    view.encode_head_with_opaque(9, &mut out);
    let header = String::from_utf8_lossy(out.get(8..).unwrap()).into_owned();
    out.extend_from_slice(view.body());
    assert!(out.len() <= view.longest());
    let again = CommandView::decode(&out).unwrap();
    assert_eq!(again.opaque().0, 9);
    assert_eq!((again.code(), again.flag()), (view.code(), view.flag()));
    assert_eq!(again.body(), view.body());
    (header, out)
}

fn json(header: &str) -> String {
    rewritten(&frame(0, header.as_bytes(), b"body")).0
}

fn error(header: &[u8]) -> DecodeError {
    CommandView::decode(&frame(0, header, b"")).unwrap_err()
}

fn value(header: &str, name: &str) -> Option<String> {
    let frame = frame(0, header.as_bytes(), b"");
    let view = CommandView::decode(&frame).unwrap();
    let value = view.ext_fields().value(name)?;
    Some(value.text().into_owned())
}

const CANONICAL: &str = r#"{"code":105,"extFields":{"topic":"T"},"flag":0,"language":"JAVA","opaque":9,"serializeTypeCurrentRPC":"JSON","version":479}"#;

#[test]
fn keys_that_a_broker_does_not_know_are_left_out() {
    for entry in [
        // Alibaba's client.
        r#""namespaceId":"""#,
        r#""onewayRPC":true,"responseType":false,"type":"REQUEST_COMMAND""#,
        r#""customHeader":{"a":[1,{"b":"}"}]},"cachedHeader":null"#,
        r#""serialize_type":7,"Serializetypecurrentrpc":{}"#,
        r#""body":"aGVsbG8=","Body":{},"suspended":true,"processTimer":{},"callbackList":[]"#,
        r#""Opaque":1,"OPAQUE":2,"_opaque":3,"isOpaque":4,"opaque ":5,"o-paque":6"#,
        r#""@type":"java.lang.Exception","$ref":"$","x":{"@type":"x.Y"},"y":{"$ref":".."}"#,
        r#""traceparent":"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01""#,
        r#""é😀":"é😀","":0,"\ud83d":"\ud83d""#,
        r#""x":1e999,"y":123456789012345678901234567890123456789012,"z":-0.0E+5"#,
    ] {
        let header = format!(
            r#"{{"code":105,{entry},"extFields":{{"topic":"T"}},"flag":0,"opaque":7,"version":479}}"#
        );
        assert_eq!(json(&header), CANONICAL, "{entry}");
    }
    for open in ["[", "{\"a\":"] {
        let close = if open == "[" { "]" } else { "}" };
        let deep = format!("{}1{}", open.repeat(5000), close.repeat(5000));
        let header = format!(
            r#"{{"x":{deep},"code":105,"extFields":{{"topic":"T"}},"opaque":7,"version":479}}"#
        );
        assert_eq!(json(&header), CANONICAL);
    }
}

#[test]
fn the_last_of_several_equal_keys_counts() {
    let header = r#"{"opaque":1,"code":1,"opaque":7,"code":105,"extFields":{"a":"b"},"version":1,"extFields":{"topic":"S","topic":"T","x":"y","x":null},"version":479}"#;
    assert_eq!(json(header), CANONICAL);
}

#[test]
fn sloppy_syntax_is_read() {
    for header in [
        " {\t\"code\" : 105 ,\r\n \"extFields\": {\"topic\" :\"T\" }, \"opaque\":7,\"version\" :479 } ",
        r#"{'code':105,'extFields':{'topic':'T'},'opaque':7,'version':479}"#,
        r#"{"code":105,"extFields":{"topic":"T",},"opaque":7,"version":479,}"#,
        r#"{/*x*/"code":105,"extFields":{"\u0074opic":"\x54"},"opaqu\u0065":7,"version":479}// x"#,
        "{\"code\":105,\"extFields\":{\"topic\":\"T\"},\"opaque\":7,\"version\":479}\0",
    ] {
        assert_eq!(json(header), CANONICAL, "{header}");
    }
    for header in [
        &b"null"[..],
        b"[]",
        b"",
        b"{opaque:7}",
        b"{\"opaque\":7,\"remark\":\"\xff\"}",
        b"{\"opaque\":7,\"x\":[1}}",
        b"{\"opaque\":7}{}",
    ] {
        error(header);
    }
}

#[test]
fn numbers_of_the_head_are_read_in_all_spellings() {
    for (text, number) in [
        (r#""399""#, 399),
        (r#""-7""#, -7),
        (r#""1,000""#, 1000),
        (r#""\u0037""#, 7),
        (r#""""#, 0),
        (r#""null""#, 0),
        (r#""true""#, 1),
        ("+7", 7),
        ("007", 7),
        ("-0", 0),
        ("7.9", 7),
        ("1e2", 100),
        ("1e400", i32::MAX),
        ("true", 1),
        ("false", 0),
        ("null", 0),
    ] {
        let header = format!(r#"{{"code":{text},"flag":{text},"opaque":{text},"version":{text}}}"#);
        let frame = frame(0, header.as_bytes(), b"");
        let view = CommandView::decode(&frame).unwrap();
        let read = (view.code(), view.flag(), view.opaque().0, view.version());
        assert_eq!(read, (number, number, number, Version(number)), "{text}");
        assert!(json(&header).contains(&format!(r#""code":{number},"flag":{number},"#)));
    }
    for text in [
        "2147483648",
        r#""x""#,
        r#"" 7""#,
        r#""0x7""#,
        "[7]",
        "{}",
        "0x7",
    ] {
        for key in ["code", "flag", "opaque", "version"] {
            error(format!(r#"{{"{key}":{text}}}"#).as_bytes());
        }
    }
}

#[test]
fn a_language_is_forwarded_as_a_known_name() {
    for (text, language) in [
        ("13", "NODE_JS"),
        (r#""é😀""#, "OTHER"),
        (r#""KLINGON""#, "OTHER"),
        (r#""go""#, "GO"),
        (r#""GO\u0000""#, "GO"),
        ("null", "OTHER"),
    ] {
        let header = format!(r#"{{"language":{text},"opaque":7,"serializeTypeCurrentRPC":"é😀"}}"#);
        let expected = format!(
            r#"{{"code":0,"flag":0,"language":"{language}","opaque":9,"serializeTypeCurrentRPC":"JSON","version":0}}"#
        );
        assert_eq!(json(&header), expected);
    }
    for text in ["14", "-1", "true", "[]", "{}"] {
        error(format!(r#"{{"language":{text},"opaque":7}}"#).as_bytes());
    }
}

/// fastjson2's reader keeps the text of a number that it cannot read as one, and takes it for that
/// of an unknown language.
#[test]
fn an_unknown_language_is_the_number_that_was_read_as_text() {
    for (before, text, language) in [
        ("", "9", "GO"),
        (r#""code":"7","#, "9", "GO"),
        (r#""code":"\u0037","#, "GO", "GO"),
        (r#""code":"\u0037","#, "9", "OTHER"),
        (r#""code":"\u0031","#, "KLINGON", "CPP"),
        (r#""code":"\u0031","flag":"2","#, "9", "CPP"),
        (r#""code":"\u0031","flag":"\u0032","#, "9", "DOTNET"),
        (r#""code":"0,001","#, "9", "OTHER"),
        (r#""code":"\u0031","flag":"0,001","#, "9", "OTHER"),
        (r#""code":"\u0031","remark":"\u0032","#, "9", "CPP"),
        (r#""language":"\u0032","#, "9", "DOTNET"),
        (r#""language":"\u0032","code":"\u0031","#, "9", "CPP"),
        (r#""language":"\u0032","language":"\u0031","#, "9", "DOTNET"),
        (r#""language":"G\u004f","#, "9", "GO"),
        (r#""serializeTypeCurrentRPC":"\u0031","#, "9", "CPP"),
        (r#""serializeTypeCurrentRPC":"J\u0053on","#, "9", "GO"),
        (r#""serializeTypeCurrentRPC":"1","#, "9", "GO"),
        (r#""serializeTypeCurrentRPC":["\u0031"],"#, "9", "GO"),
    ] {
        let header = format!(r#"{{{before}"language":"{text}",'opaque':7}}"#);
        let frame = frame(0, header.as_bytes(), b"");
        let view = CommandView::decode(&frame).unwrap();
        assert_eq!(view.language().name(), language, "{header}");
    }
}

#[test]
fn ext_fields_need_not_be_text() {
    let header = r#"{"opaque":7,"remark":7.50,"extFields":{"int":4,"neg":-1,"long":9223372036854775808,"frac":1.50,"exp":1e2,"yes":true,"no":false,"null":null,"empty":"","object":{"b":[1, "}"],"c":null,"b":2,"d":"\u0001\"é\n"},"array":[1, 2],"one":["x"]}}"#;
    for (name, text) in [
        ("int", "4"),
        ("neg", "-1"),
        ("long", "9223372036854775808"),
        ("frac", "1.50"),
        ("exp", "100.0"),
        ("yes", "true"),
        ("no", "false"),
        ("empty", ""),
        ("object", r#"{"b":2,"d":"\u0001\"é\n"}"#),
        ("array", "[1,2]"),
        ("one", "x"),
    ] {
        assert_eq!(value(header, name).as_deref(), Some(text), "{name}");
    }
    assert_eq!(value(header, "null"), None);
    let frame = frame(0, header.as_bytes(), b"");
    assert_eq!(CommandView::decode(&frame).unwrap().remark(), "7.50");
    assert_eq!(value(r#"{"opaque":7,"extFields":""}"#, "a"), None);
    assert_eq!(value(r#"{"opaque":7,"extFields":"null"}"#, "a"), None);
    let one = r#"{"opaque":7,"extFields":[{"a":"b"}]}"#;
    assert_eq!(value(one, "a").as_deref(), Some("b"));
    for ext_fields in ["[]", "[{},{}]", "5", r#""x""#, "true"] {
        error(format!(r#"{{"opaque":7,"extFields":{ext_fields}}}"#).as_bytes());
    }
}

#[test]
fn names_of_ext_fields_are_forwarded_in_ascii() {
    for (written, name, goes_on) in [
        (r"é", "é", r"\u00e9"),
        ("é😀\\n", "é😀\n", r"\u00e9\ud83d\ude00\u000a"),
        (r#"a\"\\b"#, "a\"\\b", r#"a\"\\b"#),
        (r"\u0061", "a", "a"),
    ] {
        let header = format!(r#"{{"opaque":7,"extFields":{{"{written}":"x"}}}}"#);
        assert_eq!(value(&header, name).as_deref(), Some("x"));
        let goes_on = format!(r#""extFields":{{"{goes_on}":"x"}}"#);
        assert!(json(&header).contains(&goes_on), "{}", json(&header));
    }
    // Brokers of 4.9.8 fail on the first, those of 5.5.0 on the second.
    for name in ["@type", "$ref", r"\u0040type", r"\u0024ref", r"a\u0000"] {
        let header = format!(r#"{{"opaque":7,"extFields":{{"a":"b","{name}":"x"}}}}"#);
        let error = error(header.as_bytes());
        assert!(matches!(error, DecodeError::AmbiguousKey(_)), "{error:?}");
    }
    let nested = br#"{"opaque":7,"extFields":{"a":[1,{"b":[{"$ref":"."}]}]}}"#;
    assert!(matches!(error(nested), DecodeError::AmbiguousKey(_)));
    let frame = frame(0, br#"{"opaque":7,"extFields":{"@":"x","$":"@type"}}"#, b"");
    assert!(CommandView::decode(&frame).unwrap().is_canonical());
}

#[test]
fn half_a_surrogate_pair_is_forwarded_unchanged() {
    let header = r#"{"opaque":7, "extFields":{"a":"x\ud83d","b":"\ud83d\ude00"}}"#;
    assert_eq!(value(header, "a").as_deref(), Some("x\u{fffd}"));
    assert!(json(header).contains(r#"{"a":"x\ud83d","b":"😀"}"#));
}

/// Code 105, opaque 7, version 479 and no remark, with what follows.
fn binary(ext_length: i32, rest: &[u8]) -> Vec<u8> {
    let mut header = vec![0, 105, 0, 1, 0xdf, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0];
    header.extend(ext_length.to_be_bytes());
    header.extend(rest);
    header
}

fn entry(key: &[u8], value: &[u8]) -> Vec<u8> {
    let mut entry = (key.len() as u16).to_be_bytes().to_vec();
    entry.extend(key);
    entry.extend((value.len() as u32).to_be_bytes());
    entry.extend(value);
    entry
}

#[test]
fn a_body_starts_where_a_broker_stops_reading_a_binary_header() {
    let topic = entry(b"topic", b"T");
    let length = topic.len() as i32;
    let trailing = [&topic[..], b"rest"].concat();
    for (header, body, ext_fields) in [
        (binary(length, &trailing), "restbo", vec![("topic", "T")]),
        // The last entry reaches beyond the map.
        (
            binary(length - 3, &trailing),
            "restbo",
            vec![("topic", "T")],
        ),
        (binary(-1, b"rest"), "restbo", vec![]),
    ] {
        let (_, out) = rewritten(&frame(1, &header, b"bodies"));
        let command = RemotingCommand::decode(&out.into()).unwrap();
        assert_eq!(command.body, body.as_bytes());
        let fields = command.ext_fields.iter();
        let fields: Vec<_> = fields.map(|(key, value)| (&**key, &**value)).collect();
        assert_eq!(fields, ext_fields);
    }
    let exact = frame(1, &binary(length, &topic), b"body");
    assert!(CommandView::decode(&exact).unwrap().is_canonical());
}

#[test]
fn binary_fields_are_those_of_a_brokers_map() {
    let fields = [
        entry(b"a", b"\xff\xed\xa0\xbd"),
        entry(b"", b"nobody's"),
        entry(b"hidden", b"x"),
        entry(b"hidden", b""),
        entry(b"\xc3\x28", b"b"),
    ];
    let fields = fields.concat();
    let (_, out) = rewritten(&frame(1, &binary(fields.len() as i32, &fields), b""));
    let command = RemotingCommand::decode(&out.into()).unwrap();
    let fields = command.ext_fields.iter();
    let fields: Vec<_> = fields.map(|(key, value)| (&**key, &**value)).collect();
    assert_eq!(fields, [("a", "\u{fffd}\u{fffd}"), ("\u{fffd}(", "b")]);
    // Java writes both of these.
    let plain = [entry(b"a", b"x"), entry(b"b", b""), entry(b"a", b"y")].concat();
    let plain = frame(1, &binary(plain.len() as i32, &plain), b"");
    assert!(CommandView::decode(&plain).unwrap().is_canonical());
}

#[test]
fn a_truncated_code_is_truncated_again() {
    let mut header = binary(-1, b"");
    header.splice(0..2, 3442_u16.to_be_bytes());
    let (_, out) = rewritten(&frame(1, &header, b""));
    assert_eq!(out.get(8..10).unwrap(), 3442_u16.to_be_bytes());
    assert_eq!(CommandView::decode(&out).unwrap().code(), 200_050);
}

#[test]
fn a_header_that_would_be_too_long_is_refused() {
    // Each of these characters needs six bytes.
    let controls = "\u{1}".repeat(200_000);
    let header = format!(r#"{{"opaque":7,"remark":"{controls}"}}"#);
    let error = error(header.as_bytes());
    assert!(matches!(
        error,
        DecodeError::Frame(FrameError::HeaderTooLong(_))
    ));
    // The original frame could be forwarded; the rewritten one would be too long.
    let header = br#"{"opaque":7,"language":"C++"}"#;
    let body = vec![0; 16 * 1024 * 1024 - 8 - header.len()];
    let too_long = frame(0, header, &body);
    assert!(matches!(
        CommandView::decode(&too_long).unwrap_err(),
        DecodeError::Frame(FrameError::TooLong { .. })
    ));
    let key = entry(&[0xff; 20_000], b"x");
    let header = binary(key.len() as i32, &key);
    let frame = frame(1, &header, b"");
    assert_eq!(
        CommandView::decode(&frame).unwrap_err(),
        DecodeError::NotText
    );
}
