//! What a relayed request costs in the codec: reading its head, reading its fields, writing it out
//! under another opaque. The header is what a Java 5.x client sends.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use remoting_codec::{
    CommandView, FieldKind, FieldSpec, Fields, RemotingCommand, RequestCode, SerializeType,
};

static FIELDS: &[FieldSpec] = &[
    FieldSpec::optional("n", FieldKind::Text),
    FieldSpec::required("b", FieldKind::Text),
    FieldSpec::required("e", FieldKind::Int),
];

fn send(serialize_type: SerializeType) -> Vec<u8> {
    let fields = [
        ("a", "benchmark_producer"),
        ("b", "BenchmarkTest"),
        ("c", "TBW102"),
        ("d", "4"),
        ("e", "2"),
        ("f", "0"),
        ("g", "1763720000000"),
        ("h", "0"),
        (
            "i",
            "UNIQ_KEY\u{1}7F00000100002A9F0000000000000000\u{2}WAIT\u{1}true\u{2}",
        ),
        ("j", "0"),
        ("k", "false"),
        ("m", "false"),
        ("n", "broker-a"),
    ];
    let mut command = RemotingCommand {
        opaque: 4711.into(),
        serialize_type,
        ..RemotingCommand::request(RequestCode::SEND_MESSAGE_V2)
    };
    for (name, value) in fields {
        command = command.with_field(name, value);
    }
    command.with_body(vec![b'x'; 128]).to_bytes().to_vec()
}

fn codec(criterion: &mut Criterion) {
    for (name, serialize_type) in [
        ("json", SerializeType::Json),
        ("rocketmq", SerializeType::RocketMq),
    ] {
        let frame = send(serialize_type);
        let mut out = Vec::with_capacity(4096);
        let mut group = criterion.benchmark_group(name);
        group.bench_function("decode", |bencher| {
            bencher.iter(|| CommandView::decode(black_box(&frame)));
        });
        group.bench_function("decode, fields", |bencher| {
            bencher.iter(|| {
                let view = CommandView::decode(black_box(&frame));
                view.map(|view| {
                    let fields = Fields::read(view.ext_fields(), FIELDS);
                    fields.is_ok_and(|fields| black_box(fields).value(0).is_some())
                })
                .is_ok_and(|found| found)
            });
        });
        group.bench_function("decode, fields, write under another opaque", |bencher| {
            bencher.iter(|| {
                out.clear();
                if let Ok(view) = CommandView::decode(black_box(&frame)) {
                    let _ = black_box(Fields::read(view.ext_fields(), FIELDS));
                    view.encode_head_with_opaque(1_234_567_890, &mut out);
                    out.extend_from_slice(view.body());
                }
                out.len()
            });
        });
    }
}

criterion_group!(benches, codec);
criterion_main!(benches);
