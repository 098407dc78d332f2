//! The user's serializers, deserializers and partitioners.

use pyo3::exceptions::{PyAttributeError, PyTypeError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::PyList;

use super::{errors, gate};

/// A serializer or deserializer, in any of kafka-python's shapes.
pub(super) struct Codec {
    given: Py<PyAny>,
    call: Py<PyAny>,
    shape: Shape,
}

/// What a codec is called with.
#[derive(Clone, Copy, PartialEq)]
enum Shape {
    /// A callable: the data.
    Data,
    /// An object of kafka-python 2.x: the topic and the data.
    Topic,
    /// An object of kafka-python 3.0: the topic, the headers and the data.
    Headers,
    /// A method that does not tell how many arguments it takes: 3.0's first, then 2.x's.
    Unknown,
}

impl Codec {
    /// Takes a setting: a callable, or an object that has `method`.
    pub(super) fn new(given: &Bound<'_, PyAny>, method: &str) -> PyResult<Self> {
        let (call, shape) = match given.getattr_opt(method)? {
            Some(call) => (call.clone(), shape(&call)),
            None if given.is_callable() => (given.clone(), Shape::Data),
            None => {
                return Err(PyTypeError::new_err(format!(
                    "{given:?} is neither callable nor has it a method {method}"
                )));
            }
        };
        Ok(Self { given: given.clone().unbind(), call: call.unbind(), shape })
    }

    /// Converts one key or value; `headers` makes what an object of 3.0 is given.
    pub(super) fn call<'py>(
        &self,
        topic: &Bound<'py, PyAny>,
        headers: impl Fn() -> PyResult<Bound<'py, PyAny>>,
        data: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = data.py();
        let call = self.call.bind(py);
        gate::call(py, || match self.shape {
            Shape::Data => call.call1((data,)),
            Shape::Topic => call.call1((topic, data)),
            Shape::Headers => call.call1((topic, headers()?, data)),
            Shape::Unknown => match call.call1((topic, headers()?, data)) {
                Err(raised) if raised.is_instance_of::<PyTypeError>(py) => {
                    call.call1((topic, data))
                }
                other => other,
            },
        })
    }

    /// For the garbage collector: these may lead back to the client.
    pub(super) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.given)?;
        visit.call(&self.call)
    }

    /// Calls its `close`, if it has one.
    pub(super) fn close(&self, py: Python<'_>) -> PyResult<()> {
        match self.given.bind(py).getattr("close") {
            Ok(close) => close.call0().map(drop),
            Err(raised) if raised.is_instance_of::<PyAttributeError>(py) => Ok(()),
            Err(raised) => Err(raised),
        }
    }
}

/// How many arguments a method takes tells which kafka-python it was written for.
fn shape(method: &Bound<'_, PyAny>) -> Shape {
    let read = || -> PyResult<(usize, bool)> {
        let code = method.getattr("__code__")?;
        let open = code.getattr("co_flags")?.extract::<u32>()? & VARARGS != 0;
        let bound = usize::from(method.getattr_opt("__self__")?.is_some());
        Ok((code.getattr("co_argcount")?.extract::<usize>()?.saturating_sub(bound), open))
    };
    match read() {
        Ok((3.., _) | (_, true)) => Shape::Headers,
        Ok((2, false)) => Shape::Topic,
        _ => Shape::Unknown,
    }
}

/// The flag of a function with `*args`.
const VARARGS: u32 = 0x04;

/// A partitioner that is not the built-in one.
pub(super) enum Partitioner {
    /// Called with the key's bytes, all partitions and the available ones.
    Callable(Py<PyAny>),
    /// kafka-python 3.0's, with what it may ask about topics.
    Object(Py<PyAny>, Py<PyAny>),
}

/// What a partitioner may look at.
pub(super) struct Candidate<'a, 'py> {
    pub(super) topic: &'a Bound<'py, PyAny>,
    pub(super) key: &'a Bound<'py, PyAny>,
    pub(super) key_bytes: &'a Bound<'py, PyAny>,
    pub(super) value: &'a Bound<'py, PyAny>,
    pub(super) value_bytes: &'a Bound<'py, PyAny>,
}

impl Partitioner {
    pub(super) fn new(given: &Bound<'_, PyAny>, cluster: Bound<'_, PyAny>) -> PyResult<Self> {
        match given.getattr_opt("partition")? {
            Some(method) if !given.is_callable() => {
                Ok(Self::Object(method.unbind(), cluster.unbind()))
            }
            _ if given.is_callable() => Ok(Self::Callable(given.clone().unbind())),
            _ => Err(PyTypeError::new_err(format!(
                "the partitioner {given:?} is neither callable nor has it a method partition"
            ))),
        }
    }

    /// For the garbage collector: these may lead back to the producer.
    pub(super) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self {
            Self::Callable(function) => visit.call(function),
            Self::Object(method, cluster) => {
                visit.call(method)?;
                visit.call(cluster)
            }
        }
    }

    /// The partition for a record of a topic with `partitions` partitions.
    pub(super) fn pick(&self, record: &Candidate<'_, '_>, partitions: i32) -> PyResult<i32> {
        let py = record.topic.py();
        let picked = gate::call(py, || match self {
            Self::Callable(function) => {
                let all = || PyList::new(py, 0..partitions);
                function.bind(py).call1((record.key_bytes, all()?, all()?))
            }
            Self::Object(method, cluster) => method.bind(py).call1((
                record.topic,
                record.key,
                record.key_bytes,
                record.value,
                record.value_bytes,
                cluster,
            )),
        })?;
        if picked.is_none() {
            let message = format!("the partitioner picked no partition for topic {}", record.topic);
            return Err(errors::argument_value(py, message));
        }
        picked.extract()
    }
}
