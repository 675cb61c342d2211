use super::super::xml::WORK;
use super::*;

fn message(document: &str) -> Result<Published<'_>, SdkError> {
    let mut reader = MessageReader::new(document.as_bytes());
    loop {
        if let Some(message) = reader.next(WORK)? {
            return Ok(message);
        }
    }
}

fn code<T: std::fmt::Debug>(result: Result<T, SdkError>) -> Code {
    result.unwrap_err().code
}

#[test]
fn messages_of_each_sdk_are_read() {
    let body = "hello <中文> & body";
    for (sdk, document) in [
        (
            "Python",
            "<?xml version=\"1.0\" encoding=\"utf-8\"?><Message xmlns=\"http://mq.aliyuncs.com/doc/v1/\">\
             <MessageBody>hello &lt;中文&gt; &amp; body</MessageBody><Properties>a:1|KEYS:k1|</Properties>\
             <MessageTag>TagA</MessageTag></Message>",
        ),
        (
            "Java",
            "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"no\"?>\
             <Message xmlns=\"http://mq.aliyuncs.com/doc/v1\">\
             <MessageBody>hello &lt;中文&gt; &amp; body</MessageBody><MessageTag>TagA</MessageTag>\
             <Properties>a:1|KEYS:k1|</Properties></Message>",
        ),
        (
            "Node",
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Message xmlns=\"http://mq.aliyuncs.com/doc/v1/\">\
             <MessageBody><![CDATA[hello <中文> & body]]></MessageBody>\
             <MessageTag><![CDATA[TagA]]></MessageTag>\
             <Properties><![CDATA[a:1|KEYS:k1]]></Properties></Message>",
        ),
        (
            "Go",
            "<Message><MessageBody>hello &lt;中文&gt; &amp; body</MessageBody>\
             <MessageTag>TagA</MessageTag><Properties>a:1|KEYS:k1|</Properties></Message>",
        ),
    ] {
        let read = message(document).unwrap();
        assert_eq!(read.body, body, "{sdk}");
        assert_eq!(read.tag.as_deref(), Some("TagA"), "{sdk}");
        let properties = Properties::read(&read.properties).unwrap();
        assert_eq!(properties.keys.as_deref(), Some("k1"), "{sdk}");
        let stored = read.stored(&Bytes::new(), &properties).unwrap();
        assert_eq!(stored, body, "{sdk}");
    }
    let least = message("<Message><MessageBody>x</MessageBody><MessageTag/></Message>").unwrap();
    assert_eq!(least.tag, None);
    assert_eq!(least.properties, "");
}

#[test]
fn other_messages_are_refused() {
    for (document, expected) in [
        ("", Code::MalformedXml),
        ("<Message/>", Code::MalformedXml),
        (
            "<Message><MessageTag>T</MessageTag></Message>",
            Code::MalformedXml,
        ),
        (
            "<Messages><MessageBody>x</MessageBody></Messages>",
            Code::MalformedXml,
        ),
        (
            "<Message><MessageBody>x</MessageBody><MessageBody>y</MessageBody></Message>",
            Code::MalformedXml,
        ),
        ("<Message><MessageBody>x", Code::MalformedXml),
        (
            "<Message><MessageBody></MessageBody></Message>",
            Code::InvalidArgument,
        ),
    ] {
        assert_eq!(code(message(document)), expected, "{document}");
    }
    let more = "<x/>".repeat(16);
    let document = format!("<Message><MessageBody>x</MessageBody>{more}</Message>");
    assert_eq!(code(message(&document)), Code::MalformedXml);
}

#[test]
fn bodies_share_the_documents_memory() {
    let document = Bytes::from_static(b"<Message><MessageBody>text</MessageBody></Message>");
    let read = message(std::str::from_utf8(&document).unwrap()).unwrap();
    let stored = read.stored(&document, &Properties::default()).unwrap();
    assert_eq!(stored.as_ptr(), document.slice(22..).as_ptr());
    assert_eq!(stored, "text");
}

#[test]
fn encoded_bodies_are_decoded() {
    let document = Bytes::new();
    let of = |body: &'static str, encoding| {
        let published = Published {
            body: Cow::Borrowed(body),
            tag: None,
            properties: Cow::default(),
        };
        let properties = Properties {
            body_encoding: Some(encoding),
            ..Properties::default()
        };
        published.stored(&document, &properties)
    };
    assert_eq!(
        of("AAH/", BodyEncoding::Base64).unwrap(),
        &b"\x00\x01\xff"[..]
    );
    for (body, encoding) in [
        ("x", BodyEncoding::Base64),
        ("AAH/\n", BodyEncoding::Base64),
        ("-", BodyEncoding::Empty),
    ] {
        assert_eq!(code(of(body, encoding)), Code::InvalidArgument, "{body}");
    }
}

#[test]
fn handles_are_read() {
    let java = "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"no\"?>\
                <ReceiptHandles xmlns=\"http://mq.aliyuncs.com/doc/v1\">\
                <ReceiptHandle>h1</ReceiptHandle><ReceiptHandle>h2</ReceiptHandle></ReceiptHandles>";
    assert_eq!(handles(java.as_bytes()).unwrap(), ["h1", "h2"]);
    let node = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
                <ReceiptHandles xmlns=\"http://mq.aliyuncs.com/doc/v1/\">\
                <ReceiptHandle><![CDATA[h1]]></ReceiptHandle></ReceiptHandles>";
    assert_eq!(handle(node.as_bytes()).unwrap(), "h1");
    let twice = "<ReceiptHandles><ReceiptHandle>h</ReceiptHandle><ReceiptHandle>h</ReceiptHandle>\
                 </ReceiptHandles>";
    assert_eq!(handles(twice.as_bytes()).unwrap(), ["h"]);
}

#[test]
fn other_documents_of_handles_are_refused() {
    let of = |count: usize| -> String {
        let handle = |number| format!("<ReceiptHandle>h{number}</ReceiptHandle>");
        let handles: String = (0..count).map(handle).collect();
        format!("<ReceiptHandles>{handles}</ReceiptHandles>")
    };
    assert_eq!(
        handles(of(MOST_HANDLES).as_bytes()).unwrap().len(),
        MOST_HANDLES
    );
    let long = format!("<ReceiptHandles>{}", " ".repeat(LONGEST_OF_HANDLES));
    for (document, expected) in [
        ("", Code::MalformedXml),
        ("<ReceiptHandles><x/></ReceiptHandles>", Code::MalformedXml),
        (&long, Code::MalformedXml),
        ("<ReceiptHandles/>", Code::MissingReceiptHandle),
        (
            "<ReceiptHandles><ReceiptHandle></ReceiptHandle></ReceiptHandles>",
            Code::MissingReceiptHandle,
        ),
        (&of(MOST_HANDLES + 1), Code::InvalidArgument),
    ] {
        assert_eq!(
            code(handles(document.as_bytes())),
            expected,
            "{document:.80}"
        );
    }
    assert_eq!(code(handle(of(2).as_bytes())), Code::InvalidArgument);
    assert_eq!(code(handle(of(0).as_bytes())), Code::MissingReceiptHandle);
}
