//! The producer: takes records from any number of threads.

mod accumulator;
pub(super) mod delivery;
pub(super) mod flush;
mod memory;
mod metrics;
pub mod partitioner;
mod round;
pub(super) mod sender;
mod stream;
mod topics;

use std::sync::{Arc, Mutex, PoisonError, TryLockError, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::client::producer::accumulator::{Attempt, Limits, Slot};
use crate::client::producer::delivery::Delivery;
use crate::client::producer::flush::Flush;
use crate::client::producer::round::Working;
use crate::client::producer::sender::{Around, Sender};
use crate::client::producer::topics::Known;
use crate::client::registry;
use crate::config::producer::ProducerConfig;
use crate::engine::{Engine, Topic, is_internal, with_patience};
use crate::env::wake::{self, Woken};
use crate::error::{Error, Result};
use crate::types::{NO_TIMESTAMP, Timestamp, TopicPartition, valid_topic_name};

/// A record to send.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outgoing<'a> {
    /// The topic.
    pub topic: &'a str,
    /// The partition; `None` lets the key decide, or chance.
    pub partition: Option<i32>,
    /// Milliseconds since the epoch; `None` is now.
    pub timestamp: Option<Timestamp>,
    /// The key.
    pub key: Option<&'a [u8]>,
    /// The value.
    pub value: Option<&'a [u8]>,
    /// The headers.
    pub headers: &'a [(&'a str, Option<&'a [u8]>)],
}

/// Sends records to the topics of a directory.
///
/// Share one among threads. Each partition gets the records of a thread in the order of its
/// calls. Dropping a producer sends what it was given in the background.
#[derive(Debug)]
pub struct Producer {
    sender: Arc<Sender>,
    weak: Weak<Sender>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What became of an offered record.
enum Offer {
    Accepted(Delivery),
    /// Its topic or partition was not met yet under the present set of topics.
    Unknown,
    NoMemory,
    Contended,
}

impl Producer {
    /// Starts a producer with its sender thread.
    pub fn new(engine: Arc<Engine>, config: ProducerConfig) -> Result<Self> {
        Self::start(engine, config, None)
    }

    /// The same; the callbacks of all batches that complete together run inside one call of
    /// `around`.
    pub fn with_around(
        engine: Arc<Engine>,
        config: ProducerConfig,
        around: Around,
    ) -> Result<Self> {
        Self::start(engine, config, Some(around))
    }

    fn start(engine: Arc<Engine>, config: ProducerConfig, around: Option<Around>) -> Result<Self> {
        config.check()?;
        if engine.is_read_only() {
            return Err(Error::ReadOnly(engine.dir().to_owned()));
        }
        let sender = Arc::new(Sender::new(Arc::clone(&engine), config, around));
        let thread = sender::start(&sender, engine)?;
        registry::add_sender(&sender);
        let weak = Arc::downgrade(&sender);
        Ok(Self { sender, weak, thread: Mutex::new(Some(thread)) })
    }

    /// Its settings.
    pub fn config(&self) -> &ProducerConfig {
        &self.sender.config
    }

    /// Sends if that needs no waiting; after `None`, call [`send`](Self::send).
    pub fn try_send(&self, record: &Outgoing<'_>) -> Result<Option<Delivery>> {
        match self.offer(record, false)? {
            Offer::Accepted(delivery) => Ok(Some(delivery)),
            _ => Ok(None),
        }
    }

    /// Puts a record into its partition's open batch. After an error it will not be sent.
    ///
    /// Waits up to `max_block` for memory; [`Error::Interrupted`] says that a signal ended that.
    pub fn send(&self, record: &Outgoing<'_>) -> Result<Delivery> {
        self.send_within(record, self.sender.config.max_block)
    }

    /// The same with a wait of at most `after`, which is also for the topic to be made.
    pub fn send_within(&self, record: &Outgoing<'_>, after: Duration) -> Result<Delivery> {
        loop {
            match self.offer(record, true)? {
                Offer::Accepted(delivery) => return Ok(delivery),
                Offer::Unknown => with_patience(after, || self.learn(record))?,
                Offer::NoMemory => return self.send_with_memory(record, after),
                Offer::Contended => {}
            }
        }
    }

