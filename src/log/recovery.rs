//! Finds out where a log ends when no running process knows (Kafka's `LogLoader`).
//!
//! What may be trusted depends on what has happened, see [`Trust`]. Bytes below the recovery point
//! are never cut: if they are bad, the disk lost them, and that is an error.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use crate::config::TopicConfig;
use crate::env::Storage;
use crate::env::point::point;
use crate::error::{At, AtPosition, Corruption, Error, Result};
use crate::log::aborted::{self, AbortedTransaction};
use crate::log::checkpoint::LeaderEpochs;
use crate::log::files;
use crate::log::producers::Producers;
use crate::log::scan::{Check, Found, Scan};
use crate::log::segment::Segment;
use crate::log::swap;
use crate::log::tail::Tail;
use crate::planted::planted;
use crate::record::control::{ControlType, EndTransactionMarker};
use crate::record::{Batch, BatchInfo};

/// A control batch decompresses to no more than this.
const CONTROL_LIMIT: usize = 1 << 20;

/// What happened since the log was last known to be whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub(crate) enum Trust {
    /// The last process out closed the directory.
    Clean = 0,
    /// All processes died, the machine did not: every completed write is there.
    Process = 1,
    /// The machine crashed, or nobody knows: only what was synced is there for sure.
    Machine = 2,
}

/// The log to recover.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Site<'a> {
    pub(crate) storage: &'a Arc<dyn Storage>,
    pub(crate) dir: &'a Path,
    pub(crate) config: &'a TopicConfig,
    /// Whether files may be changed. If not, the log is taken to end where it is bad.
    pub(crate) writable: bool,
    /// Whether the log was there before the directory was opened.
    pub(crate) found: bool,
    /// From `log-start-offset-checkpoint`.
    pub(crate) log_start_offset: i64,
    /// Everything below it was synced once.
    pub(crate) synced: i64,
    /// What is bad below it is an error, and never cut.
    pub(crate) recovery_point: i64,
}

/// What recovery found.
#[derive(Debug)]
pub(crate) struct Recovered {
    pub(crate) tail: Tail,
    pub(crate) log_start_offset: i64,
    pub(crate) leader_epoch: i32,
    /// Everything below it is on the disk.
    pub(crate) synced_offset: i64,
    /// Whether the names of its files survive a crash.
    pub(crate) names_synced: bool,
    /// Where the oldest open transaction begins.
    pub(crate) first_unstable_offset: Option<i64>,
    /// Whether idempotent or transactional producers have written to it.
    pub(crate) has_producers: bool,
    pub(crate) aborted: Vec<AbortedTransaction>,
}

/// Recovers a log. After `Ok` the files hold exactly the log that is described; after `Err` no
/// byte below the recovery point was changed, and recovery can be tried again.
pub(crate) fn recover(site: &Site<'_>, trust: Trust) -> Result<Recovered> {
    if site.writable {
        swap::settle(site.storage, site.dir)?;
    }
    point("recovery.settled");
    let mut bases = files::offsets(&**site.storage, site.dir, files::LOG)?;
    if bases.is_empty() {
        check_end(site, site.log_start_offset)?;
        return create(site, trust);
    }
    let suspect = first_suspect(site, &bases, trust)?;
    let mut tail = Tail::empty(bases[suspect]);
    for at in suspect..bases.len() {
        if bases[at] < tail.end_offset {
            quarantine(site, &bases[at..])?;
            bases.truncate(at);
            break;
        }
        let bound = next_with_batches(site, &bases[at + 1..])?;
        let is_last = at + 1 == bases.len();
        let mut walk = Walk::new(site, bases[at], trust, tail.end_offset, bound, is_last)?;
        let bad = walk.run()?;
        point("recovery.walked");
        tail = walk.tail;
        if let Some(what) = bad {
            walk.check_cut(what)?;
            // The bad bytes go last: who dies before that leaves the reason to the next.
            quarantine(site, &bases[at + 1..])?;
            walk.cut()?;
            point("recovery.cut");
            bases.truncate(at + 1);
            break;
        }
    }
    check_end(site, tail.end_offset)?;
    finish(site, trust, &bases, suspect, tail)
}

