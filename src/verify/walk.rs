//! The walk over one segment's log: every byte is looked at, and behind damage the next batch is
//! looked for, so that nothing hides behind it.

use std::path::Path;

use bytes::Bytes;

use crate::env::File;
use crate::error::{At, Corruption, Result};
use crate::log::recovery::gaps::Gap;
use crate::log::scan::{Check, Found, Scan};
use crate::record::{self, Batch, BatchInfo};
use crate::verify::fix::Run;

/// The bytes of a log to walk over, and what is known of its place.
pub(crate) struct Walk<'a> {
    pub(crate) file: &'a dyn File,
    pub(crate) path: &'a Path,
    /// Where to stop.
    pub(crate) end: u64,
    pub(crate) base: i64,
    /// Where the next segment begins; `None` for the last.
    pub(crate) bound: Option<i64>,
    /// Whether each batch must follow the one before.
    pub(crate) dense: bool,
    /// A batch may decompress to so many bytes.
    pub(crate) limit: usize,
}

/// What a walk found.
#[derive(Debug)]
pub(crate) struct Seen {
    /// One past the last good offset.
    pub(crate) end_offset: i64,
    pub(crate) damage: Vec<Damage>,
    /// Good batches without damage in between.
    pub(crate) runs: Vec<Run>,
    /// Offsets that are left out within a run, or before the first.
    pub(crate) gaps: Vec<Gap>,
}

/// Bytes that are no batch of this place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Damage {
    pub(crate) position: u64,
    /// Where the next good batch begins, or the end.
    pub(crate) to: u64,
    pub(crate) what: Corruption,
    /// The offset that is due there, and the one that comes next.
    pub(crate) due: i64,
    pub(crate) next: Option<i64>,
    /// Whether all its bytes are zero.
    pub(crate) zeros: bool,
}

/// A good batch. Its records are not there if they are too large to be looked at.
pub(crate) struct Step<'a> {
    pub(crate) position: u64,
    pub(crate) info: &'a BatchInfo,
    pub(crate) batch: Option<&'a Batch>,
}

/// How far ahead an offset may lie that is believed behind damage.
const FARTHEST: i64 = 1 << 31;

impl<'a> Walk<'a> {
    /// Walks to the end; `visit` is given every good batch.
    pub(crate) fn run(&self, mut visit: impl FnMut(&Step<'_>) -> Result<()>) -> Result<Seen> {
        let mut seen =
            Seen { end_offset: self.base, damage: Vec::new(), runs: Vec::new(), gaps: Vec::new() };
        let mut scan = self.scan(0);
        let mut begins = true;
        loop {
            let position = scan.position();
            let what = match scan.next()? {
                Found::End => return Ok(seen),
                Found::Bad(what) => what,
                Found::Batch(info) => match self.good(&mut scan, &info, &seen, begins)? {
                    Ok(batch) => {
                        seen.take(position, &info, batch.as_ref(), begins);
                        begins = false;
                        visit(&Step { position, info: &info, batch: batch.as_ref() })?;
                        continue;
                    }
                    Err(what) => what,
                },
            };
            let next = self.next_good(position, seen.end_offset)?;
            let to = next.unwrap_or(self.end);
            seen.damage.push(self.damage(position, to, what, seen.end_offset)?);
            if to == self.end {
                return Ok(seen);
            }
            scan = self.scan(to);
            begins = true;
        }
    }

    fn scan(&self, position: u64) -> Scan<'a> {
        Scan::new(self.file, self.path, position, self.end, Check::Checksums)
    }

    /// The batch, if all about it is right. The checksum covers neither offset nor length.
    fn good(
        &self,
        scan: &mut Scan<'_>,
        info: &BatchInfo,
        seen: &Seen,
        begins: bool,
    ) -> Result<Result<Option<Batch>, Corruption>> {
        let due = seen.end_offset;
        let first = seen.runs.is_empty() && seen.damage.is_empty();
        let dense = self.dense && info.magic == 2 && (first || !begins);
        if info.last_offset < due || (info.magic == 2 && info.base_offset < due) {
            return Ok(Err(Corruption::Offset { expected: due, found: info.base_offset }));
        }
        if dense && info.base_offset != due {
            return Ok(Err(Corruption::Offset { expected: due, found: info.base_offset }));
        }
        if self.bound.is_some_and(|bound| info.last_offset >= bound) {
            return Ok(Err(Corruption::Offset { expected: due, found: info.last_offset }));
        }
        if info.magic == 2
            && info.base_offset > due
            && self.is_denied(scan.position(), due, info)?
        {
            return Ok(Err(Corruption::Offset { expected: due, found: info.base_offset }));
        }
        let bytes = Bytes::copy_from_slice(scan.last(info.size)?);
        Ok(decode(bytes, self.limit))
    }

    /// Whether the batch behind one that leaves offsets out says that it does not.
    fn is_denied(&self, position: u64, due: i64, info: &BatchInfo) -> Result<bool> {
        let next = self.header(position)?;
        Ok(next.is_some_and(|next| {
            next.magic == 2 && (due..=info.last_offset).contains(&next.base_offset)
        }))
    }

    fn header(&self, position: u64) -> Result<Option<BatchInfo>> {
        let left = usize::try_from(self.end.saturating_sub(position)).unwrap_or(usize::MAX);
        let mut bytes = [0; BatchInfo::MAX_PREFIX];
        let wanted = left.min(bytes.len());
        let read = self.file.read_at(position, &mut bytes[..wanted]).at("read", self.path)?;
        let info = BatchInfo::parse(&bytes[..read]).ok();
        Ok(info.filter(|info| info.size <= left))
    }

