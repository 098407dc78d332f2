//! The append protocol: how a batch becomes part of a log that several processes write.
//!
//! 1. Take the lock; what a dead holder left is cut away.
//! 2. Check that the file is as long as published, and roll the segment if that is due.
//! 3. Say that a change has begun, write offset and epoch into the batch, write the batch and the
//!    index entries that are due.
//! 4. Publish the new end in one step. From here on it is part of the log.
//! 5. Say that the change has ended, give the lock back, wake who waits.
//!
//! A process that dies before 4 has appended nothing: the next holder cuts its bytes.

use std::sync::Arc;

use bytes::Bytes;

use crate::config::TopicConfig;
use crate::config::directory::MAX_DECOMPRESSED_SETTING;
use crate::engine::control::doorbell;
use crate::engine::partition::Partition;
use crate::env::point::point;
use crate::error::{At, AtPosition, Error, Result};
use crate::log::producers::Producers;
use crate::log::replay;
use crate::log::segment::Segment;
use crate::log::segments::Edition;
use crate::log::tail::Tail;
use crate::planted::planted;
use crate::record::{self, Batch, BatchBuilder, BatchInfo};
use crate::types::{Durability, Timestamp, TimestampType};

/// Where a batch was appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The offset of its first record.
    pub base_offset: i64,
    /// One past the offset of its last record.
    pub end_offset: i64,
    /// The time of the append, where the topic's `message.timestamp.type` is `LogAppendTime`.
    pub timestamp: Option<Timestamp>,
    /// The leader epoch it was written in.
    pub leader_epoch: i32,
}

impl Partition {
    /// Appends a finished batch of format v2; its base offset and leader epoch are set.
    ///
    /// After `Ok` every process can read it, and it survives the death of this one; for what
    /// survives a crash of the machine see [`sync`](Self::sync), which this calls where
    /// `flush.messages` or `flush.ms` is due. After `Err` the log is as before, unless that sync
    /// failed ([`Error::Poisoned`]).
    pub fn append(&self, batch: &mut [u8]) -> Result<Appended> {
        self.append_for(batch, Durability::Written)
    }

    /// The same for somebody who waits for so much durability: refused where that cannot come.
    pub fn append_for(&self, batch: &mut [u8], durability: Durability) -> Result<Appended> {
        self.append_checked(batch, durability, &|| Ok(()))
    }

    /// The same, unless `check` forbids it when nobody else can append any more.
    pub(crate) fn append_if(
        &self,
        batch: &mut [u8],
        check: &dyn Fn() -> Result<()>,
    ) -> Result<Appended> {
        self.append_checked(batch, Durability::Written, check)
    }

    fn append_checked(
        &self,
        batch: &mut [u8],
        durability: Durability,
        check: &dyn Fn() -> Result<()>,
    ) -> Result<Appended> {
        if self.shared.read_only {
            return Err(Error::ReadOnly(self.shared.dir.clone()));
        }
        let info = BatchInfo::parse(batch).at_position(&self.dir, 0)?;
        self.shared.control.check()?;
        let config = self.config();
        self.check_durability(durability, &config)?;
        self.check_records(batch, &info, &config)?;
        if let Some(codec) = config.compression_type
            && codec != info.compression
            && !info.is_control
        {
            let limit = self.shared.config().max_decompressed_bytes;
            let mut other = recompress(batch, codec, config.compression_level(codec), limit)
                .at_position(&self.dir, 0)
                .map_err(|error| error.limited_by(MAX_DECOMPRESSED_SETTING, None))?;
            return self.append_as_it_is(&mut other, &config, check);
        }
        self.append_as_it_is(batch, &config, check)
    }

    fn append_as_it_is(
        &self,
        batch: &mut [u8],
        config: &TopicConfig,
        check: &dyn Fn() -> Result<()>,
    ) -> Result<Appended> {
        config.batch_limits().check(&self.id, batch.len())?;
        self.ready()?;
        self.hold();
        let early = planted("end-from-cache").then(|| self.page.tail());
        let turn = self.unless_deleted(self.turn())?;
        point("append.turn");
        let appended = check().and_then(|()| self.append_in_turn(batch, early, config));
        if appended.is_err() && planted("keep-lock") {
            std::mem::forget(turn);
        } else {
            drop(turn);
        }
        point("append.unlocked");
        doorbell::ring_all(&self.shared.control, self.page.subscribers());
        point("append.rung");
        let appended = self.unless_deleted(appended)?;
        self.flush_if_due(appended.end_offset, config)?;
        Ok(appended)
    }

