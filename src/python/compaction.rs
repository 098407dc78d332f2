//! The compaction of a partition, for `brokerless compact`.

use std::path::Path;

use pyo3::prelude::*;

use super::wait;
use crate::client::{OpenOptions, directory};
use crate::error::{Error, Result};
use crate::types::TopicPartition;

/// Compacts a partition, also what is in its active segment; gives its bytes before and after, and
/// whether anything was done.
#[pyfunction]
pub(super) fn compact(
    py: Python<'_>,
    directory: &str,
    topic: &str,
    partition: i32,
) -> PyResult<(u64, u64, bool)> {
    let id = TopicPartition::new(topic, partition);
    wait::call(py, || compact_now(Path::new(directory), &id))
}

fn compact_now(dir: &Path, id: &TopicPartition) -> Result<(u64, u64, bool)> {
    let engine = directory::open(dir, OpenOptions::default())?;
    let partition = engine.partition(id)?;
    if !partition.is_compacted() {
        let why = "records are compacted only where cleanup.policy has compact";
        return Err(Error::PolicyViolation { partition: id.clone(), why });
    }
    let before = partition.size()?;
    let compacted = partition.compact_all(engine.env().clock.now())?;
    Ok((before, partition.size()?, compacted))
}
