//! Kafka's assignors, for `brokerless.assignors`.

use std::collections::{BTreeMap, HashMap};

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::client::{self, Builtin, Subscriber};
use crate::types::TopicPartition;

/// Member id, group instance id, topics, what it owns, in which generation it got that.
type Member = (String, Option<String>, Vec<String>, Vec<(String, i32)>, i32);

#[pyfunction]
#[pyo3(signature = (strategy, partitions, members, hold_back=false, /))]
pub(super) fn assign_partitions(
    py: Python<'_>,
    strategy: &str,
    partitions: &Bound<'_, PyAny>,
    members: Vec<Member>,
    hold_back: bool,
) -> PyResult<HashMap<String, Vec<(String, i32)>>> {
    let strategy = Builtin::from_name(strategy)
        .ok_or_else(|| PyValueError::new_err(format!("no such strategy: {strategy:?}")))?;
    let partitions: BTreeMap<String, i32> = partitions.extract()?;
    let members: Vec<Subscriber> = members.into_iter().map(subscriber).collect();
    let lists = py.detach(|| {
        if hold_back {
            client::hold_back(&partitions, &members)
        } else {
            client::assign(strategy, &partitions, &members)
        }
    });
    Ok(lists.into_iter().map(|(member, list)| (member, pairs(&list))).collect())
}

fn subscriber((member_id, instance_id, topics, owned, generation): Member) -> Subscriber {
    let owned = owned.into_iter().map(|(topic, number)| TopicPartition::new(topic, number));
    Subscriber { member_id, instance_id, topics, owned: owned.collect(), generation }
}

fn pairs(list: &[TopicPartition]) -> Vec<(String, i32)> {
    list.iter().map(|partition| (partition.topic.to_string(), partition.partition)).collect()
}
