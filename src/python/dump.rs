//! What one file of a partition holds, for `brokerless dump`.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList};

use super::wait;
use crate::types::TimestampType;
use crate::verify::dump::{self, Damaged, Dumped, Log, Piece};
use crate::verify::{ControlType, EndTransactionMarker, Env, Record};

/// A log file, batch by batch: an iterator of dicts.
#[pyclass(frozen, module = "brokerless._brokerless")]
pub(super) struct LogDump {
    log: Mutex<Log>,
    with_records: bool,
}

#[pymethods]
impl LogDump {
    #[new]
    #[pyo3(signature = (path, *, max_bytes=None, records=true))]
    fn from_python(
        py: Python<'_>,
        path: &str,
        max_bytes: Option<u64>,
        records: bool,
    ) -> PyResult<Self> {
        let open = || Log::open(Path::new(path), max_bytes, dump::LIMIT, &Env::system());
        Ok(Self { log: Mutex::new(wait::call(py, open)?), with_records: records })
    }

    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        py.check_signals()?;
        let next = || self.log.lock().unwrap_or_else(PoisonError::into_inner).advance();
        match wait::call(py, next)? {
            None => Ok(None),
            Some(Piece::Damage(damage)) => damage_of(py, &damage).map(Some),
            Some(Piece::Batch(batch)) => batch_of(py, &batch, self.with_records).map(Some),
        }
    }
}

fn damage_of<'py>(py: Python<'py>, damage: &Damaged) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("position", damage.position)?;
    dict.set_item("bytes", damage.bytes)?;
    dict.set_item("at_end", damage.at_end)?;
    dict.set_item("error", damage.what.to_string())?;
    Ok(dict)
}

fn batch_of<'py>(
    py: Python<'py>,
    dumped: &Dumped,
    with_records: bool,
) -> PyResult<Bound<'py, PyDict>> {
    let (dict, info) = (PyDict::new(py), &dumped.info);
    let set = |name: &str, value: i64| dict.set_item(name, value);
    set("base_offset", info.base_offset)?;
    set("last_offset", info.last_offset)?;
    dict.set_item("count", info.records_count)?;
    set("base_sequence", info.base_sequence.into())?;
    set("last_sequence", sequence(info.base_sequence, info.last_offset - info.base_offset))?;
    set("producer_id", info.producer_id)?;
    set("producer_epoch", info.producer_epoch.into())?;
    set("partition_leader_epoch", info.leader_epoch.into())?;
    dict.set_item("is_transactional", info.is_transactional)?;
    dict.set_item("is_control", info.is_control)?;
    dict.set_item("delete_horizon_ms", info.has_delete_horizon.then_some(info.base_timestamp))?;
    dict.set_item("position", dumped.position)?;
    dict.set_item("timestamp_type", timestamp_type(info.magic, info.timestamp_type))?;
    set("max_timestamp", info.max_timestamp)?;
    dict.set_item("size", info.size)?;
    set("magic", info.magic.into())?;
    dict.set_item("compress_codec", info.compression.name())?;
    set("crc", info.crc.into())?;
    dict.set_item("is_valid", dumped.is_valid)?;
    if with_records {
        add_records(py, dumped, &dict)?;
    }
    Ok(dict)
}

/// The records up to the first that cannot be read, and why it cannot.
fn add_records(py: Python<'_>, dumped: &Dumped, dict: &Bound<'_, PyDict>) -> PyResult<()> {
    let records = PyList::empty(py);
    let mut error = None;
    match &dumped.batch {
        Err(what) => error = Some(what.to_string()),
        Ok(batch) => {
            for record in batch.records() {
                match record {
                    Ok(record) => records.append(record_of(py, dumped, &record)?)?,
                    Err(what) => error = Some(what.to_string()),
                }
            }
        }
    }
    dict.set_item("records", records)?;
    dict.set_item("error", error)
}

