//! Remora's messages of the gRPC protocol against the descriptor that a client of the project
//! brings: each field's name, number, type and label, each value of an enumeration, in both
//! directions.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test that panics fails"
)]

use std::collections::BTreeSet;

use grpc::proto::{
    ENUMERATIONS, MESSAGES,
    describe::{FieldDescription, MessageDescription},
};
use integration_tests::python::Python;
use prost::Message;

/// What the two that are not in the client's descriptor have (`google/protobuf`).
const WELL_KNOWN: [&str; 4] = [
    "Duration.nanos = 2: int32",
    "Duration.seconds = 1: int64",
    "Timestamp.nanos = 2: int32",
    "Timestamp.seconds = 1: int64",
];

/// A descriptor, as much of it as counts here: `google/protobuf/descriptor.proto`.
mod descriptor {
    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct FileSet {
        #[prost(message, repeated, tag = "1")]
        pub(crate) files: Vec<File>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct File {
        #[prost(message, repeated, tag = "4")]
        pub(crate) messages: Vec<Struct>,
        #[prost(message, repeated, tag = "5")]
        pub(crate) enumerations: Vec<Enumeration>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct Struct {
        #[prost(string, tag = "1")]
        pub(crate) name: String,
        #[prost(message, repeated, tag = "2")]
        pub(crate) fields: Vec<Field>,
        #[prost(message, repeated, tag = "3")]
        pub(crate) messages: Vec<Struct>,
        #[prost(message, repeated, tag = "4")]
        pub(crate) enumerations: Vec<Enumeration>,
        #[prost(message, optional, tag = "7")]
        pub(crate) options: Option<Options>,
        #[prost(message, repeated, tag = "8")]
        pub(crate) oneofs: Vec<Named>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct Options {
        #[prost(bool, tag = "7")]
        pub(crate) map_entry: bool,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct Field {
        #[prost(string, tag = "1")]
        pub(crate) name: String,
        #[prost(int32, tag = "3")]
        pub(crate) number: i32,
        #[prost(int32, tag = "4")]
        pub(crate) label: i32,
        #[prost(int32, tag = "5")]
        pub(crate) kind: i32,
        #[prost(string, tag = "6")]
        pub(crate) type_name: String,
        #[prost(int32, optional, tag = "9")]
        pub(crate) oneof: Option<i32>,
        #[prost(bool, tag = "17")]
        pub(crate) optional: bool,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct Enumeration {
        #[prost(string, tag = "1")]
        pub(crate) name: String,
        #[prost(message, repeated, tag = "2")]
        pub(crate) values: Vec<Named>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(crate) struct Named {
        #[prost(string, tag = "1")]
        pub(crate) name: String,
        #[prost(int32, tag = "2")]
        pub(crate) number: i32,
    }
}

use descriptor::{Enumeration, Field, FileSet, Struct};

/// A type's name without what it is in; that of one in a message with the message's name before it.
fn type_name(path: &str) -> String {
    let path = path
        .strip_prefix(".apache.rocketmq.v2.")
        .or_else(|| path.strip_prefix(".google.protobuf."));
    path.unwrap().replace('.', "")
}

fn add_enumeration(prefix: &str, enumeration: &Enumeration, lines: &mut BTreeSet<String>) {
    let name = format!("{prefix}{}", enumeration.name);
    lines.insert(format!("enum {name}"));
    for value in &enumeration.values {
        lines.insert(format!("{name}.{} = {}", value.name, value.number));
    }
}

/// The field as one line.
fn described_field(message: &Struct, field: &Field) -> String {
    let repeated = field.label == 3;
    let entry = message.messages.iter().find(|nested| {
        let is_map_entry = nested
            .options
            .as_ref()
            .is_some_and(|options| options.map_entry);
        is_map_entry && field.type_name.ends_with(&format!(".{}", nested.name))
    });
    let kind = match field.kind {
        2 => "float".to_owned(),
        3 => "int64".to_owned(),
        5 => "int32".to_owned(),
        8 => "bool".to_owned(),
        9 => "string".to_owned(),
        11 if entry.is_some() => {
            let kinds = entry.unwrap().fields.iter().map(|field| field.kind);
            assert_eq!(kinds.collect::<Vec<_>>(), [9, 9]);
            "map(string, string)".to_owned()
        }
        11 => format!("message({})", type_name(&field.type_name)),
        12 => "bytes".to_owned(),
        14 => format!("enumeration({})", type_name(&field.type_name)),
        other => panic!("{}: type {other}", field.name),
    };
    let mut line = format!("{}.{} = {}: {kind}", message.name, field.name, field.number);
    if repeated && entry.is_none() {
        line.push_str(" repeated");
    }
    // A message is optional anyway.
    if field.optional && field.kind != 11 {
        line.push_str(" optional");
    }
    if let (Some(oneof), false) = (field.oneof, field.optional) {
        let oneof = &message.oneofs[usize::try_from(oneof).unwrap()];
        line.push_str(&format!(" of {}", oneof.name));
    }
    line
}

/// The descriptor as lines.
fn theirs(files: &FileSet) -> BTreeSet<String> {
    let mut lines = BTreeSet::from(WELL_KNOWN.map(str::to_owned));
    lines.extend([
        "message Duration".to_owned(),
        "message Timestamp".to_owned(),
    ]);
    for file in &files.files {
        for enumeration in &file.enumerations {
            add_enumeration("", enumeration, &mut lines);
        }
        for message in &file.messages {
            lines.insert(format!("message {}", message.name));
            for enumeration in &message.enumerations {
                add_enumeration(&message.name, enumeration, &mut lines);
            }
            let fields = message.fields.iter();
            lines.extend(fields.map(|field| described_field(message, field)));
        }
    }
    lines
}

/// A field of ours as one line, in the form of [`described_field`].
fn our_field(
    message: &MessageDescription,
    field: &FieldDescription,
    oneof: Option<&str>,
) -> String {
    let without = |text: &str, not: char| text.chars().filter(|c| *c != not).collect::<String>();
    let kind = without(field.kind, ' ').replace(',', ", ");
    let kind = match kind.as_str() {
        "message" => {
            let rust = without(field.rust_type, ' ');
            let inner = rust.split(['<', '>']).nth(1).unwrap_or(&rust);
            format!("message({inner})")
        }
        _ => kind,
    };
    let name = field.name.trim_start_matches("r#");
    let mut line = format!("{}.{name} = {}: {kind}", message.name, field.number);
    if !(field.label.is_empty() || field.label == "optional" && field.kind == "message") {
        line.push_str(&format!(" {}", field.label));
    }
    if let Some(oneof) = oneof {
        line.push_str(&format!(" of {oneof}"));
    }
    line
}

/// Our messages as lines.
fn ours() -> BTreeSet<String> {
    let mut lines = BTreeSet::new();
    for message in MESSAGES {
        lines.insert(format!("message {}", message.name));
        let fields = message.fields.iter();
        lines.extend(fields.map(|field| our_field(message, field, None)));
        for (name, numbers, fields) in message.oneof {
            let fields = fields.iter();
            let found = fields.clone().map(|field| field.number.to_string());
            assert_eq!(*numbers, found.collect::<Vec<_>>().join(", "), "{name}");
            lines.extend(fields.map(|field| our_field(message, field, Some(name))));
        }
    }
    for enumeration in ENUMERATIONS {
        lines.insert(format!("enum {}", enumeration.name));
        for (name, number) in enumeration.values {
            lines.insert(format!("{}.{name} = {number}", enumeration.name));
        }
    }
    lines
}

#[test]
fn messages_are_those_of_the_clients() {
    let descriptors = Python::grpc_descriptors().unwrap();
    let theirs = theirs(&FileSet::decode(descriptors.as_slice()).unwrap());
    let ours = ours();
    let missing: Vec<_> = theirs.difference(&ours).collect();
    let extra: Vec<_> = ours.difference(&theirs).collect();
    assert!(
        missing.is_empty() && extra.is_empty(),
        "missing: {missing:#?}\nextra: {extra:#?}"
    );
    // The descriptor was read, not passed over.
    assert!(theirs.len() > 400, "{}", theirs.len());
}