/// What was synced must be there. A reader that changes nothing may look at what is left.
fn check_end(site: &Site<'_>, end: i64) -> Result<()> {
    if end >= site.synced {
        return Ok(());
    }
    let missing = Error::RecordsMissing { path: site.dir.to_owned(), end, known: site.synced };
    if site.writable {
        return Err(missing);
    }
    log::warn!("{missing}");
    Ok(())
}

/// A log without files begins where its start says, with one empty segment.
fn create(site: &Site<'_>, trust: Trust) -> Result<Recovered> {
    let base = site.log_start_offset;
    // A crash may have taken all of a log that somebody has read.
    let crashed = trust == Trust::Machine && site.found;
    let leader_epoch = if crashed { next_epoch(site)? } else { 0 };
    if site.writable {
        let mut epochs = LeaderEpochs::default();
        epochs.begin(leader_epoch, base);
        if crashed {
            epochs.write(&**site.storage, site.dir)?;
        } else {
            epochs.write_first(&**site.storage, site.dir)?;
        }
        point("recovery.begun");
        Segment::create(site.storage, site.dir, base)?;
    }
    Ok(Recovered {
        tail: Tail::empty(base),
        log_start_offset: base,
        leader_epoch,
        synced_offset: base,
        names_synced: false,
        first_unstable_offset: None,
        has_producers: false,
        aborted: Vec::new(),
    })
}

/// The leader epoch after a crash.
fn next_epoch(site: &Site<'_>) -> Result<i32> {
    let latest = LeaderEpochs::read(&**site.storage, site.dir)?.latest();
    Ok(latest.unwrap_or(0) + 1)
}

/// The first segment that must be walked: the active one, or after a crash of the machine the one
/// that holds the recovery point. An empty segment proves nothing, so the one before it is walked.
fn first_suspect(site: &Site<'_>, bases: &[i64], trust: Trust) -> Result<usize> {
    let last = bases.len() - 1;
    if trust == Trust::Machine {
        let below = bases.partition_point(|base| *base <= site.recovery_point);
        return Ok(below.saturating_sub(1));
    }
    let active = Segment::open(site.storage, site.dir, bases[last], false)?;
    Ok(if active.is_empty()? { last.saturating_sub(1) } else { last })
}

/// Where the next segment begins that is not empty.
fn next_with_batches(site: &Site<'_>, bases: &[i64]) -> Result<Option<i64>> {
    for base in bases {
        if !Segment::open(site.storage, site.dir, *base, false)?.is_empty()? {
            return Ok(Some(*base));
        }
    }
    Ok(None)
}

/// Segments behind a cut are kept under another name: nobody can say where they belong.
fn quarantine(site: &Site<'_>, bases: &[i64]) -> Result<()> {
    if !site.writable || bases.is_empty() {
        return Ok(());
    }
    for base in bases {
        for suffix in [files::INDEX, files::TIME_INDEX, files::TXN_INDEX] {
            files::remove(&**site.storage, &files::path(site.dir, *base, suffix))?;
        }
        let from = files::path(site.dir, *base, files::LOG);
        let to = files::free_quarantine(&**site.storage, &from)?;
        log::warn!("{} lies behind a damaged segment: it is now {}", from.display(), to.display());
        site.storage.rename(&from, &to).at("rename", &from)?;
        point("recovery.quarantined");
    }
    site.storage.sync_dir(site.dir).at("sync", site.dir)
}

