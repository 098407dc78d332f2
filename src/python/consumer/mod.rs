//! [`Consumer`]: the base of `KafkaConsumer`.

mod iteration;
mod listener;
mod pace;
pub(super) mod polled;
mod rebalance;
pub(super) mod record;
mod session;

use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use pyo3::exceptions::PyValueError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PySet, PyTuple};

use crate::client;
use crate::error::{Error, Result};
use crate::python::arguments::Timeout;
use crate::python::consumer::listener::{Listener, Pattern};
use crate::python::consumer::record::ConsumerRecord;
use crate::python::consumer::session::Session;
use crate::python::producer::metrics;
use crate::python::settings::Settings;
use crate::python::{arguments, errors, structs, wait};
use crate::types::TopicPartition;

/// How long closing takes at most, as in Kafka's Java client.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(30);

/// Reads records; one thread uses it at a time.
#[pyclass(subclass, frozen, module = "brokerless._brokerless")]
pub(super) struct Consumer(OnceLock<Session>);

impl Consumer {
    /// Not in a forked child, where a lock of the session may be held by a thread that is not there.
    fn open(&self, py: Python<'_>) -> PyResult<&Session> {
        let Some(open) = self.0.get() else {
            return Err(errors::illegal_state(py, "the consumer is not open"));
        };
        if open.client.is_forked() { Err(Error::Forked("consumer").into()) } else { Ok(open) }
    }

    /// For calls that look at positions, or change them.
    fn settled(&self, py: Python<'_>) -> PyResult<&Session> {
        let open = self.open(py)?;
        open.iteration().settle(&open.client);
        Ok(open)
    }

    /// For calls after which records in hand may be stale.
    fn touch(&self, py: Python<'_>) -> PyResult<&Session> {
        let open = self.settled(py)?;
        open.touched.store(true, Ordering::Relaxed);
        Ok(open)
    }
}