    fn append_in_turn(
        &self,
        batch: &mut [u8],
        early: Option<Tail>,
        config: &TopicConfig,
    ) -> Result<Appended> {
        self.shared.check_open()?;
        if self.page.is_poisoned() {
            return Err(Error::Poisoned(self.id.clone()));
        }
        let mut tail = early.unwrap_or_else(|| self.page.tail());
        let timestamp = self.stamp(batch, &tail, config);
        let info = BatchInfo::parse(batch).at_position(&self.dir, 0)?;
        let mut active = self.active(tail.segment_base)?;
        self.check_file(&active, &tail)?;
        if self.roll_is_due(&active, &tail, &info, config)? {
            (active, tail) = self.roll(&active, tail)?;
        }
        self.make_room(&active, &tail, batch.len(), config);
        self.write(&active, &tail, &info, batch, config)?;
        Ok(Appended {
            base_offset: info.base_offset,
            end_offset: info.next_offset(),
            timestamp,
            leader_epoch: info.leader_epoch,
        })
    }

    /// Gives the batch its place in the log.
    fn stamp(&self, batch: &mut [u8], tail: &Tail, config: &TopicConfig) -> Option<Timestamp> {
        record::stamp(batch, tail.end_offset, self.page.leader_epoch());
        let by_log = config.message_timestamp_type == TimestampType::LogAppendTime;
        by_log.then(|| {
            let now = self.shared.env.clock.now();
            record::set_log_append_time(batch, now);
            now
        })
    }

    fn write(
        &self,
        active: &Segment,
        tail: &Tail,
        info: &BatchInfo,
        batch: &[u8],
        config: &TopicConfig,
    ) -> Result<()> {
        self.page.set_intent(true);
        point("append.intent");
        let written = active.append(tail, info, batch, config);
        let mut next = match written {
            Ok(next) => next,
            Err(error) => {
                if planted("keep-torn") {
                    self.page.publish(&Tail { end_position: active.len()?, ..*tail });
                    self.page.set_intent(false);
                    return Err(error);
                }
                // If this fails too, the intent stays and the next holder of the lock tries.
                if self.undo(active, tail).is_ok() {
                    self.page.set_intent(false);
                }
                return Err(error);
            }
        };
        point("append.written");
        if info.producer_id >= 0 {
            self.page.set_has_producers();
        }
        next.last_stable_offset = self.page.first_unstable_offset().unwrap_or(next.end_offset);
        self.page.publish(&next);
        point("append.published");
        self.page.set_intent(false);
        point("append.ended");
        Ok(())
    }

    /// Kafka's rule (`LogSegment.shouldRoll`).
    fn roll_is_due(
        &self,
        active: &Segment,
        tail: &Tail,
        info: &BatchInfo,
        config: &TopicConfig,
    ) -> Result<bool> {
        if tail.end_position == 0 {
            return Ok(false);
        }
        let full = tail.end_position.saturating_add(info.size as u64)
            > u64::from(config.segment_bytes)
            || tail.index_entries >= config.segment_index_bytes / 8
            || tail.time_entries >= config.segment_index_bytes / 12
            || info.last_offset.saturating_sub(tail.segment_base) > i64::from(i32::MAX);
        Ok(full || self.is_old(active, tail, info, config)?)
    }

    fn is_old(
        &self,
        active: &Segment,
        tail: &Tail,
        info: &BatchInfo,
        config: &TopicConfig,
    ) -> Result<bool> {
        let first = if let Some(known) = self.page.first_timestamp(tail.segment_base) {
            known
        } else {
            let found = active.first_timestamp(tail.end_position)?.unwrap_or(-1);
            self.page.set_first_timestamp(tail.segment_base, found);
            found
        };
        let most = config.longest_active_ms() - self.jitter(tail.segment_base, config);
        Ok(first >= 0 && info.max_timestamp.saturating_sub(first) > most)
    }

    /// How much sooner than others a segment is rolled (`LogConfig.randomSegmentJitter`): the same
    /// for every process.
    fn jitter(&self, base: i64, config: &TopicConfig) -> i64 {
        let most = config.segment_jitter_ms.min(config.segment_ms);
        if most == 0 {
            return 0;
        }
        let seed = format!("{}-{}-{base}", self.topic_id, self.id.partition);
        i64::from(crc32c::crc32c(seed.as_bytes())) % most
    }

