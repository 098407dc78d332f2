//! [`RecordMetadata`]: where a record that was sent has gone.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyTuple};

use crate::client;
use crate::python::named::{self, Named, named_tuple};
use crate::python::structs;
use crate::types::TopicPartition;

/// Where a record that was sent has gone. Behaves like a namedtuple of its fields.
#[pyclass(frozen, module = "brokerless._brokerless")]
pub(crate) struct RecordMetadata(Inner);

enum Inner {
    Sent(Sent),
    /// The fields as given, in their order.
    Built(Py<PyTuple>),
}

struct Sent {
    partition: TopicPartition,
    object: PyOnceLock<Py<PyAny>>,
    offset: i64,
    timestamp: i64,
    sizes: Sizes,
}

/// Bytes of a record's parts; -1 for what is absent.
#[derive(Clone, Copy)]
pub(super) struct Sizes {
    pub(super) key: i32,
    pub(super) value: i32,
    pub(super) headers: i32,
}

impl RecordMetadata {
    /// What the engine tells of a record, and what only the caller of `send` knows.
    pub(super) fn of(sent: &client::RecordMetadata, sizes: Sizes) -> Self {
        Self(Inner::Sent(Sent {
            partition: sent.topic_partition.clone(),
            object: PyOnceLock::new(),
            offset: sent.offset,
            timestamp: sent.timestamp,
            sizes,
        }))
    }
}

const TOPIC: usize = 0;
const PARTITION: usize = 1;
const TOPIC_PARTITION: usize = 2;
const OFFSET: usize = 3;
const TIMESTAMP: usize = 4;
const CHECKSUM: usize = 5;
const KEY_SIZE: usize = 6;
const VALUE_SIZE: usize = 7;
const HEADERS_SIZE: usize = 8;

impl Named for RecordMetadata {
    const NAME: &'static str = "RecordMetadata";
    const FIELDS: &'static [&'static str] = &[
        "topic",
        "partition",
        "topic_partition",
        "offset",
        "timestamp",
        "checksum",
        "serialized_key_size",
        "serialized_value_size",
        "serialized_header_size",
    ];
    const REQUIRED: usize = 2;

    fn field<'py>(&self, py: Python<'py>, index: usize) -> PyResult<Bound<'py, PyAny>> {
        match &self.0 {
            Inner::Sent(sent) => sent.field(py, index),
            Inner::Built(fields) => fields.bind(py).get_item(index),
        }
    }

    fn default(py: Python<'_>, index: usize) -> PyResult<Bound<'_, PyAny>> {
        Ok(match index {
            TOPIC_PARTITION | CHECKSUM => py.None().into_bound(py),
            _ => (-1_i32).into_pyobject(py)?.into_any(),
        })
    }

    fn build(fields: Bound<'_, PyTuple>) -> PyResult<Self> {
        if !fields.get_item(TOPIC_PARTITION)?.is_none() {
            return Ok(Self(Inner::Built(fields.unbind())));
        }
        let (topic, partition) = (fields.get_item(TOPIC)?, fields.get_item(PARTITION)?);
        let pair = structs::topic_partition(fields.py(), &topic, &partition)?;
        let whole = fields
            .iter()
            .enumerate()
            .map(|(index, field)| if index == TOPIC_PARTITION { pair.clone() } else { field });
        Ok(Self(Inner::Built(PyTuple::new(fields.py(), whole.collect::<Vec<_>>())?.unbind())))
    }
}

impl Sent {
    fn field<'py>(&self, py: Python<'py>, index: usize) -> PyResult<Bound<'py, PyAny>> {
        Ok(match index {
            TOPIC => self.pair(py)?.get_item(0)?,
            PARTITION => self.partition.partition.into_pyobject(py)?.into_any(),
            TOPIC_PARTITION => self.pair(py)?,
            OFFSET => self.offset.into_pyobject(py)?.into_any(),
            TIMESTAMP => self.timestamp.into_pyobject(py)?.into_any(),
            CHECKSUM => py.None().into_bound(py),
            KEY_SIZE => self.sizes.key.into_pyobject(py)?.into_any(),
            VALUE_SIZE => self.sizes.value.into_pyobject(py)?.into_any(),
            _ => self.sizes.headers.into_pyobject(py)?.into_any(),
        })
    }

    fn pair<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let make = || structs::from_partition(py, &self.partition).map(Bound::unbind);
        Ok(self.object.get_or_try_init(py, make)?.bind(py).clone())
    }
}

named_tuple!(
    RecordMetadata,
    "(topic, partition, topic_partition=None, offset=-1, timestamp=-1, checksum=None, \
     serialized_key_size=-1, serialized_value_size=-1, serialized_header_size=-1)",
    {
        #[getter]
        fn topic<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
            self.field(py, TOPIC)
        }

        #[getter]
        fn partition<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
            self.field(py, PARTITION)
        }

        #[getter]
        fn topic_partition<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
            self.field(py, TOPIC_PARTITION)
        }

        #[getter]
        fn offset<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
            self.field(py, OFFSET)
        }

        #[getter]
        fn timestamp<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
            self.field(py, TIMESTAMP)
        }

        #[getter]
        fn checksum<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
            self.field(py, CHECKSUM)
        }

        #[getter]
        fn serialized_key_size<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
            self.field(py, KEY_SIZE)
        }

        #[getter]
        fn serialized_value_size<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
            self.field(py, VALUE_SIZE)
        }

        #[getter]
        fn serialized_header_size<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
            self.field(py, HEADERS_SIZE)
        }
    }
);
