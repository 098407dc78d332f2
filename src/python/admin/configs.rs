//! Settings between Python and Rust.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::config::{Change, Described};

/// Name, value, source.
type Synonym = (&'static str, String, u8);
/// Name, value, source, type, synonyms, documentation, read-only, sensitive.
pub(super) type Row =
    (&'static str, Option<String>, u8, u8, Vec<Synonym>, &'static str, bool, bool);
/// Name, operation, value.
pub(super) type Wish = (String, u8, Option<String>);

/// Settings as rows, with Kafka's numbers of sources and types.
pub(super) fn rows(settings: Vec<Described>) -> Vec<Row> {
    settings.into_iter().map(row).collect()
}

fn row(setting: Described) -> Row {
    let synonyms = setting.synonyms.into_iter();
    let synonyms = synonyms.map(|(name, value, source)| (name, value, source as u8)).collect();
    let Described { name, value, source, kind, documentation, read_only, sensitive, .. } = setting;
    (name, value, source as u8, kind as u8, synonyms, documentation, read_only, sensitive)
}

/// Reads changes, with Kafka's numbers of operations.
pub(super) fn changes(wishes: Vec<Wish>) -> PyResult<Vec<(String, Change)>> {
    wishes
        .into_iter()
        .map(|(name, operation, value)| Ok((name, change(operation, value)?)))
        .collect()
}

fn change(operation: u8, value: Option<String>) -> PyResult<Change> {
    let value = value.unwrap_or_default();
    Ok(match operation {
        0 => Change::Set(value),
        1 => Change::Delete,
        2 => Change::Append(value),
        3 => Change::Subtract(value),
        _ => return Err(PyValueError::new_err(format!("{operation} is no AlterConfigOp"))),
    })
}
