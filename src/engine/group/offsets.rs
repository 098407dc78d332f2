//! What groups have committed.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;

use crate::coord::offsets::{Offsets, java_hash};
use crate::engine::partition::Partition;
use crate::engine::partition::read::{Chunk, Cursor};
use crate::engine::topics::OFFSETS_TOPIC;
use crate::engine::{AbortedTransaction, Engine, Topic, group, patience};
use crate::env::point::point;
use crate::error::{AtPosition, Error, Result};
use crate::planted::planted;
use crate::record::{Batch, BatchBuilder, BatchInfo, verify};
use crate::types::{Compression, IsolationLevel, OffsetAndMetadata, Timestamp, TopicPartition};

/// How long who appends to `__consumer_offsets` waits for its lock: he holds up a whole group, and
/// who has the lock may have been stopped.
const PATIENCE: Duration = Duration::from_millis(100);

/// How often is begun with a topic of offsets that others keep deleting.
const TRIES: u32 = 10;

/// Bytes of `__consumer_offsets` that are read at once.
const STRETCH: usize = 256 * 1024;

/// A batch of `__consumer_offsets` decompresses to no more than this.
const MAX_BATCH: usize = 64 << 20;

/// Key and value of a record of `__consumer_offsets`.
pub(crate) type Record = (Vec<u8>, Option<Vec<u8>>);

/// What this process has read of `__consumer_offsets`, a state a partition.
#[derive(Debug, Default)]
pub(crate) struct CommittedOffsets(Mutex<HashMap<i32, Arc<Mutex<State>>>>);

#[derive(Debug)]
struct State {
    /// The page of the partition that was read: one of a topic that was deleted and made again has
    /// another.
    slot: Option<u32>,
    offsets: Offsets,
    cursor: Cursor,
    /// How often segments had been replaced when the records were read.
    swaps: u64,
}

/// Records of groups that are ready for a partition of `__consumer_offsets`.
#[derive(Debug)]
pub(crate) struct Prepared {
    partition: Arc<Partition>,
    /// One, unless they are tombstones.
    batches: Vec<Vec<u8>>,
}

impl Prepared {
    /// Appends them, and gives the end that [`sync`](Self::sync) takes. [`Error::Timeout`] if
    /// another process keeps the lock of the partition ([`PATIENCE`]).
    pub(crate) fn append(&self) -> Result<i64> {
        self.append_if(&|| Ok(()))
    }

    /// The same, unless `check` forbids it when nobody else can append any more.
    pub(crate) fn append_if(&self, check: &dyn Fn() -> Result<()>) -> Result<i64> {
        self.partition.ready()?;
        let mut end = 0;
        for batch in &self.batches {
            let append = || self.partition.append_if(&mut batch.clone(), check);
            end = patience::with_patience(PATIENCE, append)?.end_offset;
        }
        Ok(end)
    }

    /// Waits until they are on stable storage.
    pub(crate) fn sync(&self, end: i64) -> Result<()> {
        if planted("commit-unsynced") { Ok(()) } else { self.partition.sync(end) }
    }
}

impl Engine {
    pub(crate) fn group_lock(&self, group: &str) -> PathBuf {
        let hash = u64::from(crc32c::crc32c(group.as_bytes())) << 32
            | u64::from(java_hash(group).cast_unsigned());
        self.dir().join(format!("{}{hash:016x}.lock", group::PREFIX))
    }

    /// Commits offsets for a group, whoever is a member. After `Ok` they are on stable storage, and
    /// so is every record below them.
    pub fn commit_offsets(
        &self,
        group: &str,
        offsets: &[(TopicPartition, OffsetAndMetadata)],
    ) -> Result<()> {
        if offsets.is_empty() {
            return Ok(());
        }
        despite_deletion(|| {
            let prepared = self.prepare_commit(group, offsets)?;
            let end = prepared.append_if(&|| self.check_topics(offsets))?;
            point("commit.alone");
            prepared.sync(end)
        })
    }

    /// Does what a commit needs no lock of the group for: after it, every record below the offsets
    /// is on stable storage.
    pub(crate) fn prepare_commit(
        &self,
        group: &str,
        offsets: &[(TopicPartition, OffsetAndMetadata)],
    ) -> Result<Prepared> {
        for (partition, commit) in offsets {
            self.check_commit(partition, commit)?;
        }
        let now = self.env().clock.now();
        let records = Offsets::commit(group, offsets, now);
        self.prepare_records(group, records.map(|(key, value)| (key, Some(value))))
    }

    /// Records for the partition of `__consumer_offsets` that a group has; without a value they
    /// are tombstones. They are appended together.
    pub(crate) fn prepare_records(
        &self,
        group: &str,
        records: impl IntoIterator<Item = Record>,
    ) -> Result<Prepared> {
        let topic = self.topic_or_create(OFFSETS_TOPIC)?;
        let partition = self.partition_for(&topic, group)?;
        let batch = batch(&partition, records, self.env().clock.now())?;
        Ok(Prepared { partition, batches: vec![batch] })
    }

