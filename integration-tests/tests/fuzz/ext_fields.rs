//! Ext fields of any text: as they are written, they are read, one by one and by what a request
//! code declares.

use std::collections::BTreeMap;

use remoting_codec::{
    CommandView, FieldError, FieldKind, FieldSpec, Fields, RemotingCommand, RequestCode,
    SerializeType,
};

use crate::{Target, no_seeds, outcome};

/// The first byte is the serialization; then come names and values in turn, each behind a byte with
/// its length.
pub(crate) const EXT_FIELDS: Target = Target {
    name: "ext-fields",
    run,
    longest: 4_096,
    tokens: &[
        b"\x01a\x011",
        b"\x01i\x042147",
        b"\x05topic\x01T",
        b"\x07queueId\x013",
        b"\x0bqueueOffset\x03-17",
        b"\x00",
        b"\x05@type",
        b"\x04$ref",
        b"\"",
        b"\\",
        b"\\u0041",
        b"\0",
        b"\x1f",
        b"\x7f",
        b"\xc3\xa9",
        b"\xf0\x9f\x98\x80",
        b"\xef\xbf\xbd",
        b"-",
        b"+7",
        b"007",
        b"9223372036854775807",
        b"2147483648",
        b"true",
    ],
    seeds: no_seeds,
    generate: None,
};

/// As request codes declare them: names short and long, and some with the same start. All are ASCII
/// without anything to escape.
static SPECS: [FieldSpec; 9] = [
    FieldSpec::optional("a", FieldKind::Text),
    FieldSpec::optional("i", FieldKind::Int),
    FieldSpec::optional("bname", FieldKind::Text),
    FieldSpec::optional("topic", FieldKind::Text),
    FieldSpec::optional("topicSysFlag", FieldKind::Int),
    FieldSpec::optional("queueId", FieldKind::Int),
    FieldSpec::optional("queueOffset", FieldKind::Long),
    FieldSpec::optional("consumerGroup", FieldKind::Text),
    FieldSpec::optional("x", FieldKind::Long),
];

/// Names and values, as far as they are whole.
fn texts(mut bytes: &[u8]) -> Vec<(String, String)> {
    let mut next = || {
        let (length, rest) = bytes.split_first()?;
        let (text, rest) = rest.split_at_checked(usize::from(*length))?;
        bytes = rest;
        Some(String::from_utf8_lossy(text).into_owned())
    };
    let mut fields = Vec::new();
    while let (Some(name), Some(value)) = (next(), next()) {
        // Which names are not taken, the headers' targets see to.
        if !name.is_empty() && !name.contains('\0') && !matches!(&*name, "@type" | "$ref") {
            fields.push((name, value));
        }
    }
    fields
}

fn run(input: &[u8]) -> u64 {
    let Some((kind, rest)) = input.split_first() else {
        return 0;
    };
    let kind = match kind % 2 {
        0 => SerializeType::Json,
        _ => SerializeType::RocketMq,
    };
    let fields = texts(rest);
    let mut command = RemotingCommand::request(RequestCode::SEND_MESSAGE);
    command.serialize_type = kind;
    for (name, value) in &fields {
        command = command.with_field(name.clone(), value.clone());
    }
    // As in a map, the last value of a name counts; in the binary form, no text is no value.
    let mut expected: BTreeMap<String, String> = fields.iter().cloned().collect();
    if kind == SerializeType::RocketMq {
        expected.retain(|_, value| !value.is_empty());
    }

    let bytes = command.to_bytes();
    let view = CommandView::decode(&bytes).expect("what we write, we read");
    let mut read = BTreeMap::new();
    view.ext_fields().visit(|name, value| {
        read.insert(name.to_owned(), value.text().into_owned());
    });
    assert_eq!(read, expected);

    // One that is left out is found when it is asked for.
    if let Ok(of_a_broker) = CommandView::decode_upstream(&bytes) {
        assert_declared(&of_a_broker, &expected);
    }
    let declared = assert_declared(&view, &expected);
    outcome((
        kind,
        view.is_canonical(),
        fields.len().min(30),
        read.len().min(30),
        declared,
    ))
}

/// That the declared fields are what is expected; answers which of them are there.
fn assert_declared<O>(view: &CommandView<'_, O>, expected: &BTreeMap<String, String>) -> u32 {
    let value = |spec: &FieldSpec| expected.get(spec.name).filter(|value| !value.is_empty());
    let wrong = SPECS.iter().find(|spec| match (spec.kind, value(spec)) {
        (FieldKind::Int, Some(value)) => value.parse::<i32>().is_err(),
        (FieldKind::Long, Some(value)) => value.parse::<i64>().is_err(),
        _ => false,
    });
    let fields = match Fields::read(view.ext_fields(), &SPECS) {
        Ok(fields) => fields,
        Err(FieldError::Malformed { name, .. }) => {
            assert_eq!(wrong.map(|spec| spec.name), Some(name));
            return 1 << 31;
        }
        Err(error) => panic!("{error}"),
    };
    assert!(wrong.is_none(), "{wrong:?} was taken");
    let mut there = 0;
    for (at, spec) in SPECS.iter().enumerate() {
        let read = fields.value(at).map(|value| value.text().into_owned());
        assert_eq!(read.as_ref(), value(spec), "{}", spec.name);
        there |= u32::from(read.is_some()) << at;
    }
    there
}
