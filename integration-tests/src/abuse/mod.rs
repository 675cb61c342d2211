//! What an abuse suite needs: attackers, healthy clients that must not notice them, and a judge
//! between both.
//!
//! Everything here has a codec of its own, independent of Remora's: an attacker must be able to
//! write what Remora's refuses, and a broker must read what Remora's would not.

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
