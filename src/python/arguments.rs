//! Arguments of methods: what is wrong with one is said with its name.

use pyo3::exceptions::{PyOverflowError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyFloat, PyMapping, PyString};

use super::{errors, structs};
use crate::types::{OffsetAndMetadata, TopicPartition};

/// A whole number.
pub(super) fn integer(given: &Bound<'_, PyAny>, name: &str) -> PyResult<i64> {
    given.extract().map_err(|error: PyErr| {
        let py = given.py();
        if error.is_instance_of::<PyOverflowError>(py) {
            return errors::argument_value(py, format!("{name} is too large: {given:?}"));
        }
        let hint = if given.is_instance_of::<PyFloat>() { ": round it with int()" } else { "" };
        errors::argument_type(py, format!("{name} must be an int, not {given:?}{hint}"))
    })
}

/// A time to wait, in the unit of the method.
#[derive(Clone, Copy)]
pub(super) struct Timeout(pub(super) f64);

impl<'py> FromPyObject<'_, 'py> for Timeout {
    type Error = PyErr;

    fn extract(given: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        given.extract().map(Self).map_err(|_| {
            let message = format!("a timeout must be a number, not {:?}", &*given);
            errors::argument_type(given.py(), message)
        })
    }
}

/// A limit of records; `default` if none is given.
pub(super) fn max_records(given: Option<&Bound<'_, PyAny>>, default: usize) -> PyResult<usize> {
    let Some(given) = given else {
        return Ok(default);
    };
    let number: i64 =
        given.extract().map_err(|_| PyTypeError::new_err("max_records must be an integer"))?;
    match usize::try_from(number) {
        Ok(number) if number > 0 => Ok(number),
        _ => Err(errors::argument_value(given.py(), "max_records must be positive")),
    }
}

/// One name, or many.
pub(super) fn topic_names(given: &Bound<'_, PyAny>) -> PyResult<Vec<String>> {
    if let Ok(name) = given.cast::<PyString>() {
        return Ok(vec![name.to_str()?.to_owned()]);
    }
    let not_a_name = |item: &Bound<'_, PyAny>| {
        PyTypeError::new_err(format!("a topic's name is a str, not {item:?}"))
    };
    given
        .try_iter()?
        .map(|item| {
            let item = item?;
            item.extract().map_err(|_| not_a_name(&item))
        })
        .collect()
}

/// Offsets to commit.
pub(super) fn offsets(
    given: &Bound<'_, PyAny>,
) -> PyResult<Vec<(TopicPartition, OffsetAndMetadata)>> {
    by_partition(given, structs::to_offset)
}

/// A dict by partition.
pub(super) fn by_partition<T>(
    given: &Bound<'_, PyAny>,
    read: impl Fn(&Bound<'_, PyAny>) -> PyResult<T>,
) -> PyResult<Vec<(TopicPartition, T)>> {
    let mapping = given
        .cast::<PyMapping>()
        .map_err(|_| PyTypeError::new_err("a dict by TopicPartition is due here"))?;
    mapping
        .items()?
        .iter()
        .map(|item| Ok((structs::to_partition(&item.get_item(0)?)?, read(&item.get_item(1)?)?)))
        .collect()
}

/// A timestamp to look for.
pub(super) fn time(value: &Bound<'_, PyAny>) -> PyResult<i64> {
    // A whole number in another guise is as good, such as numpy's or 1e12.
    let whole = value.call_method0("__int__");
    let time = integer(whole.as_ref().unwrap_or(value), "a timestamp")?;
    match time {
        0.. => Ok(time),
        _ => {
            Err(errors::argument_value(value.py(), format!("a timestamp is not negative: {time}")))
        }
    }
}
