//! The attacks of other modules with eight workers: a limit of the whole proxy is one for all of
//! them together.

use anyhow::Result;
use integration_tests::abuse::World;

use crate::{
    Abuse, Test,
    codes::pull,
    memory::{FRAME, heartbeats, partial},
    polls::{TEN_MINUTES_MS, waiting},
    test,
};

pub(crate) fn all() -> Vec<(String, Test)> {
    vec![
        test("frames_that_lack_a_byte_with_8_workers", |abuse, name| {
            let what = "100 frames of 16 MB that lack their last byte, 8 workers";
            partial(&world(abuse, name)?, name, what, 100, FRAME)
        }),
        test("pulls_that_wait_with_8_workers", |abuse, name| {
            waiting(&world(abuse, name)?, name, || {
                pull("known-attackers", TEN_MINUTES_MS)
            })
        }),
        test("heartbeats_of_1_mb_with_8_workers", |abuse, name| {
            let what = "60 connections with 8 heartbeats of 1 MB each, 8 workers";
            heartbeats(&world(abuse, name)?, name, what)
        }),
    ]
}

fn world(abuse: &Abuse, name: &str) -> Result<World> {
    abuse.world(name, "workers = 8\n")
}
