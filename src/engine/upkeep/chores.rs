//! What falls due by time alone: `flush.ms` of topics, and the note of how far each log is on the
//! disk (Kafka's `recovery-point-offset-checkpoint`).
//!
//! The engine has no thread: whoever appends does what is due for that log, a
//! producer's sender asks [`Engine::next_chore`] when to call [`Engine::do_chores`], and who tends the
//! directory calls it in each round. Any number of processes may; it costs a look at a word while
//! nothing is due.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, PoisonError};

use crate::config::TopicConfig;
use crate::engine::Engine;
use crate::engine::directory::root::{self, Root};
use crate::engine::partition::Partition;
use crate::engine::topics::Topics;
use crate::env::point::point;
use crate::error::{At, Error, Result};
use crate::log::checkpoint::Offsets;
use crate::types::{Timestamp, TopicPartition};

/// When nothing is due.
const NEVER: Timestamp = Timestamp::MAX;

/// How long waits what could not be written, in milliseconds.
const AGAIN: Timestamp = 1000;

/// What this process knows of what is due.
#[derive(Debug)]
pub(crate) struct Chores {
    /// When the next log must be synced.
    next_flush: AtomicI64,
    /// Whether something was synced that is not noted yet.
    unnoted: AtomicBool,
    /// The note is not tried before.
    note_from: AtomicI64,
}

impl Default for Chores {
    fn default() -> Self {
        Self {
            next_flush: AtomicI64::new(NEVER),
            unnoted: AtomicBool::new(false),
            note_from: AtomicI64::new(Timestamp::MIN),
        }
    }
}

impl Chores {
    /// Something was synced.
    pub(crate) fn synced(&self) {
        // Most times it is set: a store would take the cache line from others.
        if !self.unnoted.load(Ordering::Relaxed) {
            self.unnoted.store(true, Ordering::Release);
        }
    }

    fn flush_at(&self, due: Timestamp) {
        self.next_flush.fetch_min(due, Ordering::AcqRel);
    }
}

impl Partition {
    /// Syncs after an append if `flush.messages` or `flush.ms` says so; notes when it is due if not.
    pub(crate) fn flush_if_due(&self, end_offset: i64, config: &TopicConfig) -> Result<()> {
        let unsynced = end_offset.saturating_sub(self.page.synced_offset());
        if unsynced >= config.flush_messages {
            return self.sync(end_offset);
        }
        if config.flush_ms == i64::MAX {
            return Ok(());
        }
        let now = self.shared.env.clock.now();
        match self.flush_due(now, config.flush_ms) {
            Some(due) => self.shared.chores.flush_at(due),
            None => self.sync(end_offset)?,
        }
        Ok(())
    }

    /// When the log must be synced; `None` if now. Also when the clock was set back.
    fn flush_due(&self, now: Timestamp, flush_ms: i64) -> Option<Timestamp> {
        let last = self.page.last_sync();
        let due = last.saturating_add(flush_ms);
        (last..due).contains(&now).then_some(due)
    }

    /// Syncs what `flush.ms` says is due.
    fn flush_by_time(&self, now: Timestamp) -> Result<()> {
        let flush_ms = self.config().flush_ms;
        if flush_ms == i64::MAX || !self.is_recovered() {
            return Ok(());
        }
        let end = self.page.tail().end_offset;
        if self.page.synced_offset() >= end || self.page.is_poisoned() || self.page.is_deleted() {
            return Ok(());
        }
        match self.flush_due(now, flush_ms) {
            Some(due) => self.shared.chores.flush_at(due),
            None => self.sync(end)?,
        }
        Ok(())
    }
}

impl Engine {
    /// When [`do_chores`](Self::do_chores) has something to do, on the wall clock.
    pub fn next_chore(&self) -> Option<Timestamp> {
        let chores = &self.shared.chores;
        let flush = chores.next_flush.load(Ordering::Acquire);
        let note = if chores.unnoted.load(Ordering::Acquire) {
            let due = self.shared.control.last_checkpoint().saturating_add(self.interval());
            due.max(chores.note_from.load(Ordering::Acquire))
        } else {
            NEVER
        };
        Some(flush.min(note)).filter(|due| *due != NEVER)
    }

