//! The consumer: passive, driven by its user's calls. What is here changes or tells its state;
//! polling is in `poll`, offsets are in `offsets`.

mod alone;
mod assignment;
mod fetcher;
mod history;
mod membership;
mod metrics;
mod offsets;
mod poll;
pub(super) mod polled;
pub(super) mod standing;
pub(super) mod subscription;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::client::consumer::alone::Alone;
use crate::client::consumer::assignment::{Assigned, Assignment, Position, Seek};
use crate::client::consumer::membership::{Left, Member};
use crate::client::consumer::metrics::ConsumerMetrics;
use crate::client::consumer::polled::Polled;
use crate::client::consumer::subscription::{Pattern, Rules, Subscription};
use crate::client::tender;
use crate::config::consumer::{ConsumerConfig, OffsetReset};
use crate::engine::{Doorbell, Engine, Id, Partition};
use crate::env::{Clock, lock};
use crate::error::{Error, Result};
use crate::types::TopicPartition;

/// Reads records of a directory's topics.
///
/// All methods may be called from any thread; the records of one partition come in order if one
/// thread polls.
#[derive(Debug)]
pub struct Consumer {
    /// `None` once it is closed. Nobody keeps what he takes from here in a wait.
    engine: Mutex<Option<Arc<Engine>>>,
    clock: Arc<dyn Clock>,
    read_only: bool,
    config: ConsumerConfig,
    doorbell: Doorbell,
    metrics: ConsumerMetrics,
    state: Mutex<State>,
    closed: AtomicBool,
    fork_generation: u32,
}

/// What the mutex guards. It is never held in a wait, nor while a user's function runs.
#[derive(Debug, Default)]
struct State {
    subscription: Subscription,
    /// Counts changes of the subscription.
    version: u64,
    /// The generation of topics that `target` comes from.
    generation: Option<u64>,
    /// What the subscription came to.
    target: Vec<Target>,
    /// Whether the assignment is what the target asks for.
    settled: bool,
    assignment: Assignment,
    alone: Alone,
    member: Member,
    /// When positions are committed next.
    next_commit: Option<Duration>,
    /// When what is committed already is committed again.
    renewal: Option<Duration>,
    /// The topic of committed offsets that what is known to be committed is in.
    committed_in: Option<Id>,
    /// Since when there were not enough bytes.
    waiting_since: Option<Duration>,
}

/// A partition that is wanted, and whether it exists.
#[derive(Clone, Debug)]
struct Target {
    id: TopicPartition,
    partition: Option<Arc<Partition>>,
}

impl State {
    fn subscribe(&mut self, subscription: Subscription) {
        self.subscription = subscription;
        self.version += 1;
        self.generation = None;
        self.settled = false;
    }

    /// Gives up subscription, assignment and group.
    fn unsubscribe(&mut self) -> Left {
        self.subscribe(Subscription::None);
        self.target.clear();
        self.alone = Alone::default();
        self.assignment.set([]);
        self.member.leave()
    }

    /// Gives the assigned partitions their engine's handles.
    fn bind(&mut self) {
        for Target { id, partition } in &self.target {
            if let Some(assigned) = self.assignment.get_mut(id) {
                assigned.bind(partition.clone());
            }
        }
    }
}

impl Consumer {
    /// A consumer that reads nothing yet.
    pub fn new(engine: Arc<Engine>, config: ConsumerConfig) -> Result<Self> {
        config.check()?;
        Ok(Self {
            doorbell: engine.doorbell(),
            clock: Arc::clone(&engine.env().clock),
            read_only: engine.is_read_only(),
            engine: Mutex::new(Some(engine)),
            config,
            metrics: ConsumerMetrics::default(),
            state: Mutex::default(),
            closed: AtomicBool::new(false),
            fork_generation: lock::fork_generation(),
        })
    }

    /// Its settings.
    pub fn config(&self) -> &ConsumerConfig {
        &self.config
    }

    fn now(&self) -> Duration {
        self.clock.monotonic()
    }

    /// Whether it was made before a fork, and this is the child.
    pub fn is_forked(&self) -> bool {
        self.fork_generation != lock::fork_generation()
    }

    /// The engine of a consumer that may be used.
    fn engine(&self) -> Result<Arc<Engine>> {
        self.check()?;
        lock_of(&self.engine).clone().ok_or(Error::Closed("consumer"))
    }

