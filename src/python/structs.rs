//! The structs of `brokerless.structs`, made and read here.

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyInt, PyString, PyTuple};

use super::arguments;
use crate::types::{OffsetAndMetadata, TopicPartition};

/// A class of `brokerless.structs`, looked up once.
struct Struct {
    name: &'static str,
    class: PyOnceLock<Py<PyAny>>,
}

impl Struct {
    const fn new(name: &'static str) -> Self {
        Self { name, class: PyOnceLock::new() }
    }

    fn class<'a, 'py>(&'a self, py: Python<'py>) -> PyResult<&'a Bound<'py, PyAny>> {
        let find = || Ok::<_, PyErr>(py.import("brokerless.structs")?.getattr(self.name)?.unbind());
        Ok(self.class.get_or_try_init(py, find)?.bind(py))
    }
}

static TOPIC_PARTITION: Struct = Struct::new("TopicPartition");
static OFFSET_AND_METADATA: Struct = Struct::new("OffsetAndMetadata");
static OFFSET_AND_TIMESTAMP: Struct = Struct::new("OffsetAndTimestamp");

/// `TopicPartition(topic, partition)`.
pub(super) fn topic_partition<'py>(
    py: Python<'py>,
    topic: &Bound<'py, PyAny>,
    partition: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    TOPIC_PARTITION.class(py)?.call1((topic, partition))
}

/// The same of our own kind.
pub(super) fn from_partition<'py>(
    py: Python<'py>,
    partition: &TopicPartition,
) -> PyResult<Bound<'py, PyAny>> {
    TOPIC_PARTITION.class(py)?.call1((&*partition.topic, partition.partition))
}

/// Reads a `TopicPartition`, or anything else that is a pair of a str and an int.
pub(super) fn to_partition(given: &Bound<'_, PyAny>) -> PyResult<TopicPartition> {
    read_pair(given).ok_or_else(|| {
        PyTypeError::new_err(format!(
            "a TopicPartition is due here, not {}",
            given.repr().map_or_else(|_| "this".to_owned(), |text| text.to_string())
        ))
    })
}

fn read_pair(given: &Bound<'_, PyAny>) -> Option<TopicPartition> {
    let pair = given.cast::<PyTuple>().ok().filter(|pair| pair.len() == 2)?;
    let topic = pair.get_item(0).ok()?.cast_into::<PyString>().ok()?;
    let partition = pair.get_item(1).ok()?.cast_into::<PyInt>().ok()?;
    Some(TopicPartition::new(topic.to_str().ok()?, partition.extract().ok()?))
}

/// Reads a list, set or other iterable of partitions.
pub(super) fn to_partitions(given: &Bound<'_, PyAny>) -> PyResult<Vec<TopicPartition>> {
    given.try_iter()?.map(|item| to_partition(&item?)).collect()
}

/// `OffsetAndMetadata(offset, metadata, leader_epoch)`.
pub(super) fn from_offset<'py>(
    py: Python<'py>,
    committed: &OffsetAndMetadata,
) -> PyResult<Bound<'py, PyAny>> {
    OFFSET_AND_METADATA.class(py)?.call1((
        committed.offset,
        &committed.metadata,
        committed.leader_epoch,
    ))
}

/// Reads an `OffsetAndMetadata` of two or three fields, or a plain offset. Metadata of any type
/// becomes a string, as in kafka-python.
pub(super) fn to_offset(given: &Bound<'_, PyAny>) -> PyResult<OffsetAndMetadata> {
    if given.is_instance_of::<PyInt>() {
        return Ok(offset_alone(arguments::integer(given, "an offset")?));
    }
    let fields = given.cast::<PyTuple>().map_err(|_| not_an_offset(given))?;
    if !(1..=3).contains(&fields.len()) {
        return Err(not_an_offset(given));
    }
    let mut read = offset_alone(arguments::integer(&fields.get_item(0)?, "an offset")?);
    if let Ok(metadata) = fields.get_item(1)
        && !metadata.is_none()
    {
        metadata.str()?.to_str()?.clone_into(&mut read.metadata);
    }
    if let Ok(epoch) = fields.get_item(2)
        && !epoch.is_none()
    {
        read.leader_epoch = epoch.extract()?;
    }
    Ok(read)
}

fn offset_alone(offset: i64) -> OffsetAndMetadata {
    OffsetAndMetadata { offset, metadata: String::new(), leader_epoch: -1 }
}

fn not_an_offset(given: &Bound<'_, PyAny>) -> PyErr {
    PyTypeError::new_err(format!("an OffsetAndMetadata is due here, not {given:?}"))
}

/// `OffsetAndTimestamp(offset, timestamp, leader_epoch)`.
pub(super) fn from_time(
    py: Python<'_>,
    offset: i64,
    timestamp: i64,
    leader_epoch: i32,
) -> PyResult<Bound<'_, PyAny>> {
    OFFSET_AND_TIMESTAMP.class(py)?.call1((offset, timestamp, leader_epoch))
}