fn finish(
    site: &Site<'_>,
    trust: Trust,
    bases: &[i64],
    suspect: usize,
    mut tail: Tail,
) -> Result<Recovered> {
    let transactions = Transactions::replay(site, bases, suspect, trust, &tail)?;
    point("recovery.replayed");
    tail.last_stable_offset = transactions.first_unstable_offset.unwrap_or(tail.end_offset);
    let mut epochs = LeaderEpochs::read(&**site.storage, site.dir)?;
    let mut leader_epoch = epochs.latest().unwrap_or(0);
    let mut synced_offset = tail.segment_base;
    if site.writable {
        metadata_survives(site, trust, &bases[suspect..])?;
        point("recovery.synced");
        if epochs.latest().is_none() {
            epochs.begin(0, bases[0]);
            epochs.write(&**site.storage, site.dir)?;
        }
        if trust == Trust::Machine && !planted("no-epoch-step") {
            leader_epoch = leader_epoch.saturating_add(1);
            epochs.begin(leader_epoch, tail.end_offset);
            epochs.write(&**site.storage, site.dir)?;
            point("recovery.epochs");
        }
        if trust != Trust::Process {
            synced_offset = tail.end_offset;
        }
    }
    Ok(Recovered {
        tail,
        log_start_offset: site.log_start_offset.max(bases[0]).min(tail.end_offset),
        leader_epoch,
        synced_offset,
        // A new log may have been closed, or its processes killed, before anybody synced it.
        names_synced: trust == Trust::Machine,
        first_unstable_offset: transactions.first_unstable_offset,
        has_producers: transactions.has_producers,
        aborted: transactions.aborted,
    })
}

/// After a crash of the machine what was found must be on the disk before it is shown.
fn metadata_survives(site: &Site<'_>, trust: Trust, bases: &[i64]) -> Result<()> {
    if trust != Trust::Machine {
        return Ok(());
    }
    for base in bases {
        let segment = Segment::open(site.storage, site.dir, *base, true)?;
        segment.log.sync_data().at("sync", &segment.path)?;
    }
    site.storage.sync_dir(site.dir).at("sync", site.dir)
}

/// The walk over one segment, from a place that can be trusted to its end.
struct Walk<'a> {
    site: &'a Site<'a>,
    segment: Segment,
    tail: Tail,
    /// The least offset that may come next.
    due: i64,
    /// Where the next segment begins that is not empty.
    bound: Option<i64>,
    /// Whether it was the active one: compaction has never taken batches out of it.
    is_last: bool,
    check: Check,
}

impl<'a> Walk<'a> {
    fn new(
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
        let tail = match trust {
            Trust::Machine => Tail::empty(base),
            Trust::Clean | Trust::Process => last_indexed(&segment)?,
        };
        let due = due.max(tail.end_offset);
        Ok(Self { site, segment, tail, due, bound, is_last, check: Check::Checksums })
    }

