//! Polling: follow the topics, commit when it is time, find positions, take records, or sleep.

use std::time::Duration;

use crate::client::consumer::alone::Plan;
use crate::client::consumer::assignment::Budget;
use crate::client::consumer::polled::{Polled, Step};
use crate::client::consumer::subscription::Subscription;
use crate::client::consumer::{Consumer, State, Target};
use crate::engine::{Engine, with_patience};
use crate::env::wake::Woken;
use crate::error::{Error, Result};

/// How long a poll waits for a lock whose holder may have been stopped, before it looks elsewhere;
/// and when it looks there again.
const BRIEF: Duration = Duration::from_millis(100);

/// Whether another process holds that up.
fn is_held_up(result: Result<()>) -> Result<bool> {
    match result {
        Ok(()) => Ok(false),
        Err(Error::Timeout { .. }) => Ok(true),
        Err(error) => Err(error),
    }
}

/// What looking for records came to.
enum Looked {
    Found(Vec<Polled>),
    /// A position was lost; look again when it was found anew.
    Again,
    /// There were only batches without records; look again at once.
    Passed,
    /// Nothing yet; look again at that time at the latest.
    Nothing(Option<Duration>),
}

impl Consumer {
    /// Gives records, at most `max_records`, as soon as there are any, or none after `timeout`.
    /// Their partitions' positions move behind them.
    ///
    /// Any other step is to be answered with another call. An error that is about one partition
    /// comes again until the user seeks past it.
    pub fn poll(&self, timeout: Duration, max_records: usize) -> Result<Step> {
        self.step(timeout, max_records, false)
    }

    /// Like [`poll`](Self::poll), but positions stay until [`consumed`](Self::consumed) moves them.
    /// Records that were not consumed when the next poll comes are given again.
    pub fn poll_ahead(&self, timeout: Duration, max_records: usize) -> Result<Step> {
        self.step(timeout, max_records, true)
    }

    fn step(&self, timeout: Duration, max_records: usize, ahead: bool) -> Result<Step> {
        if max_records == 0 {
            return Err(Error::InvalidArgument("max_records: it must be positive".into()));
        }
        let deadline = self.now().saturating_add(timeout);
        self.state()?.assignment.rewind();
        let mut watching = false;
        // How often a position was lost.
        let mut lost = 0;
        loop {
            self.engine()?.check_control()?;
            // A change of the group rings too.
            let seen = self.doorbell.value();
            let followed = match with_patience(BRIEF, || self.follow()) {
                Ok(None) => Ok(()),
                Ok(Some(step)) => return Ok(step),
                Err(Error::Interrupted) => return Ok(Step::Interrupted),
                Err(error) => Err(error),
            };
            let mut held_up = is_held_up(followed)?;
            with_patience(BRIEF, || self.auto_commit())?;
            held_up |= is_held_up(with_patience(BRIEF, || self.find_positions()))?;
            if watching {
                self.watch()?;
            }
            let until = match with_patience(BRIEF, || self.look(max_records, ahead))? {
                Looked::Found(polled) => return Ok(Step::Records(polled)),
                // Found anew once, but not for ever: what was found may be wrong too.
                Looked::Again if lost > 0 && self.now() >= deadline => {
                    return Ok(Step::Records(Vec::new()));
                }
                Looked::Again => {
                    lost += 1;
                    continue;
                }
                Looked::Passed if self.now() < deadline => continue,
                Looked::Passed => return Ok(Step::Records(Vec::new())),
                Looked::Nothing(until) => until.map_or(deadline, |until| until.min(deadline)),
            };
            let until = if held_up { until.min(self.now().saturating_add(BRIEF)) } else { until };
            let until = self.waits_until()?.map_or(until, |begins| begins.min(until));
            let now = self.now();
            if now >= deadline {
                return Ok(Step::Records(Vec::new()));
            }
            // The first time round without the doorbell: watching costs the appenders a call.
            if watching && self.doorbell.wait(seen, until.saturating_sub(now)) == Woken::Interrupted
            {
                return Ok(Step::Interrupted);
            }
            watching = true;
        }
    }

    /// Asks for a ring when something is appended to what may be read.
    fn watch(&self) -> Result<()> {
        let state = self.state()?;
        for assigned in state.assignment.iter().filter(|assigned| !assigned.paused) {
            if let Some(partition) = &assigned.partition {
                self.doorbell.watch(partition);
            }
        }
        Ok(())
    }