#[pymethods]
impl Consumer {
    #[new]
    #[pyo3(signature = (*args, **kwargs))]
    fn from_python(args: &Bound<'_, PyTuple>, kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        let _ = (args, kwargs); // they are for the subclass's __init__
        Self(OnceLock::new())
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> std::result::Result<(), PyTraverseError> {
        self.0.get().map_or(Ok(()), |open| open.traverse(&visit))
    }

    fn __clear__(&self) {
        if let Some(open) = self.0.get() {
            open.set_listener(None);
        }
    }

    #[pyo3(signature = (directory, settings, strategies=None))]
    fn _open(
        &self,
        directory: &str,
        settings: &Bound<'_, PyAny>,
        strategies: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let py = settings.py();
        let open = Session::new(py, directory, &Settings(settings), strategies)?;
        self.0.set(open).map_err(|_| errors::illegal_state(py, "the consumer is open already"))
    }

    #[getter(_closed)]
    fn is_closed(&self) -> bool {
        self.0.get().is_none_or(|open| open.client.is_closed() || open.client.is_forked())
    }

    #[getter]
    fn _directory(&self) -> Option<&str> {
        self.0.get().map(|open| open.directory.as_str())
    }

    #[pyo3(
        signature = (topics=None, pattern=None, listener=None),
        text_signature = "($self, topics=(), pattern=None, listener=None)"
    )]
    fn subscribe(
        &self,
        py: Python<'_>,
        topics: Option<&Bound<'_, PyAny>>,
        pattern: Option<&Bound<'_, PyAny>>,
        listener: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let open = self.touch(py)?;
        let topics = topics.map_or_else(|| Ok(Vec::new()), arguments::topic_names)?;
        let listener = listener.map(|given| Listener::new(given).map(Arc::new)).transpose()?;
        match (topics.is_empty(), pattern) {
            (true, None) => {
                return Err(PyValueError::new_err("subscribe needs topics or a pattern"));
            }
            (false, Some(_)) => {
                return Err(errors::illegal_state(
                    py,
                    "subscribe takes topics or a pattern, not both",
                ));
            }
            (false, None) => wait::call(py, || open.client.subscribe(&topics))?,
            (true, Some(pattern)) => {
                let pattern = Arc::new(Pattern::new(pattern)?);
                wait::call(py, || {
                    let pattern = Arc::clone(&pattern);
                    open.client.subscribe_pattern(Arc::new(move |topic| pattern.matches(topic)))
                })?;
            }
        }
        open.set_listener(listener);
        open.describe(py)
    }

    /// Give up all topics and partitions, and leave the group.
    ///
    /// With `enable_auto_commit` what was read is committed, and the listener is told, before.
    /// Raises `IllegalStateError` in a forked child, `KafkaError` for what the listener raises.
    fn unsubscribe(&self, py: Python<'_>) -> PyResult<()> {
        let open = self.touch(py)?;
        let told = open.say_farewell(py, true, open.api_timeout);
        wait::call(py, || open.client.unsubscribe())?;
        open.set_listener(None);
        told.and_then(|()| open.raise(py))
    }

    /// Give the names of the topics subscribed to, as a set; None if there are none.
    fn subscription<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PySet>>> {
        let topics = self.open(py)?.client.subscription();
        if topics.is_empty() { Ok(None) } else { PySet::new(py, topics).map(Some) }
    }

    /// Read these partitions, an iterable of `TopicPartition`, without sharing them in a group.
    ///
    /// They replace those assigned before; none at all unsubscribes. Raises `IllegalStateError`
    /// after `subscribe`: the two do not mix.
    fn assign(&self, partitions: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = partitions.py();
        let open = self.touch(py)?;
        let partitions = structs::to_partitions(partitions)?;
        wait::call(py, || open.client.assign(&partitions))
    }

    /// Give the partitions that are read now, as a set of `TopicPartition`.
    ///
    /// Those that the group gave this consumer, or that `assign` named. Empty before the first
    /// `poll` of a group's member.
    fn assignment<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PySet>> {
        let open = self.open(py)?;
        open.set_of(py, &open.client.assignment())
    }

    /// Give the next records: a dict of `TopicPartition` to a list of `ConsumerRecord`.
    ///
    /// Waits for `timeout_ms` milliseconds at most, and returns an empty dict if nothing came. A
    /// member of a group takes part in it meanwhile. `max_records` replaces `max_poll_records`.
    /// With `update_offsets=False` the positions stay, and the same records come again.
    ///
    /// Raises `OffsetOutOfRangeError` and `NoOffsetForPartitionError` where `auto_offset_reset`
    /// is none, `CorruptRecordError`, `FencedInstanceIdError`, what a deserializer raises,
    /// `KafkaError` for what the listener raised, and `ClosedError` after `close`.
    #[pyo3(
        signature = (timeout_ms=Timeout(0.0), max_records=None, update_offsets=true),
        text_signature = "($self, timeout_ms=0, max_records=None, update_offsets=True)"
    )]
    fn poll<'py>(
        &self,
        py: Python<'py>,
        timeout_ms: Timeout,
        max_records: Option<&Bound<'py, PyAny>>,
        update_offsets: bool,
    ) -> PyResult<Bound<'py, PyDict>> {
        let open = self.open(py)?;
        let timeout = wait::millis(py, timeout_ms.0)?;
        let max_records =
            arguments::max_records(max_records, open.client.config().max_poll_records)?;
        if open.client.is_closed() {
            return Err(Error::Closed("consumer").into());
        }
        drop(open.drain_iteration());
        open.raise_failed(py)?;
        let ahead = !update_offsets;
        match open.wait_for_records(py, Some(timeout), max_records, ahead)? {
            Some(polled) => open.to_dict(py, &polled),
            None => Ok(PyDict::new(py)), // closed by another thread
        }
    }

    fn __iter__(this: Bound<'_, Self>) -> Bound<'_, Self> {
        this
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Py<ConsumerRecord>>> {
        self.open(py)?.next(py)
    }

    /// Make `offset`, an int from 0, the next one that `poll` gives of a partition.
    ///
    /// Also an `OffsetAndMetadata`: if a crash took records that were read up to there, as its
    /// `leader_epoch` tells, `poll` goes on where the rest ends. Raises `IllegalArgumentError` for
    /// a partition that is not assigned, or another offset.
    fn seek(&self, partition: &Bound<'_, PyAny>, offset: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = partition.py();
        let open = self.touch(py)?;
        let partition = structs::to_partition(partition)?;
        let to = structs::to_offset(offset).ok().filter(|to| to.offset >= 0).ok_or_else(|| {
            errors::argument_value(py, format!("an offset is an int from 0, not {offset:?}"))
        })?;
        sought(py, || open.client.seek_to(&partition, to.offset, to.leader_epoch))
    }

    /// Go to the first record of these partitions; of all that are assigned if none is named.
    ///
    /// Raises `IllegalArgumentError` for a partition that is not assigned.
    #[pyo3(signature = (*partitions))]
    fn seek_to_beginning(&self, partitions: &Bound<'_, PyTuple>) -> PyResult<()> {
        let open = self.touch(partitions.py())?;
        let list = these_or_all(&open.client, partitions)?;
        sought(partitions.py(), || open.client.seek_to_beginning(&list))
    }

    /// Go behind the last record of these partitions; of all that are assigned if none is named.
    ///
    /// Raises `IllegalArgumentError` for a partition that is not assigned.
    #[pyo3(signature = (*partitions))]
    fn seek_to_end(&self, partitions: &Bound<'_, PyTuple>) -> PyResult<()> {
        let open = self.touch(partitions.py())?;
        let list = these_or_all(&open.client, partitions)?;
        sought(partitions.py(), || open.client.seek_to_end(&list))
    }

    /// Give the offset of the next record that `poll` gives of an assigned partition.
    ///
    /// Raises `KafkaTimeoutError` if another process holds that up for `timeout_ms` milliseconds
    /// (`default_api_timeout_ms` by default), `IllegalStateError` if the partition is not
    /// assigned, `NoOffsetForPartitionError` where `auto_offset_reset` is none.
    #[pyo3(signature = (partition, timeout_ms=None))]
    fn position(
        &self,
        partition: &Bound<'_, PyAny>,
        timeout_ms: Option<f64>,
    ) -> PyResult<Option<i64>> {
        let py = partition.py();
        let open = self.settled(py)?;
        let limit = Some(wait::millis_or(py, timeout_ms, open.api_timeout)?);
        let partition = structs::to_partition(partition)?;
        wait::within(py, limit, || open.client.position(&partition)).map(Some)
    }

    /// Give the end of a partition's log, one past its last record, when it was last read.
    ///
    /// None before that. Raises `IllegalStateError` if the partition is not assigned.
    fn highwater(&self, partition: &Bound<'_, PyAny>) -> PyResult<Option<i64>> {
        let open = self.open(partition.py())?;
        let partition_ = structs::to_partition(partition)?;
        wait::call(partition.py(), || open.client.highwater(&partition_))
    }

    /// Give the offset that the group committed for a partition; None if there is none.
    ///
    /// With `metadata` as an `OffsetAndMetadata`. Raises `IllegalStateError` without a `group_id`,
    /// and `KafkaTimeoutError` after `timeout_ms`.
    #[pyo3(signature = (partition, metadata=false, timeout_ms=None))]
    fn committed<'py>(
        &self,
        partition: &Bound<'py, PyAny>,
        metadata: bool,
        timeout_ms: Option<f64>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = partition.py();
        let open = self.open(py)?;
        let limit = Some(wait::millis_or(py, timeout_ms, open.api_timeout)?);
        let partition = structs::to_partition(partition)?;
        let committed = wait::within(py, limit, || open.client.committed(&partition))?;
        committed
            .map(|committed| {
                if metadata {
                    structs::from_offset(py, &committed)
                } else {
                    Ok(committed.offset.into_pyobject(py)?.into_any())
                }
            })
            .transpose()
    }

    /// Commit offsets for the group; they are on stable storage when this returns.
    ///
    /// `offsets` is a dict of `TopicPartition` to `OffsetAndMetadata` (the offset of the next
    /// record to read); without it the positions of all assigned partitions are committed. Waits
    /// for `timeout_ms` milliseconds at most, `default_api_timeout_ms` by default.
    ///
    /// Raises `CommitFailedError` if the consumer is no member of the group or a partition is not
    /// its own, `RebalanceInProgressError` (poll again), `FencedInstanceIdError` if another took
    /// its `group_instance_id`, `OffsetMetadataTooLargeError`, `KafkaTimeoutError`, and
    /// `IllegalStateError` without a `group_id`.
    #[pyo3(signature = (offsets=None, timeout_ms=None))]
    fn commit(
        &self,
        py: Python<'_>,
        offsets: Option<&Bound<'_, PyAny>>,
        timeout_ms: Option<f64>,
    ) -> PyResult<()> {
        let open = self.settled(py)?;
        let offsets = offsets.map(arguments::offsets).transpose()?;
        let timeout = wait::millis_or(py, timeout_ms, open.api_timeout)?;
        // Another process may have been stopped while it changes the group.
        let commit = |_| open.client.commit(offsets.as_deref());
        wait::until(py, Some(timeout), commit)?
            .map(drop)
            .map_err(|error| errors::exception(py, &error))
    }

    fn _consumed<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let open = self.settled(py)?;
        let offsets = PyDict::new(py);
        for partition in open.client.assignment() {
            let offset = wait::call(py, || open.client.position_to_commit(&partition))?;
            offsets.set_item(open.pair(py, &partition)?, structs::from_offset(py, &offset)?)?;
        }
        Ok(offsets)
    }

    /// Generation, member id, and whether it has what it should; None of who is no member.
    fn _standing(&self, py: Python<'_>) -> PyResult<Option<(i32, String, bool)>> {
        let open = self.open(py)?;
        if open.client.is_closed() {
            return Ok(None);
        }
        let standing = wait::call(py, || open.client.standing())?;
        Ok(standing.map(|it| (it.generation, it.member_id, it.is_stable)))
    }

    /// Let `poll` give no records of these partitions until `resume`; they stay assigned.
    ///
    /// Raises `IllegalStateError` for a partition that is not assigned.
    #[pyo3(signature = (*partitions))]
    fn pause(&self, partitions: &Bound<'_, PyTuple>) -> PyResult<()> {
        let open = self.touch(partitions.py())?;
        let list = structs::to_partitions(partitions)?;
        wait::call(partitions.py(), || open.client.pause(&list))
    }

    /// Let `poll` give records of these paused partitions again.
    ///
    /// Raises `IllegalStateError` for a partition that is not assigned.
    #[pyo3(signature = (*partitions))]
    fn resume(&self, partitions: &Bound<'_, PyTuple>) -> PyResult<()> {
        let open = self.open(partitions.py())?;
        let list = structs::to_partitions(partitions)?;
        drop(open.drop_stale());
        wait::call(partitions.py(), || open.client.resume(&list))
    }

    /// Give the partitions that are paused, as a set of `TopicPartition`.
    fn paused<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PySet>> {
        let open = self.open(py)?;
        open.set_of(py, &open.client.paused())
    }

    /// Give the names of all topics in the directory, as a set.
    ///
    /// `timeout_ms` is accepted and not needed.
    #[pyo3(signature = (timeout_ms=None))]
    fn topics<'py>(&self, py: Python<'py>, timeout_ms: Option<f64>) -> PyResult<Bound<'py, PySet>> {
        let _ = timeout_ms;
        let open = self.open(py)?;
        PySet::new(py, wait::call(py, || open.client.topics())?)
    }

    /// Give the numbers of a topic's partitions, as a set; empty if there is no such topic.
    ///
    /// `timeout_ms` is accepted and not needed.
    #[pyo3(signature = (topic, timeout_ms=None))]
    fn partitions_for_topic<'py>(
        &self,
        py: Python<'py>,
        topic: &str,
        timeout_ms: Option<f64>,
    ) -> PyResult<Bound<'py, PySet>> {
        let _ = timeout_ms;
        let open = self.open(py)?;
        let count = wait::call(py, || open.client.partitions_for(topic))?;
        PySet::new(py, 0..count.unwrap_or(0))
    }

    /// Give the first offset of each of these partitions, assigned or not, as a dict.
    ///
    /// Raises `UnknownTopicOrPartitionError`, and `KafkaTimeoutError` after `timeout_ms`.
    #[pyo3(signature = (partitions, timeout_ms=None))]
    fn beginning_offsets<'py>(
        &self,
        partitions: &Bound<'py, PyAny>,
        timeout_ms: Option<f64>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let py = partitions.py();
        let open = self.open(py)?;
        let limit = Some(wait::millis_or(py, timeout_ms, open.api_timeout)?);
        let list = structs::to_partitions(partitions)?;
        open.dict_of(py, wait::within(py, limit, || open.client.beginning_offsets(&list))?)
    }

    /// Give the offset one past the last record of each of these partitions, as a dict.
    ///
    /// Raises `UnknownTopicOrPartitionError`, and `KafkaTimeoutError` after `timeout_ms`.
    #[pyo3(signature = (partitions, timeout_ms=None))]
    fn end_offsets<'py>(
        &self,
        partitions: &Bound<'py, PyAny>,
        timeout_ms: Option<f64>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let py = partitions.py();
        let open = self.open(py)?;
        let limit = Some(wait::millis_or(py, timeout_ms, open.api_timeout)?);
        let list = structs::to_partitions(partitions)?;
        open.dict_of(py, wait::within(py, limit, || open.client.end_offsets(&list))?)
    }

    /// Find the first record of each partition that is not older than the time given with it.
    ///
    /// `timestamps` is a dict of `TopicPartition` to milliseconds since 1970; the result is one
    /// to `OffsetAndTimestamp`, or None if all records are older. Raises
    /// `UnknownTopicOrPartitionError`, `KafkaTimeoutError` after `timeout_ms`, and
    /// `IllegalArgumentError` for a negative time.
    #[pyo3(signature = (timestamps, timeout_ms=None))]
    fn offsets_for_times<'py>(
        &self,
        timestamps: &Bound<'py, PyAny>,
        timeout_ms: Option<f64>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let py = timestamps.py();
        let open = self.open(py)?;
        let limit = Some(wait::millis_or(py, timeout_ms, open.api_timeout)?);
        let times = arguments::by_partition(timestamps, arguments::time)?;
        let found = PyDict::new(py);
        for (partition, at) in wait::within(py, limit, || open.client.offsets_for_times(&times))? {
            let at = at
                .map(|at| structs::from_time(py, at.offset, at.timestamp, at.leader_epoch))
                .transpose()?;
            found.set_item(open.pair(py, &partition)?, at)?;
        }
        Ok(found)
    }

    /// Give what was counted, as a dict of numbers by name, in the group `consumer-metrics`.
    #[pyo3(signature = (raw=false))]
    fn metrics<'py>(&self, py: Python<'py>, raw: bool) -> PyResult<Bound<'py, PyDict>> {
        let _ = raw; // there is one form
        metrics(py, "consumer-metrics", self.open(py)?.client.metrics())
    }

    #[pyo3(signature = (autocommit=true, timeout_ms=None))]
    fn close(&self, py: Python<'_>, autocommit: bool, timeout_ms: Option<f64>) -> PyResult<()> {
        if self.is_closed() {
            return Ok(());
        }
        let open = self.touch(py)?;
        let limit = wait::millis_or(py, timeout_ms, CLOSE_TIMEOUT)?;
        let told = open.say_farewell(py, autocommit, limit);
        let interrupted = told.as_ref().is_err_and(|error| wait::is_interrupt(py, error));
        let close = || open.client.close(false);
        let closed = if interrupted { wait::briefly(py, close) } else { wait::call(py, close) };
        for codec in open.reader.codecs() {
            codec.close(py)?;
        }
        told.and(closed).and_then(|()| open.raise(py))
    }
}

/// Runs a seek; kafka-python raises a `ValueError` for a partition that is not assigned.
fn sought(py: Python<'_>, seek: impl Fn() -> Result<()> + Send + Sync) -> PyResult<()> {
    let seek = || match seek() {
        Err(error @ Error::IllegalState(_)) => Err(Error::InvalidArgument(error.to_string())),
        other => other,
    };
    wait::call(py, seek)
}

/// The partitions given, or all that are assigned.
fn these_or_all(
    client: &client::Consumer,
    given: &Bound<'_, PyTuple>,
) -> PyResult<Vec<TopicPartition>> {
    if !given.is_empty() {
        return structs::to_partitions(given);
    }
    let all = client.assignment();
    if all.is_empty() {
        return Err(errors::argument_value(given.py(), "no partitions are assigned"));
    }
    Ok(all)
}
