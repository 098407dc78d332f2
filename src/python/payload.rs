//! Keys, values and headers as bytes.

use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyBytesMethods, PyList, PyMemoryView, PyString, PyTuple};

use super::errors;

/// A key or value: bytes of the caller's object, or a copy where that could change meanwhile.
pub(super) enum Payload<'a> {
    Absent,
    Borrowed(&'a [u8]),
    Copied(Vec<u8>),
}

impl<'a> Payload<'a> {
    /// Takes the bytes of a serialized key or value; `role` names it in an error.
    #[inline]
    pub(super) fn new(given: &'a Bound<'_, PyAny>, role: &str) -> PyResult<Self> {
        if let Ok(bytes) = given.cast::<PyBytes>() {
            return Ok(Self::Borrowed(bytes.as_bytes()));
        }
        if given.is_none() {
            return Ok(Self::Absent);
        }
        Self::copied(given, role)
    }

    #[cold]
    fn copied(given: &Bound<'_, PyAny>, role: &str) -> PyResult<Self> {
        if let Ok(bytes) = given.cast::<PyByteArray>() {
            return Ok(Self::Copied(bytes.to_vec()));
        }
        if given.is_instance_of::<PyMemoryView>() {
            let bytes = given.call_method0("tobytes")?;
            return Ok(Self::Copied(bytes.cast::<PyBytes>()?.as_bytes().to_owned()));
        }
        Err(errors::argument_type(given.py(), unsupported(given, role)?))
    }

    pub(super) fn get(&self) -> Option<&[u8]> {
        match self {
            Self::Absent => None,
            Self::Borrowed(bytes) => Some(bytes),
            Self::Copied(bytes) => Some(bytes),
        }
    }

    /// Its length, or -1.
    pub(super) fn size(&self) -> i32 {
        self.get().map_or(-1, |bytes| i32::try_from(bytes.len()).unwrap_or(i32::MAX))
    }
}

fn unsupported(given: &Bound<'_, PyAny>, role: &str) -> PyResult<String> {
    let class = given.get_type().name()?;
    let hint = if given.is_instance_of::<PyString>() {
        format!("encode it ({role}.encode()) or set {role}_serializer=str.encode")
    } else {
        format!("convert it to bytes or set a {role}_serializer")
    };
    Ok(format!("the {role} must be bytes, bytearray, memoryview or None, not {class}: {hint}"))
}

/// Of a str with lone surrogates.
pub(super) fn not_text(given: &Bound<'_, PyAny>, what: &str) -> PyErr {
    errors::argument_value(given.py(), format!("{what} has no form in UTF-8: {given:?}"))
}

/// A header as the engine takes it.
pub(super) type Header<'a> = (&'a str, Option<&'a [u8]>);

/// A record's headers, held while their parts are borrowed.
pub(super) struct HeaderObjects<'py>(Vec<(Bound<'py, PyString>, Option<Bound<'py, PyBytes>>)>);

impl<'py> HeaderObjects<'py> {
    /// Takes a list or tuple of (str, bytes) pairs, or None.
    pub(super) fn new(given: Option<&Bound<'py, PyAny>>) -> PyResult<Self> {
        let Some(given) = given.filter(|given| !given.is_none()) else {
            return Ok(Self(Vec::new()));
        };
        if !given.is_instance_of::<PyList>() && !given.is_instance_of::<PyTuple>() {
            return Err(errors::argument_type(given.py(), "headers must be a list"));
        }
        given.try_iter()?.map(|item| header(&item?)).collect::<PyResult<_>>().map(Self)
    }

    pub(super) fn borrow(&self) -> PyResult<Vec<Header<'_>>> {
        self.0
            .iter()
            .map(|(name, value)| {
                let text = name.to_str().map_err(|_| not_text(name, "a header's name"))?;
                Ok((text, value.as_ref().map(PyBytesMethods::as_bytes)))
            })
            .collect()
    }
}

fn header<'py>(
    item: &Bound<'py, PyAny>,
) -> PyResult<(Bound<'py, PyString>, Option<Bound<'py, PyBytes>>)> {
    let wrong = || errors::argument_type(item.py(), "each header must be a (str, bytes) tuple");
    let pair = item.cast::<PyTuple>().map_err(|_| wrong())?;
    if pair.len() != 2 {
        return Err(wrong());
    }
    let name = pair.get_item(0)?.cast_into::<PyString>().map_err(|_| wrong())?;
    let value = pair.get_item(1)?;
    if value.is_none() {
        return Ok((name, None));
    }
    Ok((name, Some(value.cast_into::<PyBytes>().map_err(|_| wrong())?)))
}

/// Bytes of all names and values, or -1 where there are no headers.
pub(super) fn headers_size(headers: &[Header<'_>]) -> i32 {
    if headers.is_empty() {
        return -1;
    }
    let bytes = |(name, value): &Header<'_>| name.len() + value.map_or(0, <[u8]>::len);
    i32::try_from(headers.iter().map(bytes).sum::<usize>()).unwrap_or(i32::MAX)
}