    /// Waits for memory.
    fn send_with_memory(&self, record: &Outgoing<'_>, after: Duration) -> Result<Delivery> {
        let deadline = self.sender.now().saturating_add(after);
        let waiter = self.sender.accumulator.memory.wait();
        loop {
            let seen = waiter.word().load(std::sync::atomic::Ordering::SeqCst);
            match self.offer(record, true)? {
                Offer::Accepted(delivery) => return Ok(delivery),
                Offer::Unknown => self.learn(record)?,
                Offer::NoMemory | Offer::Contended => {
                    self.sender.wake();
                    let left = deadline.saturating_sub(self.sender.now());
                    if left.is_zero() {
                        let what = "waiting for buffer_memory";
                        return Err(Error::Timeout { what, after });
                    }
                    if wake::wait(waiter.word(), seen, left) == Woken::Interrupted {
                        return Err(Error::Interrupted);
                    }
                }
            }
        }
    }

    /// Sends the first of `values`, as many as go into one open batch without waiting, each as
    /// `like` with that value. Gives how many, and the last one's delivery. After `None`, send the
    /// first one by itself.
    pub fn try_send_run(&self, like: &Outgoing<'_>, values: &[&[u8]]) -> Option<(usize, Delivery)> {
        let sender = &*self.sender;
        if sender.is_forked() {
            return None;
        }
        let topics = sender.topics.try_read().ok()?;
        let known = topics.find(like.topic).ok()??;
        let partition = like.partition.unwrap_or_else(|| known.partition_for(like.key));
        let slot = known.slot(partition)?;
        let sticky = like.partition.is_none() && like.key.is_none() && known.partitions() > 1;
        let bytes = if sticky { sender.config.batch_size } else { usize::MAX };
        let values = Some(values).filter(|_| like.timestamp.is_none_or(can_be))?;
        let run = sender.accumulator.append_run(slot, like, sender.clock.now(), values, bytes)?;
        if sticky {
            known.sticky.sent(run.bytes, sender.config.batch_size, known.partitions());
        }
        drop(topics);
        if run.ready {
            sender.nudge();
        }
        Some((run.count, run.delivery))
    }

    #[inline]
    fn offer(&self, record: &Outgoing<'_>, patient: bool) -> Result<Offer> {
        let sender = &*self.sender;
        if sender.is_forked() {
            return Err(Error::Forked("producer"));
        }
        let topics = match sender.topics.try_read() {
            Ok(topics) => topics,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) if patient => self.sender.topics(),
            Err(TryLockError::WouldBlock) => return Ok(Offer::Contended),
        };
        let Some(known) = topics.find(record.topic)? else { return Ok(Offer::Unknown) };
        let partition = record.partition.unwrap_or_else(|| known.partition_for(record.key));
        let Some(slot) = known.slot(partition) else { return Ok(Offer::Unknown) };
        if let Some(timestamp) = record.timestamp.filter(|it| !can_be(*it)) {
            return Err(negative_timestamp(timestamp));
        }
        let (wall, now) = (sender.clock.now(), || sender.now());
        let attempt = sender.accumulator.append(slot, &self.weak, record, wall, now, patient)?;
        Ok(match attempt {
            Attempt::Contended => Offer::Contended,
            Attempt::NoMemory => Offer::NoMemory,
            Attempt::Accepted(delivery, ready) => {
                self.note_sticky(known, record);
                drop(topics);
                if ready {
                    sender.nudge();
                }
                Offer::Accepted(delivery)
            }
        })
    }

    /// Counts a record towards the change of the sticky partition.
    #[inline]
    fn note_sticky(&self, known: &Known, record: &Outgoing<'_>) {
        if record.partition.is_none() && record.key.is_none() && known.partitions() > 1 {
            let size = record.value.map_or(0, <[u8]>::len);
            known.sticky.sent(size, self.sender.config.batch_size, known.partitions());
        }
    }

    fn engine(&self) -> Result<Arc<Engine>> {
        self.sender.topics().engine().map(Arc::clone)
    }

    /// Meets the record's topic and partition; makes the topic if there is none.
    fn learn(&self, record: &Outgoing<'_>) -> Result<()> {
        let engine = self.engine()?;
        let topic = self.learn_topic(&engine, record.topic)?;
        let partition = self.chosen(record);
        if !(0..topic.partition_count()).contains(&partition) {
            return Err(no_partition(&topic, partition));
        }
        let id = TopicPartition::new(Arc::clone(&topic.name), partition);
        let partition = engine.partition(&id)?;
        let limits = Limits::new(&self.sender.config, &partition.config());
        let slot = Arc::new(Slot::new(partition, limits, self.sender.config.acks));
        let mut topics = self.sender.topics.write().unwrap_or_else(PoisonError::into_inner);
        topics.add(&topic, Some(slot), self.seed());
        Ok(())
    }

    fn chosen(&self, record: &Outgoing<'_>) -> i32 {
        let topics = self.sender.topics();
        let known = topics.find(record.topic).ok().flatten();
        record.partition.or(known.map(|known| known.partition_for(record.key))).unwrap_or(0)
    }