    fn interval(&self) -> Timestamp {
        self.config().log_flush_offset_checkpoint_interval_ms
    }

    /// Syncs the logs of this process for which `flush.ms` is over, and notes once in
    /// `log.flush.offset.checkpoint.interval.ms` how far each log is on the disk, if any was synced.
    pub fn do_chores(&self, now: Timestamp) -> Result<()> {
        self.shared.check_fork()?;
        if self.shared.read_only {
            return Ok(());
        }
        let flushed = self.flush_by_time(now);
        match self.note_if_due(now) {
            // Who has closed it has noted that.
            Err(Error::Closed(_)) => {}
            noted => noted?,
        }
        flushed
    }

    /// Syncs what `flush.ms` asks for now rather than later: for who will not be there then.
    pub fn flush_early(&self) -> Result<()> {
        if self.shared.chores.next_flush.load(Ordering::Acquire) == NEVER {
            return Ok(());
        }
        self.flush_each(|partition| {
            let waits = partition.config().flush_ms != i64::MAX && partition.is_recovered();
            if waits && !partition.page.is_deleted() {
                partition.sync(partition.page.tail().end_offset)?;
            }
            Ok(())
        })
    }

    fn flush_by_time(&self, now: Timestamp) -> Result<()> {
        let next = &self.shared.chores.next_flush;
        if next.load(Ordering::Acquire) > now {
            return Ok(());
        }
        // Before they are looked at: who appends meanwhile sets it again.
        next.store(NEVER, Ordering::Release);
        let flushed = self.flush_each(|partition| partition.flush_by_time(now));
        if flushed.is_err() {
            self.shared.chores.flush_at(now.saturating_add(AGAIN));
        }
        flushed
    }

    /// All of them, also behind one that fails; gives the first error.
    fn flush_each(&self, flush: impl Fn(&Partition) -> Result<()>) -> Result<()> {
        let partitions = self.known_partitions();
        partitions.iter().map(|partition| flush(partition)).fold(Ok(()), Result::and)
    }

    pub(super) fn known_partitions(&self) -> Vec<Arc<Partition>> {
        let known = self.partitions.read().unwrap_or_else(PoisonError::into_inner);
        known.values().map(|(_, partition)| partition.clone()).collect()
    }

    fn note_if_due(&self, now: Timestamp) -> Result<()> {
        let chores = &self.shared.chores;
        let due = |last: Timestamp| !(last..last.saturating_add(self.interval())).contains(&now);
        let is_due = chores.unnoted.load(Ordering::Acquire)
            && chores.note_from.load(Ordering::Acquire) <= now
            && due(self.shared.control.last_checkpoint());
        if !is_due {
            return Ok(());
        }
        chores.note_from.store(now.saturating_add(AGAIN), Ordering::Release);
        // Topics must not be deleted and made again meanwhile.
        let Some(lock) = self.try_lock_topics()? else { return Ok(()) };
        // Another may have done it until the lock was taken.
        let noted =
            if due(self.shared.control.last_checkpoint()) { self.note(now) } else { Ok(()) };
        let held = lock.as_ref().expect("the lock was made when it was taken");
        held.release().at("unlock", self.dir())?;
        noted
    }

    /// Writes down how far each log is on the disk. For the holder of the directory's lock.
    fn note(&self, now: Timestamp) -> Result<()> {
        let shared = &self.shared;
        shared.check_open()?;
        shared.root.as_ref().map_or(Ok(()), Root::check_place)?;
        let storage = &*self.env().storage;
        shared.chores.unnoted.store(false, Ordering::Release);
        let topics = Topics::read(storage, self.dir(), shared.control.topics_generation())?;
        let mut offsets = root::recovery_points(storage, self.dir())?;
        let before = offsets.clone();
        self.read_synced(&topics, &mut offsets)?;
        point("checkpoint.read");
        if offsets != before {
            root::write_recovery_points(storage, self.dir(), &offsets)
                .inspect_err(|_| shared.chores.synced())?;
        }
        point("checkpoint.written");
        shared.control.set_last_checkpoint(now);
        Ok(())
    }

