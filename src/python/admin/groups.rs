//! Groups as an administrator sees them, between Python and Rust.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::client::{GroupDescription, MemberDescription, MemberToRemove, Place, Reset, ResetTo};
use crate::error::Result;
use crate::python::{arguments, errors, structs};
use crate::types::TopicPartition;

/// Id, protocol type, state, strategy, members.
pub(super) type Described<'py> =
    (String, &'static str, &'static str, Option<String>, Vec<Member<'py>>);
/// Member id, instance id, client id, host, process id, subscription, assignment.
type Member<'py> = Bound<'py, PyTuple>;
/// Member id, instance id, reason.
pub(super) type Named = (Option<String>, Option<String>, Option<String>);
/// What went wrong with one of many, if anything did.
pub(super) type Failure = Option<Py<PyAny>>;

pub(super) fn described(py: Python<'_>, group: GroupDescription) -> PyResult<Described<'_>> {
    let members = group.members.into_iter().map(|one| member(py, one)).collect::<PyResult<_>>()?;
    Ok((group.id, group.protocol_type, group.phase.name(), group.strategy, members))
}

fn member(py: Python<'_>, member: MemberDescription) -> PyResult<Member<'_>> {
    let MemberDescription { member_id, instance_id, client_id, client_host, .. } = member;
    let (subscription, assignment) = (&member.subscription[..], &member.assignment[..]);
    let pid = member.process.pid;
    (member_id, instance_id, client_id, client_host, pid, subscription, assignment)
        .into_pyobject(py)
}

/// An error as an exception that nobody raises.
pub(super) fn failure(py: Python<'_>, outcome: &Result<()>) -> Failure {
    let error = outcome.as_ref().err()?;
    Some(errors::exception(py, error).into_value(py).into_any())
}

/// Topic and partition, and what went wrong with it.
pub(super) fn failures<'py>(
    py: Python<'py>,
    partitions: impl IntoIterator<Item = TopicPartition>,
    outcomes: &[Result<()>],
) -> PyResult<Vec<(Bound<'py, PyAny>, Failure)>> {
    let outcomes = partitions.into_iter().zip(outcomes);
    outcomes.map(|(id, done)| Ok((structs::from_partition(py, &id)?, failure(py, done)))).collect()
}

/// The same, and the offset between.
pub(super) fn resets<'py>(
    py: Python<'py>,
    partitions: impl IntoIterator<Item = TopicPartition>,
    resets: &[Reset],
) -> PyResult<Vec<(Bound<'py, PyAny>, i64, Failure)>> {
    let one = |(id, reset): (TopicPartition, &Reset)| {
        Ok((structs::from_partition(py, &id)?, reset.offset, failure(py, &reset.outcome)))
    };
    partitions.into_iter().zip(resets).map(one).collect()
}

/// A place by Kafka's number of it, or a time.
pub(super) fn place(number: &Bound<'_, PyAny>) -> PyResult<Place> {
    let number = arguments::integer(number, "a timestamp")?;
    Place::from_number(number)
        .ok_or_else(|| PyValueError::new_err(format!("{number} is not a valid OffsetSpec")))
}

/// Reads a kind of reset and its number.
pub(super) fn reset_to(given: &Bound<'_, PyAny>) -> PyResult<ResetTo> {
    let (kind, number): (String, Bound<'_, PyAny>) = given.extract()?;
    Ok(match kind.as_str() {
        "at" => ResetTo::At(place(&number)?),
        "offset" => ResetTo::Offset(arguments::integer(&number, "an offset")?),
        "shift" => ResetTo::Shift(arguments::integer(&number, "a number of records")?),
        _ => return Err(PyValueError::new_err(format!("{kind:?} is no kind of reset"))),
    })
}

pub(super) fn to_remove(members: Vec<Named>) -> Vec<MemberToRemove> {
    let member =
        |(member_id, instance_id, reason): Named| MemberToRemove { member_id, instance_id, reason };
    members.into_iter().map(member).collect()
}
