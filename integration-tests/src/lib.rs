//! Runs Remora between the real Java client and a real RocketMQ cluster, all as plain processes on
//! this machine.
//!
//! A test steers clients and asserts on what they report; see `tests/`. What a test talks to is its
//! [`Target`](target::Target): Remora, or (`REMORA_IT_TARGET=direct`) the name server itself, which
//! shows that the test is right about RocketMQ and not merely about Remora.

pub mod abuse;
pub mod balancer;
pub mod compare;
pub mod connections;
pub mod corpus;
pub mod delivery;
pub mod fake;
pub mod go;
pub mod grpc_client;
pub mod haproxy;
pub mod http2;
pub mod http_client;
pub mod java;
pub mod java_client;
pub mod java_proxy;
pub mod mqadmin;
pub mod network;
pub mod node;
pub mod pop;
pub mod ports;
pub mod process;
pub mod program;
pub mod proxy_process;
pub mod python;
pub mod raw;
pub mod replicas;
pub mod requests;
pub mod rocketmq;
pub mod rust;
pub mod scenario;
pub mod sharing;
pub mod suite;
pub mod table;
pub mod target;
pub mod tls;
pub mod wait;
pub mod ways;
pub mod workspace;
