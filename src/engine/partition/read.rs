//! Reading: no lock, and never behind the published end.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use crate::config::directory::MAX_DECOMPRESSED_SETTING;
use crate::engine::partition::Partition;
use crate::engine::partition::seats::{Seat, Seats};
use crate::error::{At, AtPosition, Corruption, Error, Result};
use crate::log::segment::{Segment, TimedOffset};
use crate::log::segments::Edition;
use crate::log::tail::Tail;
use crate::record::BatchInfo;
use crate::types::{IsolationLevel, Timestamp};

/// The most bytes that one read takes, where the first batch is not larger: more would not be
/// faster, and would not stay in the processor's cache.
const STRETCH: usize = 256 * 1024;

/// The largest buffer that is kept for the next read.
const KEPT: usize = 4 * STRETCH;

/// How often a reader without a lock looks again in one call, while others replace segments.
pub(super) const LOOKS_ALONE: u32 = 3;

/// A reader's place in a log.
#[derive(Debug)]
pub struct Cursor {
    offset: i64,
    /// The segment and position where the batch of `offset` begins, once that is known.
    place: Option<(Arc<Segment>, u64)>,
    /// The same of a file that was closed, which begins at that offset.
    left: Option<(i64, u64)>,
    /// Without one the file is closed after each read.
    seat: Option<Seat>,
    /// The edition of the list of segments that the place is from.
    swaps: u64,
    /// The buffer of the last read, used again when nobody looks at it any more.
    buffer: Bytes,
}

impl Cursor {
    /// At the record of `offset`.
    pub fn new(offset: i64) -> Self {
        Self { offset, place: None, left: None, seat: None, swaps: 0, buffer: Bytes::new() }
    }

    /// The offset that is read next.
    pub fn offset(&self) -> i64 {
        self.offset
    }

    /// At `offset` in that edition of the list of segments.
    fn begin(&mut self, offset: i64, swaps: u64) {
        if self.swaps != swaps {
            (self.place, self.left) = (None, None);
        }
        (self.offset, self.swaps) = (offset, swaps);
    }

    /// Closes the file and gives up the buffer, unless few others have theirs.
    fn rest(&mut self, seats: &Seats) {
        self.seat = self.seat.take().or_else(|| seats.take());
        if self.seat.is_none() || self.buffer.len() > KEPT {
            self.buffer = Bytes::new();
        }
        if self.seat.is_none()
            && let Some((segment, position)) = self.place.take()
        {
            self.left = Some((segment.base_offset, position));
        }
    }
}

/// Whole batches, as they lie in the log.
#[derive(Clone, Debug)]
pub struct Chunk {
    /// The batches, one behind the other; empty at the end of the log.
    pub bytes: Bytes,
    /// The file they are from.
    pub path: Arc<Path>,
    /// Where in it they begin.
    pub position: u64,
}

impl Partition {
    /// Reads batches from the one that holds the cursor's offset on: about `max_bytes`, but at
    /// least one if there is one. The cursor moves behind them. An empty chunk: nothing yet.
    ///
    /// The first batch may begin with records before the offset. Only the framing is checked;
    /// checksums are the caller's.
    pub fn read(
        &self,
        cursor: &mut Cursor,
        max_bytes: usize,
        isolation: IsolationLevel,
    ) -> Result<Chunk> {
        self.ready()?;
        let offset = cursor.offset;
        let read = self.steady(|swaps| {
            cursor.begin(offset, swaps);
            self.read_in(cursor, max_bytes, isolation)
        });
        match &read {
            Ok(_) => cursor.rest(&self.shared.seats),
            // It may have been moved by what counts for nothing.
            Err(_) => *cursor = Cursor::new(offset),
        }
        read
    }

    /// Does work that looks at the list of segments; does it again if segments were replaced
    /// meanwhile.
    pub(crate) fn steady<T>(&self, mut work: impl FnMut(u64) -> Result<T>) -> Result<T> {
        let mut looks = 0..LOOKS_ALONE;
        loop {
            let swaps = self.page.swaps();
            if swaps % 2 == 1 {
                // Waits for who is at it; completes it if that one died.
                self.pass()?;
                continue;
            }
            let done = work(swaps);
            if self.looked_again(&done, swaps, &mut looks) {
                continue;
            }
            if self.page.swaps() == swaps {
                return self.unless_deleted(done);
            }
        }
    }

    /// Whether a reader that has a view of its own, in which nobody tells what others replace, has
    /// looked again for what is there, because it came upon that.
    fn looked_again<T>(&self, done: &Result<T>, swaps: u64, looks: &mut Range<u32>) -> bool {
        // What he knows of a file may also lead into the middle of a batch of the new one, or behind
        // its end.
        let is_old_view = matches!(done, Err(Error::Replaced { .. } | Error::CorruptRecord { .. }));
        self.shared.root.is_none()
            && is_old_view
            && looks.next().is_some()
            && self.look_again(swaps).is_ok_and(|looked| looked)
    }