    fn look(&self, max_records: usize, ahead: bool) -> Result<Looked> {
        let mut state = self.state()?;
        if let Some(until) = self.wait_for_bytes(&mut state) {
            return Ok(Looked::Nothing(Some(until)));
        }
        let bytes = self.config.fetch_max_bytes.max(1);
        let decompressed = self.config.max_decompressed_bytes;
        let mut budget = Budget { records: max_records, bytes, decompressed, ahead };
        let taken = state.assignment.take(&mut budget, &self.config)?;
        if !taken.polled.is_empty() {
            state.waiting_since = None;
            self.metrics.took(&taken.polled, bytes - budget.bytes);
            return Ok(Looked::Found(taken.polled));
        }
        if taken.reset {
            return Ok(Looked::Again);
        }
        if taken.moved {
            return Ok(Looked::Passed);
        }
        let held_up = taken.held_up.then(|| self.now().saturating_add(BRIEF));
        Ok(Looked::Nothing(held_up))
    }

    /// Until when to wait because there are fewer bytes than `fetch_min_bytes`; `None` once there
    /// are enough or `fetch_max_wait` is over.
    fn wait_for_bytes(&self, state: &mut State) -> Option<Duration> {
        if self.config.fetch_min_bytes <= 1 {
            return None;
        }
        // As a broker has it: never more than a poll takes.
        let enough = self.config.fetch_min_bytes.min(self.config.fetch_max_bytes);
        if state.assignment.fill(&self.config, enough) >= enough {
            return None;
        }
        let now = self.now();
        let until =
            state.waiting_since.get_or_insert(now).saturating_add(self.config.fetch_max_wait);
        if now < until {
            return Some(until);
        }
        state.waiting_since = None;
        None
    }

    /// Makes the assignment what subscription and topics ask for, one step at a time.
    pub(super) fn follow(&self) -> Result<Option<Step>> {
        let automatic = self.state()?.subscription.is_automatic();
        if let Some(group) = self.shares().filter(|_| automatic) {
            return self.follow_group(group);
        }
        self.update_target()?;
        let mut state = self.state()?;
        if state.settled {
            return Ok(None);
        }
        if !state.subscription.is_automatic() {
            state.settled = true;
            let ids: Vec<_> = state.target.iter().map(|target| target.id.clone()).collect();
            state.assignment.set(ids);
            state.bind();
            return Ok(None);
        }
        let target: Vec<_> = state.target.iter().map(|target| target.id.clone()).collect();
        let plan = state.alone.plan(&state.assignment.ids(), &target);
        state.alone.done(&plan);
        match plan {
            Plan::Stay => {
                state.settled = true;
                state.bind();
                Ok(None)
            }
            Plan::Assign(partitions) => {
                state.settled = true;
                state.assignment.set(partitions.iter().cloned());
                state.bind();
                Ok(Some(Step::Assigned(partitions)))
            }
            Plan::Revoke(partitions) => {
                drop(state);
                self.auto_commit_now();
                Ok(Some(Step::Revoked(partitions)))
            }
        }
    }

    /// Looks at the topics if they, or the subscription, changed. No lock is held meanwhile: the
    /// pattern is the user's function.
    pub(super) fn update_target(&self) -> Result<()> {
        loop {
            let engine = self.engine()?;
            let generation = engine.topics_generation();
            let (subscription, version) = {
                let state = self.state()?;
                if state.generation == Some(generation) {
                    return Ok(());
                }
                (state.subscription.clone(), state.version)
            };
            let target = self.find_target(&engine, &subscription)?;
            let mut state = self.state()?;
            if state.version == version {
                state.target = target;
                state.generation = Some(generation);
                state.settled = false;
            }
        }
    }

    fn find_target(&self, engine: &Engine, subscription: &Subscription) -> Result<Vec<Target>> {
        let ids = subscription.partitions(engine, self.rules())?;
        let bound = ids.into_iter().map(|id| match engine.partition(&id) {
            Ok(partition) => Ok(Target { id, partition: Some(partition) }),
            Err(Error::UnknownTopicOrPartition(_)) => Ok(Target { id, partition: None }),
            Err(error) => Err(error),
        });
        bound.collect()
    }
}