    /// Where the next batch begins behind damage at `position`: where that says it ends, or else
    /// at the first place where one stands.
    pub(crate) fn next_good(&self, position: u64, due: i64) -> Result<Option<u64>> {
        if let Some(claimed) = self.header(position)? {
            let behind = position + claimed.size as u64;
            if behind == self.end {
                return Ok(None);
            }
            if self.stands_at(behind, due)? {
                return Ok(Some(behind));
            }
        }
        self.search(position + 1, due)
    }

    fn search(&self, from: u64, due: i64) -> Result<Option<u64>> {
        const WINDOW: usize = 1 << 20;
        let mut window = vec![0; WINDOW];
        let mut at = from;
        while at < self.end {
            let wanted = usize::try_from(self.end - at).unwrap_or(WINDOW).min(WINDOW);
            let read = self.file.read_at(at, &mut window[..wanted]).at("read", self.path)?;
            if read < BatchInfo::MAX_PREFIX && at + (read as u64) < self.end || read == 0 {
                return Ok(None);
            }
            // A header that reaches over the window's end is looked at in the next one.
            let last = at + read as u64 >= self.end;
            let places = if last { read } else { read - BatchInfo::MAX_PREFIX };
            for place in 0..places {
                if self.may_stand(&window[place..read], due)
                    && self.stands_at(at + place as u64, due)?
                {
                    return Ok(Some(at + place as u64));
                }
            }
            at += places as u64;
        }
        Ok(None)
    }

    fn may_stand(&self, bytes: &[u8], due: i64) -> bool {
        bytes.get(16).is_some_and(|magic| *magic <= 2)
            && BatchInfo::parse(bytes).is_ok_and(|info| self.is_near(&info, due))
    }

    fn is_near(&self, info: &BatchInfo, due: i64) -> bool {
        let end = self.bound.unwrap_or(due.saturating_add(FARTHEST));
        info.base_offset >= due && info.last_offset < end
    }

    fn stands_at(&self, position: u64, due: i64) -> Result<bool> {
        let Some(info) = self.header(position)? else { return Ok(false) };
        if !self.is_near(&info, due) {
            return Ok(false);
        }
        let mut bytes = vec![0; info.size];
        let read = self.file.read_at(position, &mut bytes).at("read", self.path)?;
        bytes.truncate(read);
        Ok(record::verify(&bytes).is_ok() && decode(bytes.into(), self.limit).is_ok())
    }

    fn damage(&self, position: u64, to: u64, what: Corruption, due: i64) -> Result<Damage> {
        let next = if to < self.end { self.first_offset(to)? } else { None };
        let zeros = self.are_zeros(position, to)?;
        Ok(Damage { position, to, what, due, next, zeros })
    }

    fn first_offset(&self, position: u64) -> Result<Option<i64>> {
        let mut scan = self.scan(position);
        let Found::Batch(info) = scan.next()? else { return Ok(None) };
        let bytes = Bytes::copy_from_slice(scan.last(info.size)?);
        let batch = decode(bytes, self.limit).ok().flatten();
        Ok(Some(first_offset(&info, batch.as_ref())))
    }

    fn are_zeros(&self, from: u64, to: u64) -> Result<bool> {
        let mut bytes = vec![0; 64 * 1024];
        let mut at = from;
        while at < to {
            let wanted = usize::try_from(to - at).unwrap_or(bytes.len()).min(bytes.len());
            let read = self.file.read_at(at, &mut bytes[..wanted]).at("read", self.path)?;
            if read == 0 || bytes[..read].iter().any(|byte| *byte != 0) {
                return Ok(false);
            }
            at += read as u64;
        }
        Ok(true)
    }
}

impl Seen {
    fn take(&mut self, position: u64, info: &BatchInfo, batch: Option<&Batch>, begins: bool) {
        let first = first_offset(info, batch);
        let to = position + info.size as u64;
        let is_due = !begins || (self.runs.is_empty() && self.damage.is_empty());
        if is_due && first > self.end_offset {
            self.gaps.push((self.end_offset, first));
        }
        match self.runs.last_mut().filter(|_| !begins) {
            Some(run) => {
                (run.to, run.end_offset) = (to, info.next_offset());
            }
            None => self.runs.push(Run {
                from: position,
                to,
                first_offset: first,
                end_offset: info.next_offset(),
            }),
        }
        self.end_offset = info.next_offset();
    }

    /// The good batches from the first damage on.
    pub(crate) fn behind_damage(&self) -> Vec<Run> {
        let Some(first) = self.damage.first() else { return Vec::new() };
        self.runs.iter().filter(|run| run.from > first.position).copied().collect()
    }
}

/// Of a compressed set of magic 0 or 1 the header has only the last offset.
fn first_offset(info: &BatchInfo, batch: Option<&Batch>) -> i64 {
    let legacy = batch.filter(|_| info.magic < 2);
    let first = legacy.and_then(|batch| batch.records().next()?.ok());
    first.map_or(info.base_offset, |record| record.offset)
}

/// The batch with every record read once; `None` if it is too large to look into.
fn decode(bytes: Bytes, limit: usize) -> Result<Option<Batch>, Corruption> {
    let batch = match Batch::decode(bytes, limit) {
        Err(Corruption::TooLarge { .. }) => return Ok(None),
        decoded => decoded?,
    };
    batch.records().try_for_each(|record| record.map(drop))?;
    Ok(Some(batch))
}
