//! One partition's files: segments, indexes, checkpoints and their recovery.
//!
//! Nothing here locks or is shared: `engine` decides who may write and what is published.

pub(crate) mod aborted;
pub(crate) mod aside;
pub(crate) mod batches;
pub(crate) mod checkpoint;
pub(crate) mod compaction;
pub(crate) mod files;
mod filter;
pub(crate) mod index;
mod offset_map;
pub(crate) mod producers;
pub(crate) mod recovery;
pub(crate) mod replay;
pub(crate) mod retention;
pub(crate) mod scan;
pub(crate) mod segment;
pub(crate) mod segments;
pub(crate) mod settled;
mod siphash;
pub(crate) mod swap;
pub(crate) mod tail;
mod transactions;
