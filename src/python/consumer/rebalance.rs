//! What the steps of a rebalance are for the user: calls of the listener and of the user's own
//! strategies, in the thread that polls and under no lock.

use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};
use std::time::Duration;

use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::client::{Step, Target, Task};
use crate::error::{Error, Result};
use crate::python::consumer::listener::Listener;
use crate::python::consumer::session::{Session, lock};
use crate::python::errors;
use crate::python::wait;
use crate::types::TopicPartition;

/// What the user's strategy says of one member: its partitions, and its user data.
type Said = (Vec<(String, i32)>, Vec<u8>);

/// What became of a slice of waiting.
pub(super) enum Settled {
    /// All is done.
    Now,
    /// This step is next.
    Step(Step),
    /// It takes longer.
    NotYet,
}

/// A thread is in the listener. One that closes the consumer there, or has it leave its topics, is
/// not told of it by another call of itself.
struct Telling<'a>(&'a Mutex<Option<ThreadId>>, Option<ThreadId>);

impl<'a> Telling<'a> {
    fn begin(teller: &'a Mutex<Option<ThreadId>>) -> Option<Self> {
        let own = thread::current().id();
        let before = lock(teller).replace(own);
        (before != Some(own)).then_some(Self(teller, before))
    }
}

impl Drop for Telling<'_> {
    fn drop(&mut self) {
        *lock(self.0) = self.1.take();
    }
}

impl Session {
    /// Carries out a step that is for the user. What the listener raises is kept for when the
    /// rebalance is complete; what is no `Exception` (Ctrl-C) comes out at once.
    pub(super) fn carry_out(&self, py: Python<'_>, step: &Step) -> PyResult<()> {
        self.touch();
        match step {
            Step::Revoked(partitions) => {
                self.tell(py, "on_partitions_revoked", partitions)?;
                self.describe(py)
            }
            Step::Assigned(partitions) => {
                let strategy_told = self.tell_strategy(py);
                self.tell(py, "on_partitions_assigned", partitions)?;
                strategy_told.and_then(|()| self.describe(py))
            }
            Step::Lost(partitions) => {
                say_lost(py, partitions)?;
                self.tell(py, "on_partitions_lost", partitions)
            }
            Step::Assign(task) => self.share_out(py, task),
            Step::Records(_) | Step::Interrupted => Ok(()),
        }
    }

    fn tell(&self, py: Python<'_>, method: &str, partitions: &[TopicPartition]) -> PyResult<()> {
        let listener: Option<Arc<Listener>> = lock(&self.listener).clone();
        let Some(listener) = listener else { return Ok(()) };
        let Some(_turn) = Telling::begin(&self.teller) else { return Ok(()) };
        let Err(raised) = listener.tell(method, &self.set_of(py, partitions)?) else {
            return Ok(());
        };
        if !raised.is_instance_of::<PyException>(py) {
            return Err(raised);
        }
        crate::python::callback::log(py, "Error in a consumer's rebalance listener", &raised);
        let mut first = lock(&self.raised);
        if first.is_none() {
            *first = Some(raised);
        }
        Ok(())
    }

    pub(super) fn has_raised(&self) -> bool {
        lock(&self.raised).is_some()
    }

    /// Raises what the listener did, if it did.
    pub(super) fn raise(&self, py: Python<'_>) -> PyResult<()> {
        let Some(cause) = lock(&self.raised).take() else { return Ok(()) };
        let text = "User rebalance callback throws an error".to_owned();
        let error = errors::named(py, "KafkaError", text);
        error.set_cause(py, Some(cause));
        Err(error)
    }

    /// Goes on with the rebalance for `slice`, and reads nothing.
    pub(super) fn settle(&self, py: Python<'_>, slice: Duration) -> Result<Settled> {
        match py.detach(|| self.client.settle(slice)) {
            Ok(None) => Ok(Settled::Now),
            Ok(Some(step)) => Ok(Settled::Step(step)),
            Err(Error::Timeout { .. } | Error::Interrupted) => Ok(Settled::NotYet),
            Err(error) => Err(error),
        }
    }

