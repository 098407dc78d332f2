//! The walk over a segment that need not be whole.

use std::path::Path;

use crate::env::point::point;
use crate::error::{At, AtPosition, Corruption, Result};
use crate::log::aside::Part;
use crate::log::recovery::{Site, Trust};
use crate::log::scan::{Check, Found, Scan};
use crate::log::segment::Segment;
use crate::log::tail::Tail;
use crate::planted::planted;
use crate::record::BatchInfo;

/// The walk over one segment, from a place that can be trusted to its end.
pub(crate) struct Walk<'a> {
    site: &'a Site<'a>,
    segment: Segment,
    pub(crate) tail: Tail,
    /// Bytes in the offset index, as it was found.
    index_len: u64,
    /// The least offset that may come next.
    due: i64,
    /// Where the next segment begins that is not empty.
    bound: Option<i64>,
    /// Whether it was the active one: our compaction has never taken batches out of it.
    is_last: bool,
    check: Check,
    /// Whether it began at the front and has come to no batch of an idempotent or transactional
    /// producer, nor to a control batch.
    plain: bool,
}

impl<'a> Walk<'a> {
    pub(crate) fn new(
        site: &'a Site<'a>,
        base: i64,
        trust: Trust,
        due: i64,
        bound: Option<i64>,
        is_last: bool,
    ) -> Result<Self> {
        let segment = Segment::open(site.storage, site.dir, base, site.writable)?;
        if trust == Trust::Machine && site.writable {
            // If it is for a failed sync that nothing is trusted, memory shows what was to be there.
            segment.log.forget_cached().at("read", &segment.path)?;
        }
        let index_len = segment.index.len()?;
        let tail = match trust {
            Trust::Machine => Tail::empty(base),
            Trust::Clean | Trust::Process => last_indexed(&segment, index_len)?,
        };
        let due = due.max(tail.end_offset);
        let plain = tail.end_position == 0;
        let check = Check::Checksums;
        Ok(Self { site, segment, tail, index_len, due, bound, is_last, check, plain })
    }

    pub(crate) fn was_plain(&self) -> bool {
        self.plain
    }

    /// Walks to the end; gives what is bad there, if that is not the end of the file.
    pub(crate) fn run(&mut self) -> Result<Option<Corruption>> {
        if self.site.writable {
            self.segment.index.truncate_from(self.index_len, self.tail.index_entries)?;
        }
        let len = self.segment.len()?;
        let log = self.segment.log.clone();
        let path = self.segment.path.clone();
        let mut scan = Scan::new(&*log, &path, self.tail.end_position, len, self.check);
        loop {
            let bad = match scan.next()? {
                Found::Batch(info) if self.fits(&info)? => {
                    self.take(&info)?;
                    continue;
                }
                Found::Batch(info) => {
                    Corruption::Offset { expected: self.due, found: info.base_offset }
                }
                Found::End => return self.ended(None),
                Found::Bad(_) if self.is_room()? => {
                    self.give_room_back()?;
                    return self.ended(None);
                }
                Found::Bad(what) => what,
            };
            return self.ended(Some(bad));
        }
    }

    /// Whether the log may end here and zeros follow: nothing can be missing that was synced, or
    /// that the next segment says was here.
    fn is_room(&self) -> Result<bool> {
        let Tail { end_offset, end_position, .. } = self.tail;
        let whole = self.bound.is_none_or(|bound| bound == end_offset);
        Ok(whole && end_offset >= self.site.synced && self.segment.has_zeros_at(end_position)?)
    }

    fn give_room_back(&self) -> Result<()> {
        if !self.site.writable {
            return Ok(());
        }
        log::debug!("{} ends in zeros", self.segment.path.display());
        self.segment.cut(self.tail.end_position)?;
        point("recovery.trimmed");
        Ok(())
    }

    fn ended(&mut self, bad: Option<Corruption>) -> Result<Option<Corruption>> {
        if self.site.writable {
            self.tail.time_entries += u32::from(self.has_last_moment()?);
            self.segment.times.truncate(self.tail.time_entries)?;
        }
        Ok(bad)
    }

    /// Whether the next entry of the time index is there: who closed the log has noted its youngest
    /// timestamp.
    fn has_last_moment(&self) -> Result<bool> {
        let found = self.segment.times.moment(self.tail.time_entries)?;
        Ok(!found.is_zero() && found == self.segment.moment_of(&self.tail))
    }

