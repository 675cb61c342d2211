use super::*;

fn own<'a>(pairs: &[(&'a str, &'a str)]) -> Vec<(Cow<'a, str>, Cow<'a, str>)> {
    let pairs = pairs.iter();
    pairs
        .map(|(name, value)| ((*name).into(), (*value).into()))
        .collect()
}

#[test]
fn properties_of_sdks_are_read() {
    for (text, expected) in [
        ("", Properties::default()),
        ("|", Properties::default()),
        (
            "a:1|KEYS:k1|",
            Properties {
                keys: Some("k1".into()),
                own: own(&[("a", "1")]),
                ..Properties::default()
            },
        ),
        // Without the last separator, as Node sends it.
        (
            "__SHARDINGKEY:s|b:2",
            Properties {
                sharding_key: Some("s".into()),
                own: own(&[("b", "2")]),
                ..Properties::default()
            },
        ),
        (
            "__STARTDELIVERTIME:1795253776000|__TransCheckT:10",
            Properties {
                deliver_at: Some(1_795_253_776_000),
                check_after: Some(10),
                ..Properties::default()
            },
        ),
        (
            "KEYS:order:1 x|a: 中 ",
            Properties {
                keys: Some("order:1 x".into()),
                own: own(&[("a", " 中 ")]),
                ..Properties::default()
            },
        ),
        (
            "__BODY_ENCODING:base64|__ENCODED:b%2C,x|b%2C:1%7C2|x:%25|a:%25",
            Properties {
                body_encoding: Some(BodyEncoding::Base64),
                own: own(&[("b,", "1|2"), ("x", "%"), ("a", "%25")]),
                ..Properties::default()
            },
        ),
    ] {
        assert_eq!(Properties::read(text), Ok(expected), "{text}");
    }
}

#[test]
fn other_properties_are_refused() {
    let many: String = (0..=MOST).map(|number| format!("{number}:x|")).collect();
    for text in [
        "a",
        "a:1|b",
        ":1",
        "a:",
        "a:1|a:2",
        "a:1|__ENCODED:%61|%61:2",
        "__ENCODED:a|__ENCODED:b",
        "a:1\n",
        "a\t:1",
        "TRAN_MSG:true",
        "TAGS:x",
        "UNIQ_KEY:x",
        "INNER_MULTI_DISPATCH:%LMQ%x",
        "DELAY:3",
        "TIMER_DELIVER_MS:1",
        "__STARTDELIVERTIME:soon",
        "__STARTDELIVERTIME:-1",
        "__STARTDELIVERTIME:99999999999999999999",
        "__TransCheckT:9",
        "__TransCheckT:301",
        "__TransCheckT:x",
        "__BODY_ENCODING:gzip",
        // What is reserved is reserved encoded, too.
        "__ENCODED:%54AGS|%54AGS:x",
        "__ENCODED:a|a:1%01TRAN_MSG%02",
        "__ENCODED:a|a:%f",
        &many,
        &format!("a:1|__ENCODED:{}", ",".repeat(LONGEST)),
    ] {
        let error = Properties::read(text).expect_err(text);
        assert_eq!(error.code, Code::InvalidArgument, "{text}");
        assert!(error.message.len() < 200, "{text}");
    }
}

#[test]
fn properties_for_consumers_can_be_split_and_lose_nothing() {
    let all = Properties {
        keys: Some("k:1 k2".into()),
        deliver_at: Some(7),
        sharding_key: Some("s".into()),
        check_after: Some(30),
        body_encoding: Some(BodyEncoding::Empty),
        own: own(&[
            ("plain", "100% <b> & \"中文\""),
            ("url", "http://x|y"),
            ("a:b,c", "1"),
        ]),
    };
    let text = all.write(None).unwrap();
    assert_eq!(
        text,
        "plain:100% <b> & \"中文\"|url:http%3A//x%7Cy|a%3Ab%2Cc:1|KEYS:k%3A1 k2|__SHARDINGKEY:s|\
         __STARTDELIVERTIME:7|__TransCheckT:30|__BODY_ENCODING:empty|__ENCODED:url,a%3Ab%2Cc,KEYS|"
    );
    assert_eq!(Properties::read(&text), Ok(all));
    // As SDKs do it.
    for piece in text.split('|').filter(|piece| !piece.is_empty()) {
        assert_eq!(piece.split(':').count(), 2, "{piece}");
    }
}

#[test]
fn what_is_not_stored_or_is_written_here_is_left_out() {
    assert_eq!(Properties::default().write(None), None);
    let odd = Properties {
        own: own(&[
            ("", "x"),
            ("x", ""),
            (ENCODED, "x"),
            (BODY_ENCODING, "base64"),
        ]),
        ..Properties::default()
    };
    assert_eq!(odd.write(None), None);
    let control = Properties {
        own: own(&[("a", "1\u{0}\n\u{85}\u{FFFE}")]),
        ..Properties::default()
    };
    assert_eq!(
        control.write(None).unwrap(),
        "a:1%00%0A%C2%85%EF%BF%BE|__ENCODED:a|"
    );
}
