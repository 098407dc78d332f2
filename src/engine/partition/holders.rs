//! Which partitions hold files open for appending.
//!
//! A process may have few open files, 1,024 as a rule, and they are not ours alone. So only so many
//! partitions keep theirs between appends; the one that began first gives them back.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::engine::partition::Partition;

/// Partitions that keep their files open, with about five files each.
const MOST: usize = 100;

/// The partitions that hold files, in the order they began to.
#[derive(Debug, Default)]
pub(crate) struct Holders(Mutex<VecDeque<Weak<Partition>>>);

impl Holders {
    /// Takes in a partition that is about to open its files.
    pub(crate) fn admit(&self, partition: Weak<Partition>) {
        let mut holders = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        holders.push_back(partition);
        if holders.len() <= MOST {
            return;
        }
        let oldest = holders.pop_front().and_then(|oldest| oldest.upgrade());
        // One that is in use stays, as the youngest.
        if let Some(busy) = oldest.filter(|oldest| !oldest.give_back()) {
            holders.push_back(Arc::downgrade(&busy));
        }
    }
}