    /// Seals the active segment and begins the next at the end of the log.
    pub(crate) fn roll(&self, active: &Segment, mut tail: Tail) -> Result<(Arc<Segment>, Tail)> {
        self.check_place()?;
        self.page.set_intent(true);
        point("roll.intent");
        active.note_time(&mut tail)?;
        point("roll.timed");
        if active.len()? > tail.end_position {
            self.cut_behind(active, &tail)?;
        }
        if self.page.is_unnamed() {
            self.sync_names()?;
        }
        if !planted("no-roll-sync") {
            self.sync_segment(active)?;
        }
        point("roll.synced");
        self.note_synced(tail.end_offset);
        self.page.wake_committers();
        // Nobody looks at them again after a crash: a broker that takes over trusts them.
        // Nor is it known after an error what the disk has of them.
        self.sync_indexes()?;
        point("roll.announced");
        let storage = &self.shared.env.storage;
        self.save_producers(&tail)?;
        point("roll.saved");
        Segment::create(storage, &self.dir, tail.end_offset)?;
        point("roll.created");
        self.sync_names()?;
        point("roll.named");
        let next =
            Tail { last_stable_offset: tail.last_stable_offset, ..Tail::empty(tail.end_offset) };
        self.page.publish(&next);
        point("roll.published");
        self.page.set_intent(false);
        point("roll.ended");
        Ok((self.active(next.segment_base)?, next))
    }

    /// Notes the youngest timestamp and gives room back, as a broker does when it shuts down: one
    /// that starts on the directory looks no further than the last entry of the time index.
    pub(crate) fn seal_times(&self) -> Result<()> {
        let _turn = self.turn()?;
        let mut tail = self.page.tail();
        self.page.set_intent(true);
        let active = self.active(tail.segment_base)?;
        active.note_time(&mut tail)?;
        point("seal.timed");
        self.page.publish(&tail);
        self.page.set_intent(false);
        self.trim(&active, &tail)
    }

    /// The file must be exactly what was published, or have room behind it. A longer one has bytes
    /// of somebody who does not follow the protocol; a shorter or nameless one was changed from
    /// outside.
    fn check_file(&self, active: &Segment, tail: &Tail) -> Result<()> {
        let status = active.log.status().at("stat", &active.path)?;
        let replaced = |what| Error::Replaced { path: active.path.to_path_buf(), what };
        if !status.linked {
            return Err(replaced("the file was removed"));
        }
        if status.len < tail.end_position {
            return Err(replaced("the file is shorter than it was"));
        }
        if status.len > self.longest(tail) {
            self.cut_behind(active, tail)?;
        }
        Ok(())
    }

    fn undo(&self, active: &Segment, tail: &Tail) -> Result<()> {
        self.cut_behind(active, tail)?;
        active.index.truncate(tail.index_entries)?;
        active.times.truncate(tail.time_entries)?;
        self.sync_cut(active)
    }

    /// Makes the end of what was cut survive a crash. Else the bytes could come back, in the place
    /// of a batch that somebody has read, and what was appended behind that one with them.
    pub(crate) fn sync_cut(&self, active: &Segment) -> Result<()> {
        if planted("no-cut-sync") { Ok(()) } else { self.sync_segment(active) }
    }

    /// Keeps what the log says of producers. If it is damaged it is left to who opens it next, who
    /// begins with an older snapshot and comes to the damage too.
    fn save_producers(&self, tail: &Tail) -> Result<()> {
        match self.producers(tail) {
            Ok(producers) => producers.save(&*self.shared.env.storage, &self.dir, tail.end_offset),
            Err(error @ Error::CorruptRecord { .. }) => {
                log::warn!("{} has no snapshot of its producers: {error}", self.id);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// What the log up to its end says of producers.
    fn producers(&self, tail: &Tail) -> Result<Producers> {
        if !self.page.has_producers() {
            return Ok(Producers::default());
        }
        let storage = &*self.shared.env.storage;
        let (from, mut producers) = Producers::load(storage, &self.dir, tail.end_offset)?
            .unwrap_or((0, Producers::default()));
        let edition = Edition { newest: tail.segment_base, swaps: self.page.swaps() };
        let bases = self.segments.bases(edition)?;
        let first = bases.partition_point(|base| *base <= from).saturating_sub(1);
        for base in &bases[first..] {
            let segment = self.segments.get(*base, edition)?;
            replay::replay(&segment, from, Self::end_of(&segment, tail)?, &mut producers)?;
        }
        Ok(producers)
    }
}

/// The same records with another codec, for a topic that says which (`compression.type`).
fn recompress(
    batch: &[u8],
    codec: crate::types::Compression,
    level: Option<i32>,
    limit: usize,
) -> std::result::Result<Vec<u8>, crate::Corruption> {
    let decoded = Batch::decode(Bytes::copy_from_slice(batch), limit)?;
    let mut builder = BatchBuilder::new(codec, level);
    let mut headers = Vec::new();
    for record in decoded.records() {
        let record = record?;
        headers.clear();
        headers.extend(record.headers.iter());
        builder.append(record.timestamp, record.key, record.value, &headers);
    }
    builder.finish()
}