    /// Walks to the end; gives what is bad there, if that is not the end of the file.
    fn run(&mut self) -> Result<Option<Corruption>> {
        if self.site.writable {
            self.segment.index.truncate(self.tail.index_entries)?;
        }
        let len = self.segment.len()?;
        let log = self.segment.log.clone();
        let path = self.segment.path.clone();
        let mut scan = Scan::new(&*log, &path, self.tail.end_position, len, self.check);
        loop {
            let bad = match scan.next()? {
                Found::Batch(info) if self.fits(&info) => {
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
        let (times, number) = (&self.segment.times, self.tail.time_entries);
        let is_there = times.entries()? > number;
        Ok(is_there && times.moment(number)? == self.segment.moment_of(&self.tail))
    }

    /// Whether a batch may stand here; its checksum does not cover its offset. Compaction takes
    /// batches out of every segment but the active one, where each follows the one before.
    fn fits(&self, info: &BatchInfo) -> bool {
        let follows = match self.is_last {
            _ if info.magic < 2 => info.last_offset >= self.due,
            true => info.base_offset == self.due,
            false => info.base_offset >= self.due,
        };
        let near = info.last_offset.saturating_sub(self.segment.base_offset);
        follows
            && near <= i64::from(i32::MAX)
            && self.bound.is_none_or(|bound| info.last_offset < bound)
    }

    fn take(&mut self, info: &BatchInfo) -> Result<()> {
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
    fn check_cut(&self, what: Corruption) -> Result<()> {
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

    fn cut(&self) -> Result<()> {
        if !self.site.writable {
            return Ok(());
        }
        self.segment.cut(self.tail.end_position)?;
        // Else a crash could bring it back, in the place of what comes next.
        self.segment.log.sync_data().at("sync", &self.segment.path)
    }
}

/// The tail at the last index entry that fits the log; the beginning of the segment if none does.
fn last_indexed(segment: &Segment) -> Result<Tail> {
    let start = Tail::empty(segment.base_offset);
    let entries = segment.index.entries()?;
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

/// What the log says of transactions, from the newest snapshot on.
struct Transactions {
    first_unstable_offset: Option<i64>,
    has_producers: bool,
    aborted: Vec<AbortedTransaction>,
}

impl Transactions {
    fn replay(
        site: &Site<'_>,
        bases: &[i64],
        suspect: usize,
        trust: Trust,
        tail: &Tail,
    ) -> Result<Self> {
        let rebuilt = if trust == Trust::Machine { &bases[suspect..] } else { &[] };
        let known = rebuilt.first().copied().unwrap_or(tail.end_offset);
        let (from, mut producers) = Producers::load(&**site.storage, site.dir, known)?
            .unwrap_or((bases[0], Producers::default()));
        let mut aborted = Vec::new();
        let first = bases.partition_point(|base| *base <= from).saturating_sub(1);
        for base in &bases[first..] {
            let mut of_segment = Vec::new();
            replay_segment(site, *base, from, tail, &mut producers, &mut of_segment)?;
            if site.writable && rebuilt.contains(base) {
                aborted::write(&**site.storage, site.dir, *base, &of_segment)?;
            }
            aborted.append(&mut of_segment);
        }
        for base in bases {
            for entry in aborted::read(&**site.storage, site.dir, *base)? {
                if entry.last_offset < tail.end_offset && !aborted.contains(&entry) {
                    aborted.push(entry);
                }
            }
        }
        aborted.sort_unstable_by_key(|entry| entry.last_offset);
        if site.writable && from < tail.segment_base {
            producers_at(site, &producers, tail)?;
        }
        Ok(Self {
            first_unstable_offset: producers.first_unstable_offset(),
            has_producers: !producers.is_empty(),
            aborted,
        })
    }
}

/// A snapshot of the end spares the next recovery this replay.
fn producers_at(site: &Site<'_>, producers: &Producers, tail: &Tail) -> Result<()> {
    producers.save(&**site.storage, site.dir, tail.end_offset)
}

fn replay_segment(
    site: &Site<'_>,
    base: i64,
    from: i64,
    tail: &Tail,
    producers: &mut Producers,
    aborted: &mut Vec<AbortedTransaction>,
) -> Result<()> {
    let segment = Segment::open(site.storage, site.dir, base, false)?;
    let end = if base == tail.segment_base { tail.end_position } else { segment.len()? };
    let start = segment.find(from, end)?;
    let mut scan = Scan::new(&*segment.log, &segment.path, start, end, Check::Headers);
    loop {
        let position = scan.position();
        let info = match scan.next()? {
            Found::Batch(info) => info,
            Found::End => return Ok(()),
            Found::Bad(what) => return Err(what).at_position(&segment.path, position),
        };
        let mut ends = None;
        if info.is_control {
            let bytes = Bytes::copy_from_slice(scan.last(info.size)?);
            ends = marker(bytes).at_position(&segment.path, position)?;
        }
        if info.is_control && ends.is_none() {
            continue;
        }
        aborted.extend(producers.replay(&info, ends));
    }
}

/// What a control batch says of a transaction, if it does.
fn marker(batch: Bytes) -> Result<Option<EndTransactionMarker>, Corruption> {
    let batch = Batch::decode(batch, CONTROL_LIMIT)?;
    let Some(record) = batch.records().next().transpose()? else { return Ok(None) };
    let (key, value) = (record.key.unwrap_or_default(), record.value.unwrap_or_default());
    match ControlType::parse(key)? {
        ControlType::Abort | ControlType::Commit => {
            EndTransactionMarker::parse(key, value).map(Some)
        }
        _ => Ok(None),
    }
}