    /// Whether a batch may stand here; its checksum does not cover its offset. Compaction takes
    /// batches out of every segment but the active one, where each follows the one before.
    fn fits(&self, info: &BatchInfo) -> Result<bool> {
        let near = info.last_offset.saturating_sub(self.segment.base_offset);
        let follows = match self.is_last {
            _ if info.magic < 2 => info.last_offset >= self.due,
            true if info.base_offset > self.due => self.site.may_have_gaps()?,
            true => info.base_offset == self.due,
            false => info.base_offset >= self.due,
        };
        Ok(follows
            && near <= i64::from(i32::MAX)
            && self.bound.is_none_or(|bound| info.last_offset < bound))
    }

    fn take(&mut self, info: &BatchInfo) -> Result<()> {
        self.plain &= info.producer_id < 0 && !info.is_control;
        let tail = if self.site.writable {
            self.segment.note(&self.tail, info, self.site.config)?
        } else {
            self.tail.after(info)
        };
        self.tail = tail;
        self.due = tail.end_offset;
        Ok(())
    }

    /// Whether the log may end where the walk did.
    pub(crate) fn check_cut(&self, what: Corruption) -> Result<()> {
        let Tail { end_offset, end_position, .. } = self.tail;
        if end_offset < self.site.recovery_point && !planted("cut-known-records") {
            return Err(what).at_position(&self.segment.path, end_position);
        }
        log::warn!(
            "{} ends at position {end_position}, offset {end_offset}: {what}",
            self.segment.path.display()
        );
        Ok(())
    }

    /// Keeps a copy of what is about to be cut where that is no torn write but a whole batch that
    /// stands in the wrong place: how it came there nobody can say.
    pub(crate) fn keep_misplaced(&self, what: Corruption) -> Result<()> {
        if !self.site.writable || !matches!(what, Corruption::Offset { .. }) {
            return Ok(());
        }
        let Segment { log, path, .. } = &self.segment;
        let range = (self.tail.end_position, self.segment.len()?);
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".from-{}", range.0));
        let part = Part { file: &**log, path, range };
        let aside = part.keep(&**self.site.storage, Path::new(&name))?;
        log::warn!("what is cut from {} is kept in {}", path.display(), aside.display());
        Ok(())
    }

    pub(crate) fn cut(&self) -> Result<()> {
        if !self.site.writable {
            return Ok(());
        }
        self.segment.cut(self.tail.end_position)?;
        // Else a crash could bring it back, in the place of what comes next.
        self.segment.log.sync_data().at("sync", &self.segment.path)
    }
}

/// The tail at the last index entry that fits the log; the beginning of the segment if none does.
pub(crate) fn last_indexed(segment: &Segment, index_len: u64) -> Result<Tail> {
    let start = Tail::empty(segment.base_offset);
    let entries = segment.index.entries_of(index_len)?;
    let Some(last) = entries.checked_sub(1) else { return Ok(start) };
    let place = segment.index.place(last)?;
    let position = u64::from(place.position);
    let mut scan =
        Scan::new(&*segment.log, &segment.path, position, segment.len()?, Check::Checksums);
    let Found::Batch(info) = scan.next()? else { return Ok(start) };
    let offset = segment.base_offset + i64::from(place.relative_offset);
    if info.last_offset != offset || (info.magic == 2 && info.base_offset < segment.base_offset) {
        return Ok(start);
    }
    let all = segment.times.entries()?;
    let time_entries = segment.times.count_to(all, place.relative_offset)?;
    let mut tail = Tail {
        // The least offset the batch at the position can have; the walk takes it from there.
        end_offset: if info.magic == 2 { info.base_offset } else { segment.base_offset },
        end_position: position,
        indexed_position: position,
        index_entries: entries,
        time_entries,
        ..start
    };
    // A bad batch in front of the entry is left to who reads it: what is behind it is good.
    if let Ok(youngest) = segment.youngest(time_entries, position) {
        tail.max_timestamp = youngest.timestamp;
        tail.offset_of_max_timestamp = youngest.offset;
    } else if let Some(last) = time_entries.checked_sub(1) {
        let moment = segment.times.moment(last)?;
        tail.max_timestamp = moment.timestamp;
        tail.offset_of_max_timestamp = segment.base_offset + i64::from(moment.relative_offset);
    }
    Ok(tail)
}
