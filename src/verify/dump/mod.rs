//! What one file of a partition holds, as Kafka's `DumpLogSegments` tells it: for people, so that
//! damage is told too, and what comes behind it.
//!
//! Nothing is locked and nothing changed; a file that others write to is read as far as it goes now.

mod index;
mod log;
mod transactions;

use std::path::Path;
use std::sync::Arc;

pub use index::{IndexEntry, TimeEntry, index, time_index};
pub use log::{Damaged, Dumped, Log, Piece};
pub use transactions::{Aborted, ProducerEntry, snapshot, transactions};

use crate::env::{Access, File, Storage};
use crate::error::{At, Result};
use crate::log::files;

/// A batch that decompresses to more bytes is not looked into.
pub const LIMIT: usize = 256 << 20;

/// An open file, and how long it was then.
fn open(storage: &dyn Storage, path: &Path) -> Result<(Arc<dyn File>, u64)> {
    let file = storage.open(path, Access::Read).at("open", path)?;
    let len = file.len().at("stat", path)?;
    Ok((file, len))
}

/// The offset that the name of a segment's file says; 0 if it says none.
fn base_offset(path: &Path) -> i64 {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let digits = name.split('.').next().unwrap_or_default();
    let base = digits.parse().unwrap_or(0);
    if (0..=files::MAX_BASE).contains(&base) { base } else { 0 }
}
