//! The memory that a frame can make its reader allocate. The test is alone in its process, because
//! it counts the memory of the process.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test that panics fails")]

use bytes::Bytes;
use remoting_codec::{CommandView, FrameLimits, RemotingCommand, body, frame_length};

const MIB: usize = 1024 * 1024;

/// Approximate bytes of a body.
const LENGTH: usize = MIB / 4;

/// A counter of the operating system for this process, in bytes.
fn counted(what: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(what));
    let kib = line.unwrap().split_whitespace().nth(1).unwrap();
    kib.parse::<usize>().unwrap() * 1024
}

fn frame(serialize_type: u32, header: &[u8]) -> Bytes {
    let mut frame = (4 + header.len() as u32).to_be_bytes().to_vec();
    frame.extend((serialize_type << 24 | header.len() as u32).to_be_bytes());
    frame.extend(header);
    frame.into()
}

/// As many of `item` as fit. The buffer is allocated once: memory that it freed before the
/// measurement would hide allocations of the reader.
fn list(item: &str) -> String {
    let mut list = String::with_capacity(LENGTH + 64);
    while list.len() < LENGTH {
        list.push_str(item);
        list.push(',');
    }
    list.pop();
    list
}

#[test]
fn reading_allocates_at_most_a_few_times_the_input() {
    let mut announced = Vec::new();
    // Remark, map, key and value with the greatest possible lengths.
    let fixed = [0, 105, 0, 1, 0xdf, 0, 0, 0, 7, 0, 0, 0, 0];
    for rest in [
        &[0x7f, 0xff, 0xff, 0xff][..],
        &[0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff],
        &[0, 0, 0, 0, 0, 0, 0, 4, 0x7f, 0xff, 1, 2],
        &[0, 0, 0, 0, 0, 0, 0, 7, 0, 1, b'a', 0x7f, 0xff, 0xff, 0xff],
    ] {
        announced.push(frame(1, &[&fixed[..], rest].concat()));
    }
    // Fields of bodies that are read, and fields that are not, many times.
    let zeros = list("0");
    let mut bodies = vec![
        "[".repeat(LENGTH),
        format!("{{{}}}", list("0:0")),
        format!(r#"{{"clientID":"{}"}}"#, "\\u0041".repeat(LENGTH / 6)),
        format!(r#"{{"clientID":"c","x":[{zeros}]}}"#),
    ];
    for model in [format!("[{zeros}]"), format!(r#"{{"a":[{zeros}]}}"#)] {
        bodies.push(format!(
            r#"{{"clientID":"c","consumerDataSet":[{{"groupName":"g","messageModel":{model}}}]}}"#
        ));
    }
    let consumers = list(r#"{"groupName":""}"#);
    bodies.push(format!(
        r#"{{"clientID":"c","consumerDataSet":[{consumers}]}}"#
    ));
    let queues = list(r#"{"brokerName":"","queueId":0,"topic":""}"#);
    bodies.push(format!(r#"{{"clientId":"c","mqSet":[{queues}]}}"#));
    let longest = bodies.iter().map(String::len).max().unwrap();

    // Asked for, touched or not.
    let before = counted("VmPeak:");
    for bytes in [[0xff; 8], [0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0]] {
        assert!(frame_length(&bytes, FrameLimits::default()).is_err());
    }
    for frame in &announced {
        assert!(CommandView::decode(frame).is_err());
        assert!(RemotingCommand::decode(frame).is_err());
    }
    let used = counted("VmPeak:") - before;
    assert!(used < MIB, "{used} bytes for headers with wrong lengths");

    for body in &bodies {
        // Resets the peak: from here on, the peak is that of this case.
        std::fs::write("/proc/self/clear_refs", "5").unwrap();
        let before = counted("VmRSS:");
        let body = body.as_bytes();
        let _ = body::ClientConfig::decode(body);
        let _ = body::ConsumerList::decode(body);
        let _ = body::Heartbeat::decode(body);
        let _ = body::LockBatch::decode(body);
        let _ = body::LockBatchResponse::decode(body);
        let read = counted("VmHWM:") - before;
        let start = String::from_utf8_lossy(&body[..80]);
        assert!(
            read < 8 * longest,
            "{read} bytes for {}: {start}",
            body.len()
        );
    }
}