    fn check(&self) -> Result<()> {
        if self.is_forked() {
            return Err(Error::Forked("consumer"));
        }
        if self.is_closed() {
            return Err(Error::Closed("consumer"));
        }
        Ok(())
    }

    /// The state, of a consumer that may be used.
    fn state(&self) -> Result<MutexGuard<'_, State>> {
        self.check()?;
        Ok(lock_of(&self.state))
    }

    fn rules(&self) -> Rules {
        Rules {
            create: self.config.allow_auto_create_topics && !self.read_only,
            exclude_internal: self.config.exclude_internal_topics,
        }
    }

    /// Reads all partitions of these topics, instead of those subscribed to before; none at all
    /// is to unsubscribe. The next polls make it so.
    pub fn subscribe(&self, topics: &[String]) -> Result<()> {
        if topics.is_empty() {
            return self.unsubscribe();
        }
        self.change(Subscription::topics(topics)?)
    }

    /// Reads all partitions of the topics that match, also of those that are made later.
    pub fn subscribe_pattern(&self, matches: Pattern) -> Result<()> {
        self.change(Subscription::Pattern(matches))
    }

    fn change(&self, subscription: Subscription) -> Result<()> {
        let mut state = self.state()?;
        state.subscription.check_change(&subscription)?;
        state.subscribe(subscription);
        Ok(())
    }

    /// Reads these partitions, without sharing them in a group; none at all is to unsubscribe.
    pub fn assign(&self, partitions: &[TopicPartition]) -> Result<()> {
        if partitions.is_empty() {
            return self.unsubscribe();
        }
        let subscription = Subscription::manual(partitions)?;
        self.state()?.subscription.check_change(&subscription)?;
        self.auto_commit_now();
        self.state()?.subscribe(subscription);
        self.follow().map(drop)
    }

    /// Reads nothing more and leaves the group. Who is to be told of it hears it by
    /// [`farewell`](Self::farewell) before.
    pub fn unsubscribe(&self) -> Result<()> {
        drop(self.state()?);
        self.auto_commit_now();
        let left = self.state()?.unsubscribe();
        drop(left);
        Ok(())
    }

    /// The topics subscribed to, by name; for a pattern those that match.
    pub fn subscription(&self) -> Vec<String> {
        let Ok(state) = self.state() else { return Vec::new() };
        match &state.subscription {
            Subscription::Topics(topics) => topics.iter().cloned().collect(),
            Subscription::Pattern(_) => {
                let names = state.target.iter().map(|target| target.id.topic.to_string());
                let mut names: Vec<_> = names.collect();
                names.dedup();
                names
            }
            Subscription::None | Subscription::Manual(_) => Vec::new(),
        }
    }

    /// The partitions assigned, sorted; none once it is closed.
    pub fn assignment(&self) -> Vec<TopicPartition> {
        self.state().map_or_else(|_| Vec::new(), |state| state.assignment.ids())
    }

    /// Polls give no records of these partitions until [`resume`](Self::resume). What was read of
    /// them is kept.
    pub fn pause(&self, partitions: &[TopicPartition]) -> Result<()> {
        self.each(partitions, |assigned| assigned.paused = true)
    }

    /// Undoes [`pause`](Self::pause).
    pub fn resume(&self, partitions: &[TopicPartition]) -> Result<()> {
        self.each(partitions, |assigned| assigned.paused = false)
    }

    /// The partitions that are paused, sorted.
    pub fn paused(&self) -> Vec<TopicPartition> {
        let Ok(state) = self.state() else { return Vec::new() };
        let paused = state.assignment.iter().filter(|assigned| assigned.paused);
        paused.map(|assigned| assigned.id.clone()).collect()
    }

    /// Makes `offset` the next one that a poll gives, whatever the log holds there.
    pub fn seek(&self, partition: &TopicPartition, offset: i64) -> Result<()> {
        self.seek_to(partition, offset, -1)
    }

    /// The same with the leader epoch of the record before it, or -1: if a crash took what was
    /// read, the poll goes on where the rest of that ends.
    pub fn seek_to(
        &self,
        partition: &TopicPartition,
        offset: i64,
        leader_epoch: i32,
    ) -> Result<()> {
        if offset < 0 {
            return Err(Error::InvalidArgument(format!("offset {offset}: it is never negative")));
        }
        let position = Position { offset, leader_epoch };
        self.state()?.assignment.need(partition)?.seek(Ok(position));
        Ok(())
    }

    /// Goes to the first record; of all assigned partitions if none is named.
    pub fn seek_to_beginning(&self, partitions: &[TopicPartition]) -> Result<()> {
        self.seek_by(partitions, OffsetReset::Earliest)
    }

    /// Goes behind the last record; of all assigned partitions if none is named.
    pub fn seek_to_end(&self, partitions: &[TopicPartition]) -> Result<()> {
        self.seek_by(partitions, OffsetReset::Latest)
    }

    fn seek_by(&self, partitions: &[TopicPartition], rule: OffsetReset) -> Result<()> {
        let all = if partitions.is_empty() { self.assignment() } else { partitions.to_vec() };
        self.each(&all, |assigned| assigned.seek(Err(Seek::Reset(rule))))
    }

    /// Changes the state of these partitions, or of none if one is not assigned.
    fn each(&self, partitions: &[TopicPartition], change: impl Fn(&mut Assigned)) -> Result<()> {
        let mut state = self.state()?;
        for partition in partitions {
            state.assignment.need(partition)?;
        }
        for partition in partitions {
            change(state.assignment.need(partition)?);
        }
        Ok(())
    }

    /// After [`poll_ahead`](Self::poll_ahead): the user has everything of `polled` below `offset`.
    /// Nothing happens if the partition was revoked or sought since.
    pub fn consumed(&self, polled: &Polled, offset: i64) {
        let Ok(mut state) = self.state() else { return };
        let Some(assigned) = state.assignment.get_mut(&polled.topic_partition) else { return };
        if assigned.fetch.as_ref().is_some_and(|fetch| fetch.stamp() == polled.stamp) {
            let leader_epoch = polled.leader_epoch().unwrap_or(-1);
            assigned.position = Ok(Position { offset, leader_epoch });
            assigned.was_read();
        }
    }

    /// Whether records of `polled` may still be given to the user: the partition is assigned, not
    /// paused, and was not sought since.
    pub fn is_current(&self, polled: &Polled) -> bool {
        let Ok(state) = self.state() else { return false };
        state.assignment.get(&polled.topic_partition).is_some_and(|assigned| {
            let fetch = assigned.fetch.as_ref();
            !assigned.paused && fetch.is_some_and(|fetch| fetch.stamp() == polled.stamp)
        })
    }

    /// The log end offset when the partition was last read.
    pub fn highwater(&self, partition: &TopicPartition) -> Result<Option<i64>> {
        Ok(self.state()?.assignment.need(partition)?.highwater)
    }

    /// How many offsets there are from the position to the end; `None` without a position.
    pub fn lag(&self, partition: &TopicPartition) -> Result<Option<i64>> {
        let (handle, position) = {
            let mut state = self.state()?;
            let assigned = state.assignment.need(partition)?;
            (assigned.partition.clone(), assigned.position)
        };
        let (Some(handle), Ok(position)) = (handle, position) else { return Ok(None) };
        Ok(Some((self.end_of(&handle)? - position.offset).max(0)))
    }

    /// The names of all topics; Kafka's own only if the settings want them.
    pub fn topics(&self) -> Result<Vec<String>> {
        let topics = self.engine()?.topics()?;
        let shown = topics.iter().filter(|t| !(t.internal && self.config.exclude_internal_topics));
        Ok(shown.map(|topic| topic.name.to_string()).collect())
    }

    /// How many partitions a topic has, if there is such a topic.
    pub fn partitions_for(&self, topic: &str) -> Result<Option<i32>> {
        Ok(self.engine()?.topic(topic)?.map(|topic| topic.partition_count()))
    }

    /// What the consumer counts, by Kafka's names.
    pub fn metrics(&self) -> Vec<(&'static str, f64)> {
        self.metrics.values()
    }

    /// Ends the consumer: commits its positions if `autocommit` and the settings say so, leaves
    /// the group, ends a poll of another thread and lets go of the engine. It is closed also after an error. Who is to be
    /// told of it hears it by [`farewell`](Self::farewell) before.
    pub fn close(&self, autocommit: bool) -> Result<()> {
        if self.is_forked() || self.is_closed() {
            return Ok(());
        }
        let committed = if autocommit { self.last_commit() } else { Ok(()) };
        self.closed.store(true, Ordering::SeqCst);
        let left = lock_of(&self.state).unsubscribe();
        self.doorbell.ring();
        drop(left);
        let engine = lock_of(&self.engine).take();
        if let Some(engine) = engine {
            tender::let_go(engine);
        }
        committed
    }

    /// Whether it was closed.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }
}

fn lock_of<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