    /// What is on the disk of the logs that somebody uses; the others are as they were.
    fn read_synced(&self, topics: &Topics, offsets: &mut Offsets) -> Result<()> {
        for topic in topics.iter() {
            for number in 0..topic.partition_count() {
                let Some(slot) = topic.slot(number) else { continue };
                let page = self.shared.control.page(slot)?;
                if page.is_valid() && !page.is_poisoned() {
                    let id = TopicPartition::new(topic.name.clone(), number);
                    offsets.insert(id, page.synced_offset());
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::path::Path;
    use std::time::Duration;

    use super::*;
    use crate::engine::OpenOptions;
    use crate::env::mem::{Call, MemDisk, Repeat};
    use crate::record::BatchBuilder;
    use crate::types::Compression;

    /// Two logs that `flush.ms` asks to sync now.
    fn waiting(disk: &MemDisk) -> (Arc<Engine>, [Arc<Partition>; 2]) {
        let engine = Engine::open(Path::new("/data"), OpenOptions::default(), disk.env()).unwrap();
        let partitions = ["a", "b"].map(|topic| {
            let settings = [("flush.ms".to_owned(), "1000".to_owned())];
            engine.create_topic(topic, Some(1), &settings).unwrap();
            let partition = engine.partition(&TopicPartition::new(topic, 0)).unwrap();
            append(&partition);
            partition.sync(1).unwrap();
            append(&partition);
            partition
        });
        disk.clock().advance(Duration::from_secs(2));
        (engine, partitions)
    }

    fn append(partition: &Partition) {
        let mut batch = BatchBuilder::new(Compression::None, None);
        batch.append(1, None, Some(b"value"), &[]);
        partition.append(&mut batch.finish().unwrap()).unwrap();
    }

    #[test]
    fn a_log_that_cannot_be_synced_keeps_no_other_from_it() {
        for early in [false, true] {
            let disk = MemDisk::new();
            let (engine, partitions) = waiting(&disk);
            disk.fail_call(Call::SyncData, 1, ErrorKind::StorageFull, Repeat::Once);

            let now = engine.env().clock.now();
            let done = if early { engine.flush_early() } else { engine.flush_by_time(now) };

            assert!(matches!(done, Err(Error::Poisoned(_))), "{early}: {done:?}");
            let synced = partitions.iter().filter(|it| it.page.synced_offset() == 2).count();
            assert_eq!(synced, 1, "{early}");
        }
    }

    #[test]
    fn what_could_not_be_synced_is_tried_again() {
        for early in [false, true] {
            let disk = MemDisk::new();
            let (engine, partitions) = waiting(&disk);
            assert!(partitions.iter().all(|partition| partition.give_back()));
            disk.fail_call(Call::Lock, 1, ErrorKind::StorageFull, Repeat::Forever);
            let now = engine.env().clock.now();
            let failed = if early { engine.flush_early() } else { engine.flush_by_time(now) };
            assert!(failed.is_err(), "{early}");
            disk.heal();

            let due = engine.next_chore().unwrap();
            engine.do_chores(due).unwrap();

            assert!(due <= now + AGAIN, "{early}: {now}, {due}");
            assert!(partitions.iter().all(|it| it.page.synced_offset() == 2), "{early}");
        }
    }

    #[test]
    fn who_looks_after_a_directory_that_was_closed_has_nothing_to_complain_of() {
        let disk = MemDisk::new();
        let engine = Engine::open(Path::new("/data"), OpenOptions::default(), disk.env()).unwrap();
        engine.create_topic("a", Some(1), &[]).unwrap();
        let partition = engine.partition(&TopicPartition::new("a", 0)).unwrap();
        append(&partition);
        partition.sync(1).unwrap();
        disk.clock().advance(Duration::from_secs(120));
        assert!(engine.next_chore().is_some());
        engine.close().unwrap();

        engine.do_chores(engine.env().clock.now()).unwrap();
    }
}
