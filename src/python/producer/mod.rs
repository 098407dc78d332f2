//! [`Producer`]: the base of `KafkaProducer`.

pub(super) mod future;
mod many;
pub(super) mod metadata;

use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PySet, PyString, PyTuple};

use crate::client::{self, Delivery, Outgoing, directory};
use crate::error::Error;
use crate::python::arguments::Timeout;
use crate::python::payload::{Header, HeaderObjects, Payload, headers_size, not_text};
use crate::python::producer::future::FutureRecordMetadata;
use crate::python::producer::metadata::Sizes;
use crate::python::serde::{Candidate, Codec, Partitioner};
use crate::python::settings::Settings;
use crate::python::{arguments, errors, gate, logs, wait};

/// Sends records; any number of threads may share it.
#[pyclass(subclass, frozen, module = "brokerless._brokerless")]
pub(super) struct Producer(OnceLock<Open>);

struct Open {
    client: client::Producer,
    directory: String,
    key: Option<Codec>,
    value: Option<Codec>,
    partitioner: Option<Partitioner>,
}

/// What all records of one call share.
struct Common<'a, 'py> {
    topic: &'a Bound<'py, PyAny>,
    topic_name: &'a str,
    headers: Option<&'a Bound<'py, PyAny>>,
    encoded_headers: &'a [Header<'a>],
    partition: Option<i32>,
    timestamp: Option<i64>,
}

impl Producer {
    fn open(&self, py: Python<'_>) -> PyResult<&Open> {
        self.0.get().ok_or_else(|| errors::illegal_state(py, "the producer is not open"))
    }
}

#[pymethods]
impl Producer {
    #[new]
    #[pyo3(signature = (*args, **kwargs))]
    fn from_python(args: &Bound<'_, PyTuple>, kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        let _ = (args, kwargs); // they are for the subclass's __init__
        Self(OnceLock::new())
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.0.get().map_or(Ok(()), |open| open.traverse(&visit))
    }

    fn _open(&self, directory: &str, settings: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = settings.py();
        let open = Open::new(py, directory, &Settings(settings))?;
        self.0.set(open).map_err(|_| errors::illegal_state(py, "the producer is open already"))
    }

    #[getter]
    fn _closed(&self) -> bool {
        self.0.get().is_none_or(|open| open.client.is_closed())
    }

    #[getter]
    fn _directory(&self, py: Python<'_>) -> PyResult<&str> {
        Ok(&self.open(py)?.directory)
    }

    /// Send a record to a topic, and give a future of its `RecordMetadata`.
    ///
    /// Returns at once: `future.get(timeout)` waits, in seconds, until the record is stored as
    /// `acks` says, and raises what went wrong. `key` and `value` go through the serializers, and
    /// are bytes or None without; `headers` is a list of (str, bytes); `timestamp_ms` is
    /// milliseconds since 1970, by default the time now. Without `partition` the partitioner
    /// chooses.
    ///
    /// Raises `MessageSizeTooLargeError`, `RecordListTooLargeError`, `InvalidTopicError`,
    /// `UnknownTopicOrPartitionError`, `KafkaTimeoutError` if the buffer is full for `max_block_ms`,
    /// `IllegalArgumentError` and `ArgumentTypeError` for arguments that cannot be, `ClosedError`
    /// after `close`.
    #[pyo3(signature = (topic, value=None, key=None, headers=None, partition=None, timestamp_ms=None))]
    fn send<'py>(
        &self,
        topic: &Bound<'py, PyAny>,
        value: Option<&Bound<'py, PyAny>>,
        key: Option<&Bound<'py, PyAny>>,
        headers: Option<&Bound<'py, PyAny>>,
        partition: Option<&Bound<'py, PyAny>>,
        timestamp_ms: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<FutureRecordMetadata> {
        let py = topic.py();
        let open = self.open(py)?;
        logs::hand_over(py)?;
        let objects = HeaderObjects::new(headers)?;
        let common = Common {
            topic,
            topic_name: topic_name(topic)?,
            headers,
            encoded_headers: &objects.borrow()?,
            partition: partition_number(partition)?,
            timestamp: timestamp(timestamp_ms)?,
        };
        let none = py.None().into_bound(py);
        let (delivery, sizes) = open.send(&common, value.unwrap_or(&none), key.unwrap_or(&none))?;
        Ok(FutureRecordMetadata::new(delivery, sizes))
    }

    /// Send a record for each of `values`, and give one future of them all.
    ///
    /// Much faster than as many calls of `send`. `keys`, if given, has as many items; the rest is
    /// the same for all records, and raises the same.
    #[pyo3(signature = (topic, values, keys=None, headers=None, partition=None, timestamp_ms=None))]
    fn send_many<'py>(
        &self,
        topic: &Bound<'py, PyAny>,
        values: &Bound<'py, PyAny>,
        keys: Option<&Bound<'py, PyAny>>,
        headers: Option<&Bound<'py, PyAny>>,
        partition: Option<&Bound<'py, PyAny>>,
        timestamp_ms: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<FutureRecordMetadata> {
        let py = topic.py();
        let open = self.open(py)?;
        logs::hand_over(py)?;
        let objects = HeaderObjects::new(headers)?;
        let common = Common {
            topic,
            topic_name: topic_name(topic)?,
            headers,
            encoded_headers: &objects.borrow()?,
            partition: partition_number(partition)?,
            timestamp: timestamp(timestamp_ms)?,
        };
        open.send_many(&common, values, keys)
    }

