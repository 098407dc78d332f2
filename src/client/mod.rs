//! What users hold: [`Producer`] and [`Consumer`], on the one [`Engine`]
//! that a process has for a directory.

mod consumer;
pub mod directory;
pub mod fork;
pub(crate) mod producer;
mod registry;
pub(crate) mod tender;
mod upkeep;

use std::time::Duration;

pub use consumer::Consumer;
pub use consumer::polled::{Polled, Step};
pub use consumer::standing::Standing;
pub use consumer::subscription::Pattern;
pub use producer::delivery::{Callback, Delivery, DeliveryResult, RecordMetadata};
pub use producer::flush::Flush;
pub use producer::partitioner;
pub use producer::sender::Around;
pub use producer::{Outgoing, Producer};

pub use crate::coord::assign::{Builtin, Subscriber, assign, hold_back};
pub use crate::coord::group::{Target, Task, TaskMember};
pub use crate::engine::{
    Engine, GroupDescription, Id, MemberDescription, MemberToRemove, OpenOptions, Place, Reset,
    ResetTo, TimedOffset, Topic, checked_topic, keepers_of, with_patience,
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
