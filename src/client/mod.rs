//! What users hold: [`Producer`] and [`Consumer`], on the one [`Engine`](crate::engine::Engine)
//! that a process has for a directory.

mod accumulator;
mod delivery;
pub mod directory;
pub mod fork;
mod memory;
pub mod partitioner;
mod producer;
mod producer_metrics;
mod registry;
mod sender;
mod topics;

use std::time::Duration;

pub use delivery::{Callback, Delivery, DeliveryResult, RecordMetadata};
pub use producer::{Outgoing, Producer};
pub use sender::Around;

pub use crate::engine::{Engine, OpenOptions, TimedOffset};
pub use crate::record::{Headers, Record};

use crate::error::Result;

/// Sends what every producer of this process was given, also those that were dropped: for the
/// end of a process. Goes on to the next after an error, and gives the first one.
pub fn flush_all(timeout: Option<Duration>) -> Result<()> {
    let mut result = Ok(());
    for sender in registry::senders().iter().filter(|sender| !sender.is_forked()) {
        let flushed = sender.flush(timeout);
        result = result.and(flushed);
    }
    result
}