    fn read_in(
        &self,
        cursor: &mut Cursor,
        max_bytes: usize,
        isolation: IsolationLevel,
    ) -> Result<Chunk> {
        let tail = self.page.tail();
        let edition = Edition { newest: tail.segment_base, swaps: cursor.swaps };
        let start = self.page.log_start_offset();
        if cursor.offset < start || cursor.offset > tail.end_offset {
            return Err(self.out_of_range(cursor.offset, start, tail.end_offset));
        }
        let upper = match isolation {
            IsolationLevel::ReadUncommitted => tail.end_offset,
            IsolationLevel::ReadCommitted => tail.last_stable_offset,
        };
        while cursor.offset < upper {
            let goes_on = cursor.place.is_some() || cursor.left.is_some();
            let (segment, position) = self.place(cursor, &tail, edition)?;
            let end = Self::end_of(&segment, &tail)?;
            if position >= end {
                let Some(next) = self.segments.after(segment.base_offset, edition)? else {
                    // The log ends with offsets that nobody has any more.
                    cursor.offset = upper;
                    break;
                };
                cursor.place = Some((next, 0));
                continue;
            }
            let bound = self.bound(&segment, &tail, edition)?;
            let least = if goes_on { cursor.offset } else { segment.base_offset };
            let stretch = Stretch { segment: &segment, position, end, upper, bound, least };
            if let Some(chunk) = stretch.read(cursor, max_bytes)? {
                return Ok(chunk);
            }
            if cursor.offset >= upper {
                break;
            }
        }
        Ok(Chunk { bytes: Bytes::new(), path: Arc::from(self.dir()), position: 0 })
    }

    fn out_of_range(&self, offset: i64, start: i64, end: i64) -> Error {
        Error::OffsetOutOfRange { partition: self.id.clone(), offset, start, end }
    }

    fn place(
        &self,
        cursor: &mut Cursor,
        tail: &Tail,
        edition: Edition,
    ) -> Result<(Arc<Segment>, u64)> {
        if let Some(place) = &cursor.place {
            return Ok(place.clone());
        }
        if let Some((base, position)) = cursor.left.take() {
            let segment = self.segments.get(base, edition)?;
            cursor.place = Some((segment.clone(), position));
            return Ok((segment, position));
        }
        let segment = self.segments.floor(cursor.offset, edition)?;
        let end = Self::end_of(&segment, tail)?;
        let position = segment.find(cursor.offset, end)?;
        cursor.place = Some((segment.clone(), position));
        Ok((segment, position))
    }

    /// One past the last offset that a segment can hold.
    fn bound(&self, segment: &Segment, tail: &Tail, edition: Edition) -> Result<i64> {
        if segment.base_offset >= tail.segment_base {
            return Ok(tail.end_offset);
        }
        self.segments.next_base(segment.base_offset, edition)
    }

    /// Where the part of the segment ends that is published.
    pub(crate) fn end_of(segment: &Segment, tail: &Tail) -> Result<u64> {
        if segment.base_offset == tail.segment_base {
            return Ok(tail.end_position);
        }
        segment.len()
    }

    /// The first record that is not older than `timestamp`; `None` if all are.
    pub fn offset_for_time(&self, timestamp: Timestamp) -> Result<Option<TimedOffset>> {
        self.ready()?;
        self.steady(|swaps| self.offset_for_time_in(timestamp, swaps))
            .map_err(|error| error.limited_by(MAX_DECOMPRESSED_SETTING, None))
    }

    fn offset_for_time_in(&self, timestamp: Timestamp, swaps: u64) -> Result<Option<TimedOffset>> {
        let tail = self.page.tail();
        let edition = Edition { newest: tail.segment_base, swaps };
        let from = self.page.log_start_offset();
        let limit = self.shared.config().max_decompressed_bytes;
        for base in self.segments.bases(edition)? {
            let segment = self.segments.get(base, edition)?;
            let end = Self::end_of(&segment, &tail)?;
            if Self::is_older_than(timestamp, &segment, &tail, end)? {
                continue;
            }
            let found = segment.find_time(timestamp, from, end, limit)?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    fn is_older_than(
        timestamp: Timestamp,
        segment: &Segment,
        tail: &Tail,
        end: u64,
    ) -> Result<bool> {
        if segment.base_offset == tail.segment_base {
            return Ok(tail.max_timestamp < timestamp);
        }
        segment.is_older_than(timestamp, end)
    }
}

/// A part of a segment to be read.
struct Stretch<'a> {
    segment: &'a Segment,
    position: u64,
    end: u64,
    /// Batches from this offset on are not for the reader.
    upper: i64,
    /// No offset of the segment reaches this one.
    bound: i64,
    /// No offset from the position on is below this one.
    least: i64,
}

impl Stretch<'_> {
    /// `None` if there is no batch for the reader in it: the cursor then stands behind it, or at
    /// the upper offset.
    fn read(&self, cursor: &mut Cursor, max_bytes: usize) -> Result<Option<Chunk>> {
        let mut size = max_bytes.clamp(BatchInfo::MAX_PREFIX, STRETCH);
        loop {
            let bytes = self.fill(cursor, size)?;
            let framed = self.frame(&bytes, cursor.offset)?;
            match framed {
                Framed::Need(whole) => size = whole,
                Framed::Batches { from, to, next } => {
                    let position = self.position + from as u64;
                    self.advance(cursor, to, next);
                    let chunk = bytes.slice(from..to);
                    cursor.buffer = bytes;
                    if chunk.is_empty() {
                        return Ok(None);
                    }
                    let path = self.segment.path.clone();
                    return Ok(Some(Chunk { bytes: chunk, path, position }));
                }
            }
        }
    }

