//! The batches of a sealed segment, all of which must be whole, and in their places: their checksums
//! do not cover their offsets.

use bytes::Bytes;

use crate::error::{AtPosition, Corruption, Result};
use crate::log::scan::{Check, Found, Scan};
use crate::log::segment::Segment;
use crate::record::BatchInfo;

/// A walk over them.
pub(crate) struct Batches<'a> {
    segment: &'a Segment,
    scan: Scan<'a>,
    /// The least offset that may come next.
    due: i64,
    /// No offset of the segment reaches this one.
    bound: i64,
}

impl<'a> Batches<'a> {
    /// All of them; the next segment begins at `bound`.
    pub(crate) fn of(segment: &'a Segment, bound: i64, check: Check) -> Result<Self> {
        Self::from(segment, segment.base_offset, bound, check)
    }

    /// From the one that holds `offset` on.
    pub(crate) fn from(
        segment: &'a Segment,
        offset: i64,
        bound: i64,
        check: Check,
    ) -> Result<Self> {
        let (end, due) = (segment.len()?, segment.base_offset);
        let from = if offset <= due { 0 } else { segment.find(offset, end)? };
        let scan = Scan::new(&*segment.log, &segment.path, from, end, check);
        Ok(Self { segment, scan, due, bound })
    }

    /// The next batch and where it begins.
    pub(crate) fn next(&mut self) -> Result<Option<(BatchInfo, u64)>> {
        let position = self.scan.position();
        let info = match self.scan.next()? {
            Found::Batch(info) => self.in_place(info),
            Found::End => return Ok(None),
            Found::Bad(what) => Err(what),
        };
        let info = info.at_position(&self.segment.path, position)?;
        self.due = info.next_offset();
        Ok(Some((info, position)))
    }

    fn in_place(&self, info: BatchInfo) -> Result<BatchInfo, Corruption> {
        let first = if info.magic == 2 { info.base_offset } else { info.last_offset };
        if (self.due..self.bound).contains(&first) && info.last_offset < self.bound {
            return Ok(info);
        }
        Err(Corruption::Offset { expected: self.due, found: info.base_offset })
    }

    /// The bytes of the batch that [`next`](Self::next) gave last.
    pub(crate) fn bytes(&mut self, info: &BatchInfo) -> Result<Bytes> {
        Ok(Bytes::copy_from_slice(self.scan.last(info.size)?))
    }
}
