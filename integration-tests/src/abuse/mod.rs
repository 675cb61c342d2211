//! What an abuse suite needs: attackers, healthy clients that must not notice them, and a judge
//! between both.
//!
//! Everything here speaks the protocol by itself, without Remora's own codec: an attacker must be
//! able to write what that refuses, and a broker must read what it would not.

mod attacker;
mod broker;
mod figures;
mod healthy;
mod judge;
mod measure;
mod results;
mod upstream;
mod wire;
mod world;

pub use attacker::{Ground, Line, NUMBER};
pub use figures::{Figures, admin_get, peak_memory, resident_memory};
pub use healthy::{Addresses, Healthy};
pub use judge::{Attack, attempt, verdict};
pub use measure::{Kind, Sample, Summary, summarize};
pub use results::{Outcome, Results};
pub use upstream::{BROKERS, KNOWN, Seen, UNANSWERED, Upstream};
pub use wire::{Frame, FrameReader, Request, frame};
pub use world::{LIMIT_BYTES, World};