    /// Before all is given up: commits, and tells the listener.
    pub(super) fn say_farewell(
        &self,
        py: Python<'_>,
        autocommit: bool,
        limit: Duration,
    ) -> PyResult<()> {
        let commit = || wait::within(py, Some(limit), || self.client.last_commit());
        let committed = if autocommit { commit() } else { Ok(()) };
        if committed.as_ref().is_err_and(|error| wait::is_interrupt(py, error)) {
            return committed;
        }
        let step = wait::call(py, || self.client.farewell())?;
        step.map_or(Ok(()), |step| self.carry_out(py, &step))?;
        committed
    }

    fn own_strategies<'py>(&self, py: Python<'py>) -> Option<&Bound<'py, PyAny>> {
        self.strategies.as_ref().map(|strategies| strategies.bind(py))
    }

    /// Asks the user's strategies what the one that leads should know of this member.
    pub(super) fn describe(&self, py: Python<'_>) -> PyResult<()> {
        let Some(strategies) = self.own_strategies(py) else { return Ok(()) };
        let topics = self.client.subscription();
        let said: Vec<(String, Vec<u8>)> =
            strategies.call_method1("describe", (topics,))?.extract()?;
        wait::call(py, || self.client.describe(said.clone()))
    }

    /// The chosen strategy learns what this member has now.
    fn tell_strategy(&self, py: Python<'_>) -> PyResult<()> {
        let Some(strategies) = self.own_strategies(py) else { return Ok(()) };
        let Some(standing) = wait::call(py, || self.client.standing())? else { return Ok(()) };
        let Some(strategy) = standing.strategy else { return Ok(()) };
        let all = self.client.assignment();
        let user_data = PyBytes::new(py, &standing.user_data);
        let arguments = (strategy, pairs(&all), standing.generation, user_data);
        strategies.call_method1("assigned", arguments)?;
        Ok(())
    }

    /// Lets the user's strategy share out the partitions. What it raises, the poll raises.
    fn share_out(&self, py: Python<'_>, task: &Task) -> PyResult<()> {
        let Some(strategies) = self.own_strategies(py) else { return Ok(()) };
        let members: Vec<_> = task
            .members
            .iter()
            .map(|member| {
                let user_data = PyBytes::new(py, &member.user_data);
                let owned = pairs(&member.owned);
                let (id, instance) = (&member.member_id, &member.instance_id);
                (id, instance, &member.topics, user_data, owned, member.generation)
            })
            .collect();
        let arguments = (&task.strategy, &task.partitions, members);
        let targets = strategies.call_method1("share_out", arguments)?;
        let targets: Vec<(String, Said)> = targets.extract()?;
        let target = |(all, user_data)| Target { partitions: partitions(all), user_data };
        let targets: Vec<_> = targets.into_iter().map(|(id, said)| (id, target(said))).collect();
        wait::call(py, || self.client.assigned(task.generation, targets.clone()))
    }
}

/// The user is told also without a listener: what he did wrong is not to be seen elsewhere.
fn say_lost(py: Python<'_>, partitions: &[TopicPartition]) -> PyResult<()> {
    let all: Vec<_> = partitions.iter().map(ToString::to_string).collect();
    let text = "%s lost: the group goes on without this consumer, which did not poll for \
                max_poll_interval_ms, hung for session_timeout_ms, was taken out by an \
                administrator, or has a successor with its group_instance_id";
    let logger = py.import("logging")?.call_method1("getLogger", ("brokerless",))?;
    logger.call_method1("warning", (text, all.join(", "))).map(drop)
}

fn pairs(partitions: &[TopicPartition]) -> Vec<(&str, i32)> {
    partitions.iter().map(|id| (&*id.topic, id.partition)).collect()
}

fn partitions(pairs: Vec<(String, i32)>) -> Vec<TopicPartition> {
    pairs.into_iter().map(|(topic, partition)| TopicPartition::new(topic, partition)).collect()
}
