//! The topics a producer has sent to: looked up for every record, so kept close.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::client::producer::accumulator::{Limits, Slot};
use crate::client::producer::partitioner::{Sticky, for_key};
use crate::config::producer::ProducerConfig;
use crate::engine::{Engine, Topic, Topics as EngineTopics};
use crate::error::{Error, Result};
use crate::types::Timestamp;

/// What a producer knows of its directory.
#[derive(Debug)]
pub(super) struct Topics {
    /// `None` once it was let go of: the producer is closed and all is sent.
    engine: Option<Arc<Engine>>,
    /// The engine's generation that this agrees with.
    generation: u64,
    known: Vec<Known>,
    by_name: HashMap<Arc<str>, usize>,
    /// The last topic asked for: most producers have one.
    last: AtomicUsize,
    /// Partitions of topics that were deleted, until their last batch is settled.
    retired: Vec<Arc<Slot>>,
    closed: bool,
}

/// One topic.
#[derive(Debug)]
pub(super) struct Known {
    topic: Arc<Topic>,
    slots: Vec<Option<Arc<Slot>>>,
    pub(super) sticky: Sticky,
}

impl Known {
    fn new(topic: Arc<Topic>, seed: u64) -> Self {
        let partitions = topic.partition_count();
        let slots = (0..partitions).map(|_| None).collect();
        Self { sticky: Sticky::new(seed, partitions), slots, topic }
    }

    pub(super) fn partitions(&self) -> i32 {
        self.slots.len() as i32
    }

    pub(super) fn slot(&self, partition: i32) -> Option<&Arc<Slot>> {
        self.slots.get(partition as usize)?.as_ref()
    }

    /// The partition for a record that names none.
    pub(super) fn partition_for(&self, key: Option<&[u8]>) -> i32 {
        match key {
            Some(key) => for_key(key, self.partitions()),
            None => self.sticky.partition(),
        }
    }
}

impl Topics {
    pub(super) fn new(engine: Arc<Engine>) -> Self {
        Self {
            engine: Some(engine),
            generation: 0,
            known: Vec::new(),
            by_name: HashMap::new(),
            last: AtomicUsize::new(0),
            retired: Vec::new(),
            closed: false,
        }
    }

    /// The engine of a producer that takes records.
    #[inline]
    pub(super) fn engine(&self) -> Result<&Arc<Engine>> {
        let engine = self.engine.as_ref().filter(|_| !self.closed);
        engine.ok_or(Error::Closed("producer"))
    }

    /// When the engine has something to do by time alone.
    pub(super) fn next_chore(&self) -> Option<Timestamp> {
        self.engine.as_ref()?.next_chore()
    }

    /// Lets go of the engine, and of all that is a part of it, for the caller to drop under no
    /// lock.
    pub(super) fn let_go(&mut self) -> impl Sized + use<> {
        self.closed = true;
        self.by_name.clear();
        let known = std::mem::take(&mut self.known);
        (known, std::mem::take(&mut self.retired), self.engine.take())
    }

    /// The topic of that name, if it was learned under the present generation.
    #[inline]
    pub(super) fn find(&self, name: &str) -> Result<Option<&Known>> {
        if self.generation != self.engine()?.topics_generation() {
            return Ok(None);
        }
        let last = self.known.get(self.last.load(Ordering::Relaxed));
        if let Some(known) = last.filter(|known| &*known.topic.name == name) {
            return Ok(Some(known));
        }
        Ok(self.by_name.get(name).map(|&index| {
            self.last.store(index, Ordering::Relaxed);
            &self.known[index]
        }))
    }

    pub(super) fn slots(&self) -> impl Iterator<Item = &Arc<Slot>> {
        self.known.iter().flat_map(|known| known.slots.iter().flatten()).chain(&self.retired)
    }

    pub(super) fn close(&mut self) {
        self.closed = true;
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Takes over the engine's present set of topics.
    pub(super) fn refresh(
        &mut self,
        generation: u64,
        current: &EngineTopics,
        config: &ProducerConfig,
        seed: u64,
    ) {
        if self.engine.is_none() {
            return;
        }
        self.retired.retain(|slot| slot.unsettled().is_some());
        for known in std::mem::take(&mut self.known) {
            match current.get(&known.topic.name) {
                Some(topic) if topic.id == known.topic.id => {
                    self.known.push(known.follow(topic, config, seed));
                }
                _ => self.retired.extend(known.slots.into_iter().flatten()),
            }
        }
        self.index();
        self.generation = generation;
    }

    /// Adds a partition, and its topic if that is new.
    pub(super) fn add(&mut self, topic: &Arc<Topic>, slot: Option<Arc<Slot>>, seed: u64) {
        if self.engine.is_none() {
            return;
        }
        if !self.by_name.contains_key(&topic.name) {
            self.known.push(Known::new(Arc::clone(topic), seed));
            self.index();
        }
        let Some(slot) = slot else { return };
        let known = &mut self.known[self.by_name[&topic.name]];
        if let Some(place @ None) = known.slots.get_mut(slot.id.partition as usize) {
            *place = Some(slot);
        }
    }

    fn index(&mut self) {
        let names = self.known.iter().map(|known| Arc::clone(&known.topic.name));
        self.by_name = names.zip(0..).collect();
    }
}

impl Known {
    /// The same topic as it is now: perhaps with more partitions or other settings.
    fn follow(mut self, topic: &Arc<Topic>, config: &ProducerConfig, seed: u64) -> Self {
        if Arc::ptr_eq(&self.topic, topic) {
            return self;
        }
        for slot in self.slots.iter().flatten() {
            slot.set_limits(Limits::new(config, &slot.partition.config()));
        }
        let partitions = topic.partition_count();
        if partitions != self.partitions() {
            self.sticky = Sticky::new(seed, partitions);
        }
        self.slots.resize_with(partitions as usize, || None);
        self.topic = Arc::clone(topic);
        self
    }
}
