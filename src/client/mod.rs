//! What users hold: [`Producer`] and [`Consumer`], on the one [`Engine`]
//! that a process has for a directory.

mod accumulator;
mod alone;
mod assignment;
mod consumer;
mod consumer_metrics;
mod delivery;
pub mod directory;
mod fetcher;
mod flush;
pub mod fork;
mod history;
mod membership;
mod memory;
mod offsets;
pub mod partitioner;
mod poll;
mod polled;
mod producer;
mod producer_metrics;
mod registry;
mod round;
mod sender;
mod standing;
mod stream;
mod subscription;
mod tender;
mod topics;
mod upkeep;

use std::time::Duration;

pub use consumer::Consumer;
pub use delivery::{Callback, Delivery, DeliveryResult, RecordMetadata};
pub use flush::Flush;
pub use polled::{Polled, Step};
pub use producer::{Outgoing, Producer};
pub use sender::Around;
pub use standing::Standing;
pub use subscription::Pattern;

pub use crate::coord::assign::{Builtin, Subscriber, assign, hold_back};
pub use crate::coord::group::{Target, Task, TaskMember};
pub use crate::engine::{
    Engine, GroupDescription, MemberDescription, MemberToRemove, OpenOptions, Place, Reset,
    ResetTo, TimedOffset, Topic, checked_topic, with_patience,
};
pub use crate::record::{Headers, Record};

use crate::error::Result;

/// Sends what every producer of this process was given, also those that were dropped: for the
/// end of a process.
pub fn flush_all(timeout: Option<Duration>) -> Result<()> {
    begin_flush_all().wait(timeout)
}

/// The same in pieces: what it waits for is settled now.
pub fn begin_flush_all() -> Flush {
    let mut senders = registry::senders();
    senders.retain(|sender| !sender.is_forked());
    Flush::begin_all(senders)
}
