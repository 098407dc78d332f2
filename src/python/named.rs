//! What makes a compiled class behave like a namedtuple.
//!
//! A class tells its fields one by one ([`Named`]); [`named_tuple`] adds the methods.

use pyo3::PyClass;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::pyclass::boolean_struct::True;
use pyo3::types::{PyDict, PyList, PySlice, PyString, PyTuple};

/// A value with named fields in a fixed order.
pub(super) trait Named: Sized {
    /// The class's name.
    const NAME: &'static str;
    /// The fields' names, in their order.
    const FIELDS: &'static [&'static str];
    /// How many of the first fields have no default.
    const REQUIRED: usize;

    /// Field number `index`, which is below the number of fields.
    fn field<'py>(&self, py: Python<'py>, index: usize) -> PyResult<Bound<'py, PyAny>>;

    /// The default of field number `index`, which is not a required one.
    fn default(py: Python<'_>, index: usize) -> PyResult<Bound<'_, PyAny>>;

    /// The value whose fields are given, one for each name.
    fn build(fields: Bound<'_, PyTuple>) -> PyResult<Self>;
}

/// All fields as a tuple.
pub(super) fn tuple<'py, T: Named>(this: &T, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
    let fields: Vec<_> =
        (0..T::FIELDS.len()).map(|index| this.field(py, index)).collect::<PyResult<_>>()?;
    PyTuple::new(py, fields)
}

/// The value a constructor call describes.
pub(super) fn construct<T: Named>(
    args: &Bound<'_, PyTuple>,
    kwargs: Option<&Bound<'_, PyDict>>,
) -> PyResult<T> {
    let py = args.py();
    if args.len() > T::FIELDS.len() {
        return Err(PyTypeError::new_err(format!(
            "{}() takes {} arguments but {} were given",
            T::NAME,
            T::FIELDS.len(),
            args.len()
        )));
    }
    let mut given: Vec<Option<Bound<'_, PyAny>>> = args.iter().map(Some).collect();
    given.resize(T::FIELDS.len(), None);
    for (name, value) in kwargs.into_iter().flatten() {
        let name = name.cast_into::<PyString>()?;
        let index = position::<T>(name.to_str()?).ok_or_else(|| {
            PyTypeError::new_err(format!("{}() has no argument '{name}'", T::NAME))
        })?;
        if given[index].replace(value).is_some() {
            return Err(PyTypeError::new_err(format!("{}() got '{name}' more than once", T::NAME)));
        }
    }
    let mut fields = Vec::with_capacity(given.len());
    for (index, value) in given.into_iter().enumerate() {
        fields.push(match value {
            Some(value) => value,
            None if index < T::REQUIRED => {
                return Err(PyTypeError::new_err(format!(
                    "{}() needs the argument '{}'",
                    T::NAME,
                    T::FIELDS[index]
                )));
            }
            None => T::default(py, index)?,
        });
    }
    T::build(PyTuple::new(py, fields)?)
}

fn position<T: Named>(name: &str) -> Option<usize> {
    T::FIELDS.iter().position(|field| *field == name)
}

/// The value made of exactly as many items as there are fields.
pub(super) fn make<T: Named>(items: &Bound<'_, PyAny>) -> PyResult<T> {
    let fields = items.try_iter()?.collect::<PyResult<Vec<_>>>()?;
    if fields.len() != T::FIELDS.len() {
        return Err(PyTypeError::new_err(format!(
            "Expected {} arguments, got {}",
            T::FIELDS.len(),
            fields.len()
        )));
    }
    T::build(PyTuple::new(items.py(), fields)?)
}

/// The value with some fields replaced.
pub(super) fn replace<T: Named>(
    this: &T,
    py: Python<'_>,
    kwargs: Option<&Bound<'_, PyDict>>,
) -> PyResult<T> {
    let changes = kwargs.map_or_else(|| PyDict::new(py), Clone::clone).copy()?;
    let mut fields = Vec::with_capacity(T::FIELDS.len());
    for (index, name) in T::FIELDS.iter().enumerate() {
        fields.push(match changes.get_item(name)? {
            Some(value) => {
                changes.del_item(name)?;
                value
            }
            None => this.field(py, index)?,
        });
    }
    if changes.is_empty() {
        T::build(PyTuple::new(py, fields)?)
    } else {
        let names = changes.keys().repr()?;
        Err(PyValueError::new_err(format!("Got unexpected field names: {names}")))
    }
}

/// The slice `[::-1]`.
pub(super) fn backwards(py: Python<'_>) -> Bound<'_, PyAny> {
    PySlice::new(py, isize::MAX, isize::MIN, -1).into_any()
}

/// One of these as the tuple it is like; anything else as it is.
pub(super) fn as_tuple<'py, T: Named + PyClass<Frozen = True> + Sync>(
    given: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    match given.cast::<T>() {
        Ok(named) => Ok(tuple(named.get(), given.py())?.into_any()),
        Err(_) => Ok(given.clone()),
    }
}

/// `record[3]` and `record[1:3]`.
pub(super) fn item<'py, T: Named>(
    this: &T,
    key: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = key.py();
    if !key.is_instance_of::<PySlice>()
        && let Ok(index) = key.extract::<usize>()
        && index < T::FIELDS.len()
    {
        return this.field(py, index);
    }
    tuple(this, py)?.as_any().get_item(key)
}

/// The fields by name.
pub(super) fn dict<'py, T: Named>(this: &T, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    for (index, name) in T::FIELDS.iter().enumerate() {
        dict.set_item(name, this.field(py, index)?)?;
    }
    Ok(dict)
}

