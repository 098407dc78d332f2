//! Makes the Python records of a whole poll in one go.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

use crate::client::{Headers, Polled, Record};
use crate::python::consumer::record::{ConsumerRecord, Field, NO_TIMESTAMP_TYPE, Place, Read};
use crate::python::errors;
use crate::python::serde::Codec;
use crate::types::{TimestampType, TopicPartition};

/// Longer keys and values stay in their batch until they are touched.
const EAGER: usize = 4096;

/// Turns records of the log into records of Python.
pub(super) struct Reader {
    key: Option<Codec>,
    value: Option<Codec>,
    places: Mutex<HashMap<TopicPartition, Py<Place>>>,
}

/// The records made of one batch, up to the first that could not be made.
pub(super) struct Made {
    pub(super) records: Vec<Py<ConsumerRecord>>,
    pub(super) failed: Option<Failed>,
}

/// Why a record could not be made, and which.
pub(super) struct Failed {
    pub(super) partition: TopicPartition,
    pub(super) offset: i64,
    pub(super) error: PyErr,
}

impl Reader {
    pub(super) fn new(key: Option<Codec>, value: Option<Codec>) -> Self {
        Self { key, value, places: Mutex::default() }
    }

    pub(super) fn codecs(&self) -> impl Iterator<Item = &Codec> {
        [&self.key, &self.value].into_iter().flatten()
    }

    /// The shared parts of a partition's records.
    pub(super) fn place(&self, py: Python<'_>, partition: &TopicPartition) -> PyResult<Py<Place>> {
        let known = |places: &HashMap<_, Py<Place>>| places.get(partition).map(|p| p.clone_ref(py));
        if let Some(place) = known(&self.lock()) {
            return Ok(place);
        }
        let place = Place::new(py, partition)?; // under no lock: it runs Python
        Ok(self.lock().entry(partition.clone()).or_insert(place).clone_ref(py))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<TopicPartition, Py<Place>>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the records of one batch.
    pub(super) fn read(&self, py: Python<'_>, polled: &Polled) -> PyResult<Made> {
        let batch = BatchReader {
            reader: self,
            place: self.place(py, polled.topic_partition())?,
            leader_epoch: polled.leader_epoch().unwrap_or(-1),
            timestamp_type: match (polled.batch().info().magic, polled.timestamp_type()) {
                (0, _) => NO_TIMESTAMP_TYPE,
                (_, TimestampType::CreateTime) => 0,
                (_, TimestampType::LogAppendTime) => 1,
            },
            data: polled.batch().data(),
        };
        let mut records = Vec::with_capacity(polled.len());
        let mut next = None;
        for record in polled.records() {
            let made = record.map_err(|error| errors::exception(py, &error)).and_then(|record| {
                next = Some(record.offset);
                batch.make(py, &record)
            });
            match made {
                Ok(record) => {
                    records.push(record);
                    next = next.map(|offset| offset + 1);
                }
                Err(error) => {
                    let partition = polled.topic_partition().clone();
                    let offset = next.unwrap_or_else(|| first_offset(polled));
                    return Ok(Made { records, failed: Some(Failed { partition, offset, error }) });
                }
            }
        }
        Ok(Made { records, failed: None })
    }
}

/// The offset of the first record; of the end, if that one is not readable.
pub(super) fn first_offset(polled: &Polled) -> i64 {
    match polled.records().next() {
        Some(Ok(record)) => record.offset,
        _ => polled.next_offset(),
    }
}

/// What the records of one batch share.
struct BatchReader<'a> {
    reader: &'a Reader,
    place: Py<Place>,
    leader_epoch: i32,
    timestamp_type: i32,
    data: &'a Bytes,
}

impl BatchReader<'_> {
    #[inline]
    fn make(&self, py: Python<'_>, record: &Record<'_>) -> PyResult<Py<ConsumerRecord>> {
        let (headers, headers_size) =
            if record.headers.is_empty() { (None, -1) } else { headers(py, record.headers)? };
        let read = Read {
            place: self.place.clone_ref(py),
            offset: record.offset,
            timestamp: record.timestamp,
            leader_epoch: self.leader_epoch,
            timestamp_type: self.timestamp_type,
            key: self.field(py, self.reader.key.as_ref(), record.key, headers.as_ref())?,
            value: self.field(py, self.reader.value.as_ref(), record.value, headers.as_ref())?,
            headers,
            key_size: size(record.key),
            value_size: size(record.value),
            headers_size,
        };
        Py::new(py, ConsumerRecord::new(read))
    }

    #[inline]
    fn field(
        &self,
        py: Python<'_>,
        codec: Option<&Codec>,
        bytes: Option<&[u8]>,
        headers: Option<&Py<PyList>>,
    ) -> PyResult<Field> {
        if let Some(codec) = codec {
            return self.convert(py, codec, bytes, headers);
        }
        Ok(match bytes {
            None => Field::Ready(py.None()),
            Some(bytes) if bytes.len() <= EAGER => {
                Field::Ready(PyBytes::new(py, bytes).into_any().unbind())
            }
            Some(bytes) => match part(self.data, bytes) {
                Some(part) => Field::view(part),
                None => Field::Ready(PyBytes::new(py, bytes).into_any().unbind()),
            },
        })
    }

    fn convert(
        &self,
        py: Python<'_>,
        codec: &Codec,
        bytes: Option<&[u8]>,
        headers: Option<&Py<PyList>>,
    ) -> PyResult<Field> {
        let data = match bytes {
            Some(bytes) => PyBytes::new(py, bytes).into_any(),
            None => py.None().into_bound(py),
        };
        let headers = || match headers {
            Some(headers) => Ok(headers.bind(py).clone().into_any()),
            None => Ok(PyList::empty(py).into_any()),
        };
        let topic = self.place.get().topic(py);
        Ok(Field::Ready(codec.call(&topic, headers, &data)?.unbind()))
    }
}

fn size(bytes: Option<&[u8]>) -> i32 {
    bytes.map_or(-1, |bytes| bytes.len() as i32)
}

/// The part of `data` that `bytes` is; none if it lies elsewhere.
fn part(data: &Bytes, bytes: &[u8]) -> Option<Bytes> {
    let start = (bytes.as_ptr() as usize).checked_sub(data.as_ptr() as usize)?;
    let end = start.checked_add(bytes.len())?;
    (end <= data.len()).then(|| data.slice(start..end))
}

fn headers(py: Python<'_>, headers: Headers<'_>) -> PyResult<(Option<Py<PyList>>, i32)> {
    let list = PyList::empty(py);
    let mut size = 0;
    for (name, value) in headers {
        size += name.len() + value.map_or(0, <[u8]>::len);
        list.append((name, value.map(|value| PyBytes::new(py, value))))?;
    }
    Ok((Some(list.unbind()), size as i32))
}
