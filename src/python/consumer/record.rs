//! [`ConsumerRecord`]: a record as the user sees it.

use bytes::Bytes;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyInt, PyList, PyString, PyTuple};

use crate::python::named::{self, Named, named_tuple};
use crate::python::structs;
use crate::types::TopicPartition;

/// The partition a record came from, shared by its records.
#[pyclass(frozen, module = "brokerless._brokerless")]
pub(super) struct Place {
    topic: Py<PyString>,
    partition: Py<PyInt>,
    /// The `TopicPartition` of both.
    pair: Py<PyAny>,
}

impl Place {
    pub(super) fn new(py: Python<'_>, partition: &TopicPartition) -> PyResult<Py<Self>> {
        let topic = PyString::new(py, &partition.topic);
        let number = partition.partition.into_pyobject(py)?;
        let pair = structs::topic_partition(py, &topic, &number)?.unbind();
        Py::new(py, Self { topic: topic.unbind(), partition: number.unbind(), pair })
    }

    pub(super) fn topic<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        self.topic.bind(py).clone().into_any()
    }

    pub(super) fn pair<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        self.pair.bind(py).clone()
    }
}

/// A record that a consumer received. Behaves like a namedtuple of its fields.
#[pyclass(frozen, module = "brokerless._brokerless")]
pub(crate) struct ConsumerRecord(Inner);

enum Inner {
    /// As it came from the log.
    Read(Read),
    /// The fields as given, in their order.
    Built(Py<PyTuple>),
}

/// A record as it came from the log; the sizes are -1 for what is absent.
pub(super) struct Read {
    pub(super) place: Py<Place>,
    pub(super) offset: i64,
    pub(super) timestamp: i64,
    pub(super) leader_epoch: i32,
    pub(super) timestamp_type: i32,
    pub(super) key: Field,
    pub(super) value: Field,
    /// None where there are none.
    pub(super) headers: Option<Py<PyList>>,
    pub(super) key_size: i32,
    pub(super) value_size: i32,
    pub(super) headers_size: i32,
}

/// A key or value.
pub(super) enum Field {
    Ready(Py<PyAny>),
    /// Large, and not touched yet when the record was made.
    View(Box<View>),
}

/// A part of a batch's buffer, and the object made of it when it was first touched.
pub(super) struct View {
    bytes: Bytes,
    made: PyOnceLock<Py<PyBytes>>,
}

impl Field {
    pub(super) fn view(bytes: Bytes) -> Self {
        Self::View(Box::new(View { bytes, made: PyOnceLock::new() }))
    }

    fn object<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        match self {
            Self::Ready(object) => object.bind(py).clone(),
            Self::View(view) => {
                let make = || PyBytes::new(py, &view.bytes).unbind();
                view.made.get_or_init(py, make).bind(py).clone().into_any()
            }
        }
    }
}

impl ConsumerRecord {
    pub(super) fn new(read: Read) -> Self {
        Self(Inner::Read(read))
    }

    /// The offset it has in the log; none for one that was made by hand.
    pub(super) fn log_offset(&self) -> Option<i64> {
        match &self.0 {
            Inner::Read(read) => Some(read.offset),
            Inner::Built(_) => None,
        }
    }
}

impl Named for ConsumerRecord {
    const NAME: &'static str = "ConsumerRecord";
    const FIELDS: &'static [&'static str] = &[
        "topic",
        "partition",
        "leader_epoch",
        "offset",
        "timestamp",
        "timestamp_type",
        "key",
        "value",
        "headers",
        "checksum",
        "serialized_key_size",
        "serialized_value_size",
        "serialized_header_size",
    ];
    const REQUIRED: usize = 2;

    fn field<'py>(&self, py: Python<'py>, index: usize) -> PyResult<Bound<'py, PyAny>> {
        let read = match &self.0 {
            Inner::Read(read) => read,
            Inner::Built(fields) => return fields.bind(py).get_item(index),
        };
        read.field(py, index)
    }

    fn default(py: Python<'_>, index: usize) -> PyResult<Bound<'_, PyAny>> {
        Ok(match Self::FIELDS[index] {
            "timestamp_type" => 0_i32.into_pyobject(py)?.into_any(),
            "key" | "value" | "checksum" => py.None().into_bound(py),
            "headers" => PyList::empty(py).into_any(),
            _ => (-1_i32).into_pyobject(py)?.into_any(),
        })
    }

    fn build(fields: Bound<'_, PyTuple>) -> PyResult<Self> {
        Ok(Self(Inner::Built(fields.unbind())))
    }
}

impl Read {
    fn field<'py>(&self, py: Python<'py>, index: usize) -> PyResult<Bound<'py, PyAny>> {
        Ok(match index {
            TOPIC => self.place.get().topic(py),
            PARTITION => self.place.get().partition.bind(py).clone().into_any(),
            LEADER_EPOCH => self.leader_epoch.into_pyobject(py)?.into_any(),
            OFFSET => self.offset.into_pyobject(py)?.into_any(),
            TIMESTAMP | TIMESTAMP_TYPE if self.timestamp_type == NO_TIMESTAMP_TYPE => {
                py.None().into_bound(py)
            }
            TIMESTAMP => self.timestamp.into_pyobject(py)?.into_any(),
            TIMESTAMP_TYPE => self.timestamp_type.into_pyobject(py)?.into_any(),
            KEY => self.key.object(py),
            VALUE => self.value.object(py),
            HEADERS => match &self.headers {
                Some(headers) => headers.bind(py).clone().into_any(),
                None => PyList::empty(py).into_any(),
            },
            CHECKSUM => py.None().into_bound(py),
            KEY_SIZE => self.key_size.into_pyobject(py)?.into_any(),
            VALUE_SIZE => self.value_size.into_pyobject(py)?.into_any(),
            _ => self.headers_size.into_pyobject(py)?.into_any(),
        })
    }
}

/// Of records in message format 0, which have no timestamp: kafka-python gives `None` for both.
pub(super) const NO_TIMESTAMP_TYPE: i32 = -1;

const TOPIC: usize = 0;
const PARTITION: usize = 1;
const LEADER_EPOCH: usize = 2;
const OFFSET: usize = 3;
const TIMESTAMP: usize = 4;
const TIMESTAMP_TYPE: usize = 5;
const KEY: usize = 6;
const VALUE: usize = 7;
const HEADERS: usize = 8;
const CHECKSUM: usize = 9;
const KEY_SIZE: usize = 10;
const VALUE_SIZE: usize = 11;
const HEADERS_SIZE: usize = 12;

named_tuple!(
    ConsumerRecord,
    "(topic, partition, leader_epoch=-1, offset=-1, timestamp=-1, timestamp_type=0, key=None, \
     value=None, headers=None, checksum=None, serialized_key_size=-1, serialized_value_size=-1, \
     serialized_header_size=-1)",
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
        fn leader_epoch<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
            self.field(py, LEADER_EPOCH)
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
        fn timestamp_type<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
            self.field(py, TIMESTAMP_TYPE)
        }

        #[getter]
        fn key<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
            self.field(py, KEY)
        }

        #[getter]
        fn value<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
            self.field(py, VALUE)
        }

        #[getter]
        fn headers<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
            self.field(py, HEADERS)
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