/// `ConsumerRecord(topic='orders', partition=0, ...)`.
pub(super) fn repr<T: Named>(this: &T, py: Python<'_>) -> PyResult<String> {
    let mut fields = Vec::with_capacity(T::FIELDS.len());
    for (index, name) in T::FIELDS.iter().enumerate() {
        fields.push(format!("{name}={}", this.field(py, index)?.repr()?));
    }
    Ok(format!("{}({})", T::NAME, fields.join(", ")))
}

/// The hash of the fields, with a list hashed as a tuple: a record's headers are a list.
pub(super) fn hash<T: Named>(this: &T, py: Python<'_>) -> PyResult<isize> {
    let mut fields = Vec::with_capacity(T::FIELDS.len());
    for index in 0..T::FIELDS.len() {
        let field = this.field(py, index)?;
        fields.push(match field.cast::<PyList>() {
            Ok(list) => list.to_tuple().into_any(),
            Err(_) => field,
        });
    }
    PyTuple::new(py, fields)?.hash()
}

/// The defaults by name.
pub(super) fn defaults<T: Named>(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let dict = PyDict::new(py);
    for (index, name) in T::FIELDS.iter().enumerate().skip(T::REQUIRED) {
        dict.set_item(name, T::default(py, index)?)?;
    }
    Ok(dict)
}

/// The methods of a class that is [`Named`], and the further ones that are given.
macro_rules! named_tuple {
    ($class:ident, $signature:literal, { $($more:tt)* }) => {
        #[pyo3::pymethods]
        impl $class {
            #[new]
            #[pyo3(signature = (*args, **kwargs), text_signature = $signature)]
            fn from_python(
                args: &Bound<'_, PyTuple>,
                kwargs: Option<&Bound<'_, PyDict>>,
            ) -> PyResult<Self> {
                named::construct(args, kwargs)
            }

            #[classattr]
            fn _fields(py: Python<'_>) -> PyResult<Bound<'_, PyTuple>> {
                PyTuple::new(py, <Self as Named>::FIELDS)
            }

            #[classattr]
            fn __match_args__(py: Python<'_>) -> PyResult<Bound<'_, PyTuple>> {
                PyTuple::new(py, <Self as Named>::FIELDS)
            }

            #[classattr]
            fn _field_defaults(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
                named::defaults::<Self>(py)
            }

            #[classmethod]
            #[pyo3(signature = (iterable, /))]
            fn _make(
                _class: &Bound<'_, pyo3::types::PyType>,
                iterable: &Bound<'_, PyAny>,
            ) -> PyResult<Self> {
                named::make(iterable)
            }

            fn _asdict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
                named::dict(self, py)
            }

            #[pyo3(signature = (**kwargs))]
            fn _replace(
                &self,
                py: Python<'_>,
                kwargs: Option<&Bound<'_, PyDict>>,
            ) -> PyResult<Self> {
                named::replace(self, py, kwargs)
            }

            #[pyo3(signature = (value, /))]
            fn count(&self, value: &Bound<'_, PyAny>) -> PyResult<usize> {
                named::tuple(self, value.py())?.call_method1("count", (value,))?.extract()
            }

            #[pyo3(signature = (value, start=0, stop=isize::MAX, /))]
            fn index(
                &self,
                value: &Bound<'_, PyAny>,
                start: isize,
                stop: isize,
            ) -> PyResult<usize> {
                named::tuple(self, value.py())?
                    .call_method1("index", (value, start, stop))?
                    .extract()
            }

            #[allow(clippy::unused_self)]
            fn __len__(&self) -> usize {
                <Self as Named>::FIELDS.len()
            }

            fn __getitem__<'py>(&self, key: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
                named::item(self, key)
            }

            fn __iter__<'py>(
                &self,
                py: Python<'py>,
            ) -> PyResult<Bound<'py, pyo3::types::PyIterator>> {
                named::tuple(self, py)?.try_iter()
            }

            fn __reversed__<'py>(
                &self,
                py: Python<'py>,
            ) -> PyResult<Bound<'py, pyo3::types::PyIterator>> {
                named::tuple(self, py)?.as_any().get_item(named::backwards(py))?.try_iter()
            }

            fn __add__<'py>(&self, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
                let other = named::as_tuple::<Self>(other)?;
                named::tuple(self, other.py())?.add(other)
            }

            fn __radd__<'py>(&self, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
                let other = named::as_tuple::<Self>(other)?;
                let mine = named::tuple(self, other.py())?;
                other.add(mine)
            }

            fn __contains__(&self, key: &Bound<'_, PyAny>) -> PyResult<bool> {
                named::tuple(self, key.py())?.as_any().contains(key)
            }

            fn __richcmp__<'py>(
                &self,
                other: &Bound<'py, PyAny>,
                op: pyo3::basic::CompareOp,
            ) -> PyResult<Bound<'py, PyAny>> {
                let py = other.py();
                let other = match other.cast::<Self>() {
                    Ok(other) => named::tuple(other.get(), py)?,
                    Err(_) => match other.cast::<PyTuple>() {
                        Ok(other) => other.clone(),
                        Err(_) => return Ok(py.NotImplemented().into_bound(py)),
                    },
                };
                named::tuple(self, py)?.rich_compare(other, op)
            }

            fn __hash__(&self, py: Python<'_>) -> PyResult<isize> {
                named::hash(self, py)
            }

            fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
                named::repr(self, py)
            }

            fn __reduce__<'py>(
                &self,
                py: Python<'py>,
            ) -> PyResult<(Bound<'py, pyo3::types::PyType>, Bound<'py, PyTuple>)> {
                Ok((py.get_type::<Self>(), named::tuple(self, py)?))
            }

            $($more)*
        }
    };
}
pub(super) use named_tuple;