    fn learn_topic(&self, engine: &Engine, name: &str) -> Result<Arc<Topic>> {
        if !valid_topic_name(name) {
            return Err(Error::InvalidTopic(name.into()));
        }
        if is_internal(name) {
            return Err(Error::InternalTopic(name.into()));
        }
        let topic = if self.sender.config.allow_auto_create_topics {
            engine.topic_or_create(name)?
        } else {
            engine.topic(name)?.ok_or_else(|| no_topic(name))?
        };
        // Read before the topics: if they change meanwhile, the next record looks again.
        let generation = engine.topics_generation();
        let current = engine.topics()?;
        let topic = current.get(name).map_or(topic, Arc::clone);
        let mut topics = self.sender.topics.write().unwrap_or_else(PoisonError::into_inner);
        topics.refresh(generation, &current, &self.sender.config, self.seed());
        topics.add(&topic, None, self.seed());
        Ok(topic)
    }

    /// Something that differs from producer to producer.
    fn seed(&self) -> u64 {
        self.sender.now().as_nanos() as u64 ^ u64::from(std::process::id()).rotate_left(32)
    }

    /// The partition that a record with this key would go to; the topic is made if there is none.
    pub fn partition_for(&self, topic: &str, key: Option<&[u8]>) -> Result<i32> {
        self.with_topic(topic, |known| known.partition_for(key))
    }

    /// How many partitions the topic has; it is made if there is none.
    pub fn partitions(&self, topic: &str) -> Result<i32> {
        self.with_topic(topic, Known::partitions)
    }

    fn with_topic<T>(&self, name: &str, get: impl Fn(&Known) -> T) -> Result<T> {
        if self.sender.is_forked() {
            return Err(Error::Forked("producer"));
        }
        loop {
            if let Some(known) = self.sender.topics().find(name)? {
                return Ok(get(known));
            }
            let engine = self.engine()?;
            self.learn_topic(&engine, name)?;
        }
    }

    /// Waits until every record sent before the call is delivered or failed.
    pub fn flush(&self, timeout: Option<Duration>) -> Result<()> {
        self.begin_flush()?.wait(timeout)
    }

    /// The same in pieces: what it waits for is settled now.
    pub fn begin_flush(&self) -> Result<Flush> {
        if self.sender.is_forked() {
            return Err(Error::Forked("producer"));
        }
        Flush::begin(&self.sender)
    }

    /// Takes no more records, waits until all it has are delivered or failed, and lets go of the
    /// engine. After [`Error::Timeout`] that is still done, in the background.
    ///
    /// In a delivery callback it does not wait.
    pub fn close(&self, timeout: Option<Duration>) -> Result<()> {
        if self.sender.is_forked() {
            return Ok(());
        }
        self.sender.close();
        if Working::on(&self.sender) {
            return Ok(());
        }
        self.sender.help();
        self.sender.wait_for_end(timeout)?;
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            log::error!("the sender thread panicked");
        }
        Ok(())
    }

    /// Closes it, and lets what is not in a log yet fail with [`Error::Timeout`], for which
    /// [`close`](Self::close) had `after`. That takes no longer than the call of the system that is
    /// under way, if one is.
    pub fn abandon(&self, after: Duration) {
        if !self.sender.is_forked() {
            self.sender.abandon(after);
        }
    }

    /// Whether [`close`](Self::close) was called.
    pub fn is_closed(&self) -> bool {
        self.sender.topics().is_closed()
    }

    /// What the producer counts, by Kafka's names.
    pub fn metrics(&self) -> Vec<(&'static str, f64)> {
        let memory = &self.sender.accumulator.memory;
        self.sender.metrics.values(memory.limit(), memory.used())
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        if !self.sender.is_forked() {
            self.sender.close();
        }
    }
}

fn no_topic(name: &str) -> Error {
    Error::unknown_topic(name)
}

fn no_partition(topic: &Topic, partition: i32) -> Error {
    let Topic { name, .. } = topic;
    let last = topic.partition_count() - 1;
    Error::InvalidArgument(format!("partition {partition}: topic {name:?} has 0 to {last}"))
}

/// As a broker takes them: [`NO_TIMESTAMP`] too, of a record that was sent without one.
fn can_be(timestamp: Timestamp) -> bool {
    timestamp >= 0 || timestamp == NO_TIMESTAMP
}

#[cold]
fn negative_timestamp(timestamp: Timestamp) -> Error {
    Error::InvalidArgument(format!("timestamp {timestamp}: it must not be negative"))
}