    /// The same for records each of which is right without the others: in as many batches as the
    /// settings ask for.
    pub(crate) fn prepare_each(&self, group: &str, records: &[Record]) -> Result<Prepared> {
        let topic = self.topic_or_create(OFFSETS_TOPIC)?;
        self.split(self.partition_for(&topic, group)?, records)
    }

    fn split(&self, partition: Arc<Partition>, records: &[Record]) -> Result<Prepared> {
        let limit = partition.config().batch_limits().least();
        let now = self.env().clock.now();
        // A codec of the topic's own may make them longer.
        let batches = pack(records, limit - limit / 6).into_iter();
        let batches = batches.map(|records| batch(&partition, records.iter().cloned(), now));
        let batches = batches.collect::<Result<_>>()?;
        Ok(Prepared { partition, batches })
    }

    /// Takes away what groups have committed for a topic that is no more: under its name there may
    /// be another. Where one partition cannot be written, the others are done.
    pub(crate) fn forget_offsets(&self, topic: &str) -> Result<()> {
        let offsets = self.topic(OFFSETS_TOPIC)?.filter(|_| !planted("keep-offsets"));
        let Some(offsets) = offsets else { return Ok(()) };
        let mut forgotten = Ok(());
        for number in 0..offsets.partition_count() {
            let partition = self.partition_of(&offsets, number)?;
            forgotten = forgotten.and(self.forget_in(partition, topic));
        }
        forgotten
    }

    fn forget_in(&self, partition: Arc<Partition>, topic: &str) -> Result<()> {
        if self.is_unused(&partition)? {
            return Ok(());
        }
        // Who has seen the topic and was about to commit has done so now; others see it no more.
        partition.pass()?;
        let groups = self.partition_records(&partition, |records| records.of_topic(topic))?;
        let tombstones = groups.iter().map(|(group, ids)| Offsets::tombstones(group, ids, false));
        let records: Vec<_> = tombstones.flatten().collect();
        if records.is_empty() {
            return Ok(());
        }
        let prepared = self.split(partition, &records)?;
        let end = prepared.append()?;
        point("delete.tombstones");
        prepared.sync(end)
    }

    /// Refuses partitions that are no more: what was committed for them has been taken away.
    pub(super) fn check_topics(
        &self,
        offsets: &[(TopicPartition, OffsetAndMetadata)],
    ) -> Result<()> {
        let topics = self.topics()?;
        let count = |name: &str| topics.get(name).map_or(0, |topic| topic.partition_count());
        match offsets.iter().find(|(id, _)| id.partition >= count(&id.topic)) {
            Some((id, _)) => Err(Error::UnknownTopicOrPartition(id.clone())),
            None => Ok(()),
        }
    }

    pub(crate) fn check_commit(
        &self,
        id: &TopicPartition,
        commit: &OffsetAndMetadata,
    ) -> Result<()> {
        if commit.offset < 0 {
            let text = format!("offset {} of {id} is negative", commit.offset);
            return Err(Error::InvalidArgument(text));
        }
        let (size, max) = (commit.metadata.len(), self.config().offset_metadata_max_bytes);
        if size > max {
            return Err(Error::OffsetMetadataTooLarge { size, max });
        }
        let partition = self.partition(id)?;
        let end = partition.ends()?.log_end_offset;
        if planted("no-sync-before-commit") {
            return Ok(());
        }
        partition.sync(commit.offset.min(end))
    }

    /// Everything a group has committed, by any process, until now.
    pub fn committed_offsets(
        &self,
        group: &str,
    ) -> Result<HashMap<TopicPartition, OffsetAndMetadata>> {
        Ok(self.group_records(group, |offsets| offsets.of(group))?.unwrap_or_default())
    }

    /// What the records of a group add up to, by any process, until now; `None` if there are none
    /// of any group.
    pub(crate) fn group_records<T>(
        &self,
        group: &str,
        look: impl Fn(&Offsets) -> T,
    ) -> Result<Option<T>> {
        despite_deletion(|| {
            let Some(topic) = self.topic(OFFSETS_TOPIC)? else { return Ok(None) };
            let partition = self.partition_for(&topic, group)?;
            self.partition_records(&partition, &look).map(Some)
        })
    }

    /// The partition of `__consumer_offsets` that a group has.
    fn partition_for(&self, topic: &Topic, group: &str) -> Result<Arc<Partition>> {
        point("offsets.found");
        self.partition(&partition_of(topic, group))
    }

    /// What the records of a partition of `__consumer_offsets` add up to.
    pub(crate) fn partition_records<T>(
        &self,
        partition: &Partition,
        look: impl FnOnce(&Offsets) -> T,
    ) -> Result<T> {
        point("offsets.read");
        let state = self.offsets.state(partition.id().partition);
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        state.catch_up(partition)?;
        Ok(look(&state.offsets))
    }
}

fn batch(
    partition: &Partition,
    records: impl IntoIterator<Item = Record>,
    now: Timestamp,
) -> Result<Vec<u8>> {
    let mut builder = BatchBuilder::new(Compression::None, None);
    for (key, value) in records {
        builder.append(now, Some(&key), value.as_deref(), &[]);
    }
    builder.finish().at_position(partition.dir(), 0)
}