fn record_of<'py>(
    py: Python<'py>,
    dumped: &Dumped,
    record: &Record<'_>,
) -> PyResult<Bound<'py, PyDict>> {
    let (dict, info) = (PyDict::new(py), &dumped.info);
    let bytes = |data: Option<&[u8]>| data.map(|data| PyBytes::new(py, data));
    dict.set_item("offset", record.offset)?;
    dict.set_item("timestamp", record.timestamp)?;
    dict.set_item("key", bytes(record.key))?;
    dict.set_item("value", bytes(record.value))?;
    if info.magic >= 2 {
        let delta = record.offset.wrapping_sub(info.base_offset);
        dict.set_item("sequence", sequence(info.base_sequence, delta))?;
        let headers: Vec<_> =
            record.headers.iter().map(|(name, value)| (name, bytes(value))).collect();
        dict.set_item("headers", headers)?;
    }
    if info.is_control {
        add_control(record, &dict)?;
    }
    Ok(dict)
}

fn add_control(record: &Record<'_>, dict: &Bound<'_, PyDict>) -> PyResult<()> {
    let (key, value) = (record.key.unwrap_or_default(), record.value.unwrap_or_default());
    let Ok(kind) = ControlType::parse(key) else { return Ok(()) };
    dict.set_item("control_type", kind.name())?;
    dict.set_item("control_type_id", kind.id())?;
    if let Ok(marker) = EndTransactionMarker::parse(key, value) {
        dict.set_item("coordinator_epoch", marker.coordinator_epoch)?;
    }
    Ok(())
}

/// The sequence number `delta` behind `base`; -1 without one. They begin anew behind the largest.
fn sequence(base: i32, delta: i64) -> i64 {
    if base < 0 { -1 } else { (i64::from(base) + delta) & i64::from(i32::MAX) }
}

/// Kafka's name for it.
fn timestamp_type(magic: i8, kind: TimestampType) -> &'static str {
    match kind {
        _ if magic == 0 => "NoTimestampType",
        TimestampType::CreateTime => "CreateTime",
        TimestampType::LogAppendTime => "LogAppendTime",
    }
}

/// Timestamp, offset, and of the batch there the last offset and the youngest timestamp.
type TimeEntry = (i64, i64, Option<(i64, i64)>);

/// Producer id, first, last and last stable offset.
type Aborted = (i64, i64, i64, i64);

/// Offset, position, and the last offset of the batch there, of each entry.
#[pyfunction]
pub(super) fn dump_index(py: Python<'_>, path: &str) -> PyResult<Vec<(i64, u32, Option<i64>)>> {
    let entries = wait::call(py, || dump::index(Path::new(path), &Env::system()))?;
    Ok(entries.iter().map(|it| (it.offset, it.position, it.found)).collect())
}

/// The entries of a time index.
#[pyfunction]
pub(super) fn dump_time_index(py: Python<'_>, path: &str) -> PyResult<Vec<TimeEntry>> {
    let entries =
        wait::call(py, || dump::time_index(Path::new(path), dump::LIMIT, &Env::system()))?;
    Ok(entries.iter().map(|it| (it.timestamp, it.offset, it.found)).collect())
}

/// The entries of an index of aborted transactions, and how many bytes are left over.
#[pyfunction]
pub(super) fn dump_transactions(py: Python<'_>, path: &str) -> PyResult<(Vec<Aborted>, u64)> {
    let (entries, left) = wait::call(py, || dump::transactions(Path::new(path), &Env::system()))?;
    let entries = entries
        .iter()
        .map(|it| (it.producer_id, it.first_offset, it.last_offset, it.last_stable_offset));
    Ok((entries.collect(), left))
}

/// The producers of a snapshot; `None` if it is damaged.
#[pyfunction]
pub(super) fn dump_snapshot<'py>(
    py: Python<'py>,
    path: &str,
) -> PyResult<Option<Vec<Bound<'py, PyDict>>>> {
    let entries = wait::call(py, || dump::snapshot(Path::new(path), &Env::system()))?;
    entries.map(|entries| entries.iter().map(|it| producer_of(py, it)).collect()).transpose()
}

fn producer_of<'py>(py: Python<'py>, it: &dump::ProducerEntry) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("producer_id", it.producer_id)?;
    dict.set_item("producer_epoch", it.epoch)?;
    dict.set_item("coordinator_epoch", it.coordinator_epoch)?;
    dict.set_item("current_txn_first_offset", it.open_from)?;
    dict.set_item("last_sequence", it.last_sequence)?;
    dict.set_item("last_offset", it.last_offset)?;
    dict.set_item("offset_delta", it.offset_delta)?;
    dict.set_item("last_timestamp", it.timestamp)?;
    Ok(dict)
}