    /// Send everything now, and wait until it is stored, for `timeout` seconds at most.
    ///
    /// Raises `KafkaTimeoutError` if that takes longer, `IllegalStateError` in a delivery
    /// callback. A record's own error is in its future.
    #[pyo3(signature = (timeout=None))]
    fn flush(&self, py: Python<'_>, timeout: Option<Timeout>) -> PyResult<()> {
        let client = &self.open(py)?.client;
        let limit = wait::seconds(py, timeout.map(|timeout| timeout.0))?;
        let flush = wait::call(py, || client.begin_flush())?;
        Ok(wait::until(py, limit, |left| flush.wait(Some(left)))??)
    }

    /// Send everything and let go of the directory, waiting for `timeout` seconds at most.
    ///
    /// What is not stored then is not sent any more: its futures raise `KafkaTimeoutError`. A
    /// second call does nothing. `null_logger` is accepted and not needed.
    ///
    /// A producer that is dropped without `close` sends what it has in the background, and has the
    /// directory open until then: for `delivery_timeout_ms` at most, after which records fail.
    #[pyo3(signature = (timeout=None, null_logger=false))]
    fn close(&self, py: Python<'_>, timeout: Option<Timeout>, null_logger: bool) -> PyResult<()> {
        let _ = null_logger; // nothing is logged here
        let limit = wait::seconds(py, timeout.map(|timeout| timeout.0))?;
        let Some(open) = self.0.get() else {
            return Ok(());
        };
        let first = !open.client.is_closed();
        let closed = wait::until(py, limit, |left| open.client.close(Some(left)))?;
        if first {
            for codec in [&open.key, &open.value].into_iter().flatten() {
                codec.close(py)?;
            }
        }
        match closed {
            Ok(()) => Ok(()),
            Err(Error::Timeout { after, .. }) => open.abandon(py, after),
            Err(error) => Err(error.into()),
        }
    }

    /// Give the numbers of a topic's partitions, as a set.
    ///
    /// Makes the topic if it does not exist and `auto.create.topics.enable` is on; raises
    /// `UnknownTopicOrPartitionError` if it is off, `InvalidTopicError` for a name that cannot
    /// be.
    fn partitions_for<'py>(&self, topic: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PySet>> {
        let py = topic.py();
        let open = self.open(py)?;
        let name = topic_name(topic)?;
        let limit = Some(open.client.config().max_block);
        let count = wait::within(py, limit, || open.client.partitions(name))?;
        PySet::new(py, 0..count)
    }

    /// Give what was counted, as a dict of numbers by name, in the group `producer-metrics`.
    #[pyo3(signature = (raw=false))]
    fn metrics<'py>(&self, py: Python<'py>, raw: bool) -> PyResult<Bound<'py, PyDict>> {
        let _ = raw; // there is one form
        metrics(py, "producer-metrics", self.open(py)?.client.metrics())
    }
}

/// The metrics of a client, in one group.
pub(super) fn metrics<'py>(
    py: Python<'py>,
    group: &str,
    values: Vec<(&'static str, f64)>,
) -> PyResult<Bound<'py, PyDict>> {
    let inner = PyDict::new(py);
    for (name, value) in values {
        inner.set_item(name, value)?;
    }
    let outer = PyDict::new(py);
    outer.set_item(group, inner)?;
    Ok(outer)
}

fn topic_name<'a>(topic: &'a Bound<'_, PyAny>) -> PyResult<&'a str> {
    let name = topic.cast::<PyString>().map_err(|_| {
        errors::argument_type(topic.py(), format!("the topic must be a str, not {topic:?}"))
    })?;
    name.to_str().map_err(|_| not_text(topic, "the topic"))
}

fn timestamp(given: Option<&Bound<'_, PyAny>>) -> PyResult<Option<i64>> {
    given.map(|given| arguments::integer(given, "timestamp_ms")).transpose()
}

fn partition_number(given: Option<&Bound<'_, PyAny>>) -> PyResult<Option<i32>> {
    let Some(given) = given else {
        return Ok(None);
    };
    let number = arguments::integer(given, "partition")?;
    match i32::try_from(number) {
        Ok(number) if number >= 0 => Ok(Some(number)),
        _ => Err(errors::argument_value(
            given.py(),
            format!("partition must be from 0 to {}, not {number}", i32::MAX),
        )),
    }
}

/// Attaches once for the callbacks of many records: a thread that attaches may wait for the one
/// that sends.
fn attached(run: &mut dyn FnMut()) {
    // None: the interpreter ends, and each callback finds that out.
    if gate::enter(|_| run()).is_none() {
        run();
    }
}