    fn advance(&self, cursor: &mut Cursor, consumed: usize, next: i64) {
        let position = self.position + consumed as u64;
        if let Some((_, place)) = &mut cursor.place {
            *place = position;
        }
        cursor.offset = next;
    }

    /// A header may claim more than there is memory for.
    fn buffer(&self, size: usize) -> Result<BytesMut> {
        let mut buffer = Vec::new();
        let reserved = buffer.try_reserve_exact(size).map_err(std::io::Error::from);
        reserved.at("read", &self.segment.path)?;
        Ok(BytesMut::from(Bytes::from(buffer)))
    }

    fn fill(&self, cursor: &mut Cursor, size: usize) -> Result<Bytes> {
        let left = usize::try_from(self.end - self.position).unwrap_or(usize::MAX);
        let size = size.min(left);
        let buffer = std::mem::take(&mut cursor.buffer).try_into_mut();
        let mut buffer = match buffer.ok().filter(|buffer| buffer.capacity() >= size) {
            Some(buffer) => buffer,
            None => self.buffer(size)?,
        };
        buffer.resize(size, 0);
        let read =
            self.segment.log.read_at(self.position, &mut buffer).at("read", &self.segment.path)?;
        if read < size {
            return Err(Error::Replaced {
                path: self.segment.path.to_path_buf(),
                what: "the file is shorter than it was",
            });
        }
        Ok(buffer.freeze())
    }

    /// Which of the bytes are whole batches for a reader at `offset`.
    fn frame(&self, bytes: &[u8], offset: i64) -> Result<Framed> {
        let left = self.end - self.position;
        let (mut from, mut to, mut next, mut least) = (0, 0, offset, self.least);
        while to < bytes.len() {
            let rest = &bytes[to..];
            let at_end = left == bytes.len() as u64;
            if rest.len() < BatchInfo::MAX_PREFIX && !at_end {
                break;
            }
            let info = BatchInfo::parse(rest)
                .at_position(&self.segment.path, self.position + to as u64)?;
            if info.size as u64 > left - to as u64 {
                let what = Corruption::Truncated { have: rest.len(), need: info.size };
                return Err(what).at_position(&self.segment.path, self.position + to as u64);
            }
            // The checksum does not cover the offset.
            let first = if info.magic == 2 { info.base_offset } else { info.last_offset };
            if first < least || info.last_offset >= self.bound {
                let what = Corruption::Offset { expected: least, found: info.base_offset };
                return Err(what).at_position(&self.segment.path, self.position + to as u64);
            }
            if info.magic == 2 && info.base_offset >= self.upper {
                next = next.max(self.upper);
                break;
            }
            if info.size > rest.len() {
                break;
            }
            to += info.size;
            least = info.next_offset();
            if info.last_offset < offset {
                from = to;
            }
            next = next.max(info.next_offset());
        }
        Ok(self.framed(bytes, from, to, next))
    }

    fn framed(&self, bytes: &[u8], from: usize, to: usize, next: i64) -> Framed {
        let stopped = next >= self.upper;
        if to > 0 || stopped {
            return Framed::Batches { from, to, next };
        }
        let whole = BatchInfo::parse(bytes).map_or(BatchInfo::MAX_PREFIX, |info| info.size);
        Framed::Need(whole)
    }
}

enum Framed {
    /// Batches `from..to` of the bytes; the offset behind them.
    Batches { from: usize, to: usize, next: i64 },
    /// The first batch has this many bytes, more than were read.
    Need(usize),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_readers_and_large_batches_keep_no_memory() {
        let seats = Seats::default();
        let rested = |size: usize| {
            let mut cursor = Cursor::new(0);
            cursor.buffer = Bytes::from(vec![0; size]);
            cursor.rest(&seats);
            cursor
        };

        assert_eq!(rested(KEPT).buffer.len(), KEPT);
        assert_eq!(rested(KEPT + 1).buffer.len(), 0);
        let _others: Vec<_> = std::iter::from_fn(|| seats.take()).collect();
        assert_eq!(rested(1).buffer.len(), 0);
    }
}
