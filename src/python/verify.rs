//! `verify`: the check of a directory, and its repair.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use super::errors;
use crate::error::{Error, Result};
use crate::verify::{self, Deed, Env, Finding, Options, Progress, Repaired, Report};

/// What was done: a check, or a repair.
enum Done {
    Checked(Report),
    Repaired(Repaired),
}

#[pyfunction(name = "verify")]
#[pyo3(signature = (directory, *, repair=false, progress=None))]
pub(super) fn verify_directory<'py>(
    py: Python<'py>,
    directory: &str,
    repair: bool,
    progress: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyDict>> {
    let progress = progress.map(|progress| progress.clone().unbind());
    let raised: Mutex<Option<PyErr>> = Mutex::default();
    let done = py.detach(|| {
        let tell = |at: &Progress<'_>| {
            Python::attach(|py| tell(py, progress.as_ref(), at)).map_err(|error| {
                *raised.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                Error::Interrupted
            })
        };
        run(Path::new(directory), repair, &tell)
    });
    if let Some(error) = raised.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(error);
    }
    match done.map_err(|error| errors::exception(py, &error))? {
        Done::Checked(report) => report_of(py, &report),
        Done::Repaired(repaired) => {
            let dict = report_of(py, &repaired.found)?;
            dict.set_item("repairs", list(py, &repaired.deeds, deed)?)?;
            dict.set_item("left", list(py, &repaired.left.findings, finding)?)?;
            Ok(dict)
        }
    }
}

fn run(dir: &Path, repair: bool, tell: verify::Tell<'_>) -> Result<Done> {
    let (options, env) = (Options::default(), Env::system());
    if repair {
        verify::repair(dir, options, &env, tell).map(Done::Repaired)
    } else {
        verify::verify(dir, options, &env, tell).map(Done::Checked)
    }
}

fn tell(py: Python<'_>, progress: Option<&Py<PyAny>>, at: &Progress<'_>) -> PyResult<()> {
    py.check_signals()?;
    let Some(progress) = progress else { return Ok(()) };
    let counts = at.counts;
    progress.call1(py, (at.folder, counts.partitions, at.partitions, counts.bytes)).map(drop)
}

fn report_of<'py>(py: Python<'py>, report: &Report) -> PyResult<Bound<'py, PyDict>> {
    let (dict, counts) = (PyDict::new(py), report.counts);
    dict.set_item("in_use", report.in_use)?;
    for (name, count) in [
        ("partitions", counts.partitions),
        ("segments", counts.segments),
        ("batches", counts.batches),
        ("records", counts.records),
        ("bytes", counts.bytes),
    ] {
        dict.set_item(name, count)?;
    }
    dict.set_item("findings", list(py, &report.findings, finding)?)?;
    Ok(dict)
}

fn list<'py, T>(
    py: Python<'py>,
    items: &[T],
    convert: impl Fn(Python<'py>, &T) -> PyResult<Bound<'py, PyDict>>,
) -> PyResult<Bound<'py, PyList>> {
    let items: PyResult<Vec<_>> = items.iter().map(|item| convert(py, item)).collect();
    PyList::new(py, items?)
}

fn finding<'py>(py: Python<'py>, finding: &Finding) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("severity", finding.severity.name())?;
    dict.set_item("code", finding.code)?;
    dict.set_item("path", finding.path.to_string_lossy())?;
    dict.set_item("position", finding.position)?;
    dict.set_item("offset", finding.offset)?;
    dict.set_item("message", &finding.message)?;
    dict.set_item("remedy", &finding.remedy)?;
    Ok(dict)
}

fn deed<'py>(py: Python<'py>, deed: &Deed) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("path", deed.path.to_string_lossy())?;
    dict.set_item("message", &deed.message)?;
    Ok(dict)
}