impl Open {
    fn new(py: Python<'_>, path: &str, settings: &Settings<'_, '_>) -> PyResult<Self> {
        let config = settings.producer()?;
        let options = settings.open_options()?;
        let key = settings.codec("key_serializer", "serialize")?;
        let value = settings.codec("value_serializer", "serialize")?;
        let partitioner = match settings.get("partitioner")? {
            Some(given) => {
                let cluster = settings.get("cluster")?;
                let cluster = cluster.unwrap_or_else(|| py.None().into_bound(py));
                Some(Partitioner::new(&given, cluster)?)
            }
            None => None,
        };
        let client = wait::call(py, || {
            let engine = directory::open(Path::new(path), options)?;
            client::Producer::with_around(engine, config.clone(), Arc::new(attached))
        })?;
        Ok(Self { client, directory: path.to_owned(), key, value, partitioner })
    }

    /// Lets fail what could not be sent in time, and waits a little until its futures know.
    fn abandon(&self, py: Python<'_>, after: Duration) -> PyResult<()> {
        self.client.abandon(after);
        match wait::until(py, Some(ABANDONING), |left| self.client.close(Some(left)))? {
            Ok(()) | Err(Error::Timeout { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// For the garbage collector.
    fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        for codec in [&self.key, &self.value].into_iter().flatten() {
            codec.traverse(visit)?;
        }
        self.partitioner.as_ref().map_or(Ok(()), |partitioner| partitioner.traverse(visit))
    }

    #[inline]
    fn send<'py>(
        &self,
        common: &Common<'_, 'py>,
        value: &Bound<'py, PyAny>,
        key: &Bound<'py, PyAny>,
    ) -> PyResult<(Delivery, Sizes)> {
        let py = value.py();
        if value.is_none() && key.is_none() {
            return Err(errors::argument_value(py, "a record needs a key or a value, or both"));
        }
        if self.key.is_none() && self.value.is_none() && self.partitioner.is_none() {
            return self.send_bytes(common, common.partition, value, key);
        }
        let key_bytes = common.convert(self.key.as_ref(), key)?;
        let value_bytes = common.convert(self.value.as_ref(), value)?;
        let partition = match (common.partition, &self.partitioner) {
            (None, Some(partitioner)) => {
                let limit = Some(self.client.config().max_block);
                let count = || self.client.partitions(common.topic_name);
                let partitions = wait::within(py, limit, count)?;
                let candidate = Candidate {
                    topic: common.topic,
                    key,
                    key_bytes: &key_bytes,
                    value,
                    value_bytes: &value_bytes,
                };
                Some(partitioner.pick(&candidate, partitions)?)
            }
            (given, _) => given,
        };
        self.send_bytes(common, partition, &value_bytes, &key_bytes)
    }

    #[inline]
    fn send_bytes<'py>(
        &self,
        common: &Common<'_, 'py>,
        partition: Option<i32>,
        value: &Bound<'py, PyAny>,
        key: &Bound<'py, PyAny>,
    ) -> PyResult<(Delivery, Sizes)> {
        let key = Payload::new(key, "key")?;
        let value = Payload::new(value, "value")?;
        let record = Outgoing {
            topic: common.topic_name,
            partition,
            timestamp: common.timestamp,
            key: key.get(),
            value: value.get(),
            headers: common.encoded_headers,
        };
        let sizes = Sizes {
            key: key.size(),
            value: value.size(),
            headers: headers_size(common.encoded_headers),
        };
        let py = common.topic.py();
        let sent = match self.client.try_send(&record) {
            Ok(Some(delivery)) => return Ok((delivery, sizes)),
            Ok(None) => self.send_waiting(py, &record)?,
            Err(error) => Err(error),
        };
        match sent {
            Ok(delivery) => Ok((delivery, sizes)),
            Err(error) => Err(refused(py, &record, &error)),
        }
    }

    /// Sends with the GIL released, for as long as the buffer is full or the topic is not made.
    #[cold]
    fn send_waiting(
        &self,
        py: Python<'_>,
        record: &Outgoing<'_>,
    ) -> PyResult<crate::error::Result<Delivery>> {
        let limit = self.client.config().max_block;
        wait::until(py, Some(limit), |left| self.client.send_within(record, left))
    }
}

impl<'py> Common<'_, 'py> {
    /// A key or value as its serializer makes it.
    fn convert(
        &self,
        codec: Option<&Codec>,
        data: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let headers = || match self.headers {
            Some(headers) => Ok(headers.clone()),
            None => Ok(PyList::empty(data.py()).into_any()),
        };
        match codec {
            Some(codec) => codec.call(self.topic, headers, data),
            None => Ok(data.clone()),
        }
    }
}

/// The error of a record that was not taken.
fn refused(py: Python<'_>, record: &Outgoing<'_>, error: &Error) -> PyErr {
    match (error, record.partition) {
        (Error::UnknownTopicOrPartition(_), Some(partition)) => errors::argument_value(
            py,
            format!("topic {} has no partition {partition}", record.topic),
        ),
        _ => errors::exception(py, error),
    }
}

/// How long a close that ran out of time waits for the sender to let go: kafka-python's
/// `retry_backoff_ms`.
const ABANDONING: Duration = Duration::from_millis(100);