/// The records in stretches that are no longer than `limit` as a batch, unless a single one is.
fn pack(records: &[Record], limit: usize) -> Vec<&[Record]> {
    let size = |(key, value): &Record| BatchBuilder::record_size(Some(key), value.as_deref(), &[]);
    let empty = BatchBuilder::new(Compression::None, None).len();
    let mut batch = empty + records.first().map_or(0, size);
    let fits = |_: &Record, next: &Record| {
        batch += size(next);
        let fits = batch <= limit;
        if !fits {
            batch = empty + size(next);
        }
        fits
    };
    records.chunk_by(fits).collect()
}

/// Makes the topic of committed offsets, as a broker does at the first commit.
pub(crate) fn create_offsets_topic(engine: &Engine) -> Result<Arc<Topic>> {
    let config = engine.config();
    let segment_bytes = config.offsets_topic_segment_bytes.to_string();
    let settings = [("cleanup.policy", "compact"), ("segment.bytes", &*segment_bytes)];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
    engine.create_topic(OFFSETS_TOPIC, Some(config.offsets_topic_num_partitions), &settings)
}

/// Does what `__consumer_offsets` is needed for, and does it again where somebody has deleted the
/// topic between two steps: then it is made anew, or found to be gone.
pub(super) fn despite_deletion<T>(mut work: impl FnMut() -> Result<T>) -> Result<T> {
    for _ in 1..TRIES {
        match work() {
            Err(error) if met_deletion(&error) => {}
            done => return done,
        }
    }
    work()
}

/// What was to be taken away has gone with the topic, if somebody has deleted that meanwhile.
pub(super) fn or_gone<T: Default>(done: Result<T>) -> Result<T> {
    match done {
        Err(error) if met_deletion(&error) => Ok(T::default()),
        done => done,
    }
}

fn met_deletion(error: &Error) -> bool {
    matches!(error, Error::UnknownTopicOrPartition(id) if *id.topic == *OFFSETS_TOPIC)
}

/// Kafka's rule (`GroupMetadataManager.partitionFor`).
fn partition_of(topic: &Topic, group: &str) -> TopicPartition {
    let number = (java_hash(group) & i32::MAX) % topic.partition_count();
    TopicPartition::new(topic.name.clone(), number)
}

impl CommittedOffsets {
    fn state(&self, partition: i32) -> Arc<Mutex<State>> {
        let mut states = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        states.entry(partition).or_default().clone()
    }
}

impl Default for State {
    fn default() -> Self {
        Self { slot: None, offsets: Offsets::default(), cursor: Cursor::new(0), swaps: 0 }
    }
}

impl State {
    fn of(partition: &Partition, start: i64) -> Self {
        let (slot, cursor) = (Some(partition.slot), Cursor::new(start));
        Self { slot, cursor, ..Self::default() }
    }

    /// Replays what was appended since the last time. After `Err` it begins anew: of what failed in
    /// the middle nobody knows how far it came.
    fn catch_up(&mut self, partition: &Partition) -> Result<()> {
        let mut state = std::mem::take(self);
        state.replay_new(partition)?;
        *self = state;
        Ok(())
    }

    fn replay_new(&mut self, partition: &Partition) -> Result<()> {
        loop {
            let start = partition.ends()?.log_start_offset;
            let swaps = partition.swaps();
            // Compaction may have taken tombstones that were not read yet.
            let missed = self.swaps != swaps && self.cursor.offset() < partition.sealed_to();
            let is_other = self.slot != Some(partition.slot);
            if is_other || missed || self.cursor.offset() < start {
                *self = Self::of(partition, start);
            }
            self.swaps = swaps;
            self.read_on(partition)?;
            if partition.swaps() == swaps {
                return Ok(());
            }
        }
    }

    fn read_on(&mut self, partition: &Partition) -> Result<()> {
        // Commits of transactions count when the transaction does.
        loop {
            let from = self.cursor.offset();
            let chunk = partition.read(&mut self.cursor, STRETCH, IsolationLevel::ReadCommitted)?;
            if chunk.bytes.is_empty() {
                return Ok(());
            }
            let aborted = partition.aborted(from, self.cursor.offset())?;
            self.replay_chunk(&chunk, &aborted)?;
        }
    }

    fn replay_chunk(&mut self, chunk: &Chunk, aborted: &[AbortedTransaction]) -> Result<()> {
        let mut at = 0;
        while at < chunk.bytes.len() {
            let position = chunk.position + at as u64;
            let info = BatchInfo::parse(&chunk.bytes[at..]).at_position(&chunk.path, position)?;
            let bytes = chunk.bytes.slice(at..at + info.size);
            if !info.is_control && !aborted.iter().any(|entry| entry.covers(&info)) {
                self.replay(bytes).at_position(&chunk.path, position)?;
            }
            at += info.size;
        }
        Ok(())
    }

    fn replay(&mut self, bytes: Bytes) -> Result<(), crate::Corruption> {
        verify(&bytes)?;
        for record in Batch::decode(bytes, MAX_BATCH)?.records() {
            let record = record?;
            self.offsets.replay(record.key, record.value);
        }
        Ok(())
    }
}
