//! Finds out where a log ends when no running process knows (Kafka's `LogLoader`).
//!
//! What may be trusted depends on what has happened, see [`Trust`]. Bytes below the recovery point
//! are never cut: if they are bad, the disk lost them, and that is an error.

pub(crate) mod gaps;
pub(crate) mod names;
mod transactions;
mod walk;

use std::path::Path;
use std::sync::Arc;

use crate::config::TopicConfig;
use crate::env::Storage;
use crate::env::point::point;
use crate::error::{At, Error, Result};
use crate::log::aborted::AbortedTransaction;
use crate::log::checkpoint::{self, LeaderEpochs};
use crate::log::files;
use crate::log::segment::Segment;
use crate::log::swap;
use crate::log::tail::Tail;
use crate::planted::planted;
use gaps::Gap;
use transactions::Transactions;
use walk::Walk;

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

impl Trust {
    /// What a word of shared memory says.
    pub(crate) fn of(word: u64) -> Self {
        match word {
            0 => Self::Clean,
            1 => Self::Process,
            _ => Self::Machine,
        }
    }
}

/// What those say of the log who died in this boot.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Past {
    /// Everything below it was synced; `None` if they do not say so, or were cutting the log.
    pub(crate) synced: Option<i64>,
    /// Whether one may have cut the log who died before that was synced.
    pub(crate) was_cut: bool,
}

/// The log to recover.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Site<'a> {
    pub(crate) storage: &'a Arc<dyn Storage>,
    pub(crate) dir: &'a Path,
    pub(crate) config: &'a TopicConfig,
    /// Whether files may be changed. If not, the log is taken to end where it is bad.
    pub(crate) writable: bool,
    /// Whether the topic's policy is to compact.
    pub(crate) compacted: bool,
    /// Whether the log was there before the directory was opened, or at least listed.
    pub(crate) found: bool,
    /// From `log-start-offset-checkpoint`.
    pub(crate) log_start_offset: i64,
    /// The same, if the partition has a line there.
    pub(crate) noted_start: Option<i64>,
    /// Everything below it was synced once.
    pub(crate) synced: i64,
    pub(crate) past: Past,
    /// What is bad below it is an error, and never cut.
    pub(crate) recovery_point: i64,
}

impl Site<'_> {
    /// Whether batches may be missing in the active segment too: a follower copies what is left of
    /// its leader's sealed ones. What a broker compacts is not said in the directory, but what it
    /// has compacted is.
    fn may_have_gaps(&self) -> Result<bool> {
        if planted("refuse-gaps") {
            return Ok(false);
        }
        if self.compacted {
            return Ok(true);
        }
        let (Some(root), Some(name)) = (self.dir.parent(), self.dir.file_name()) else {
            return Ok(false);
        };
        let path = root.join(checkpoint::CLEANED);
        let cleaned = checkpoint::read_offsets(&**self.storage, &path)?;
        Ok(cleaned.keys().any(|id| *name == *id.to_string()))
    }
}

/// What recovery found.
#[derive(Debug)]
pub(crate) struct Recovered {
    pub(crate) tail: Tail,
    pub(crate) log_start_offset: i64,
    pub(crate) leader_epoch: i32,
    /// Everything below it is on the disk.
    pub(crate) synced_offset: i64,
    /// Where the oldest open transaction begins.
    pub(crate) first_unstable_offset: Option<i64>,
    /// Whether idempotent or transactional producers have written to it.
    pub(crate) has_producers: bool,
    pub(crate) aborted: Vec<AbortedTransaction>,
    /// Offsets between its edges, or before them, that somebody must have removed.
    pub(crate) gaps: Vec<Gap>,
}

/// Recovers a log. After `Ok` the files hold exactly the log that is described; after `Err` no
/// byte below the recovery point was changed, and recovery can be tried again.
pub(crate) fn recover(site: &Site<'_>, trust: Trust) -> Result<Recovered> {
    let list = || site.storage.list(site.dir).at("list", site.dir);
    let mut entries = list()?;
    if site.writable && swap::settle_listed(site.storage, site.dir, &entries)? {
        entries = list()?;
    }
    point("recovery.settled");
    let mut bases = files::offsets_in(&entries, files::LOG);
    if bases.is_empty() {
        check_end(site, site.log_start_offset)?;
        return create(site, trust);
    }
    let suspect = first_suspect(site, &bases, trust)?;
    let mut tail = Tail::empty(bases[suspect]);
    // Where those segments begin that were walked whole and have no batch of such a producer.
    let mut plain = Some(bases[suspect]);
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
        plain = plain.filter(|_| walk.was_plain());
        if let Some(what) = bad {
            walk.check_cut(what)?;
            check_names(site, &bases, at)?;
            walk.keep_misplaced(what)?;
            // The bad bytes go last: who dies before that leaves the reason to the next.
            quarantine(site, &bases[at + 1..])?;
            walk.cut()?;
            point("recovery.cut");
            bases.truncate(at + 1);
            break;
        }
    }
    check_end(site, tail.end_offset)?;
    let rebuilt = if trust == Trust::Machine { &bases[suspect..] } else { &[] };
    let transactions = Transactions::replay(site, &entries, &bases, rebuilt, plain, &tail)?;
    point("recovery.replayed");
    finish(site, trust, &bases, suspect, transactions, tail)
}

/// Refuses to cut a log at the segment of number `at` for the name of a file that somebody has given
/// it: the records are there.
fn check_names(site: &Site<'_>, bases: &[i64], at: usize) -> Result<()> {
    if !site.writable {
        return Ok(());
    }
    let before = at.saturating_sub(1);
    let epochs = LeaderEpochs::read(&**site.storage, site.dir)?;
    let start = gaps::start(site.noted_start, &epochs).filter(|_| before == 0);
    let places = names::places(site.storage, site.dir, &bases[before..], start)?;
    match places.iter().find(|place| place.base != place.name) {
        Some(place) => Err(names::refused(site.dir, *place)),
        None => Ok(()),
    }
}

/// The position from which on a segment is walked, if it is the active one, unless the machine
/// crashed.
pub(crate) fn walked_from(storage: &Arc<dyn Storage>, dir: &Path, base: i64) -> Result<u64> {
    let segment = Segment::open(storage, dir, base, false)?;
    Ok(walk::last_indexed(&segment, segment.index.len()?)?.end_position)
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
    let latest = if site.found { latest_epoch(site)? } else { None };
    // A crash may have taken all of a log that somebody has read.
    let crashed = trust == Trust::Machine && site.found;
    let leader_epoch = latest.unwrap_or(0).saturating_add(i32::from(crashed));
    if site.writable {
        let mut epochs = LeaderEpochs::default();
        epochs.begin(leader_epoch, base);
        if crashed || latest.is_some() {
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
        first_unstable_offset: None,
        has_producers: false,
        aborted: Vec::new(),
        gaps: Vec::new(),
    })
}

/// The newest leader epoch of a log without files, of which that was left.
fn latest_epoch(site: &Site<'_>) -> Result<Option<i32>> {
    Ok(LeaderEpochs::read(&**site.storage, site.dir)?.latest())
}

/// The first segment that must be walked: the active one, or after a crash of the machine the one
/// that holds the recovery point. An empty segment proves nothing, so the one before it is walked.
fn first_suspect(site: &Site<'_>, bases: &[i64], trust: Trust) -> Result<usize> {
    let last = bases.len() - 1;
    if trust == Trust::Machine {
        let below = bases.partition_point(|base| *base <= site.recovery_point);
        return Ok(below.saturating_sub(1));
    }
    if last == 0 {
        return Ok(0);
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

/// Where the log starts by what was noted. Nothing is ever noted that lies behind the end: to believe
/// that would be to delete every record.
fn believed_start(site: &Site<'_>, end: i64) -> i64 {
    if site.log_start_offset <= end {
        return site.log_start_offset;
    }
    log::warn!(
        "{} ends at offset {end}, and log-start-offset-checkpoint says that it starts at {}, which is \
         not believed: `brokerless verify` tells more",
        site.dir.display(),
        site.log_start_offset
    );
    0
}

fn finish(
    site: &Site<'_>,
    trust: Trust,
    bases: &[i64],
    suspect: usize,
    transactions: Transactions,
    mut tail: Tail,
) -> Result<Recovered> {
    let log_start_offset = bases[0].max(believed_start(site, tail.end_offset));
    // A transaction may have begun before the log does.
    let first_unstable_offset =
        transactions.first_unstable_offset.map(|offset| offset.max(log_start_offset));
    tail.last_stable_offset = first_unstable_offset.unwrap_or(tail.end_offset);
    let mut epochs = LeaderEpochs::read(&**site.storage, site.dir)?;
    let gaps = gaps::find(site, &epochs, bases)?;
    let mut leader_epoch = epochs.latest().unwrap_or(0);
    let mut synced_offset = tail.segment_base;
    if site.writable {
        let mut is_new = epochs.latest().is_none();
        if is_new {
            epochs.begin(0, bases[0]);
        }
        if trust == Trust::Machine && !planted("no-epoch-step") {
            leader_epoch = leader_epoch.saturating_add(1);
            epochs.begin(leader_epoch, tail.end_offset);
            is_new = true;
        }
        if trust == Trust::Machine || site.past.was_cut {
            segments_survive(site, &bases[suspect..])?;
        }
        point("recovery.synced");
        if is_new {
            // This makes the names of all files in the folder survive.
            epochs.write(&**site.storage, site.dir)?;
            point("recovery.epochs");
        } else if trust == Trust::Machine || site.past.was_cut {
            site.storage.sync_dir(site.dir).at("sync", site.dir)?;
        }
        synced_offset = match trust {
            Trust::Process => synced_offset.max(synced_once(site).min(tail.end_offset)),
            Trust::Clean | Trust::Machine => tail.end_offset,
        };
    }
    Ok(Recovered {
        tail,
        log_start_offset,
        leader_epoch,
        synced_offset,
        first_unstable_offset,
        has_producers: transactions.has_producers,
        aborted: transactions.aborted,
        gaps,
    })
}

/// What was synced and noted so stays on the disk: nothing below it is ever cut or written again.
/// The names were synced before it was noted. But what was behind it, and was cut by somebody who
/// died at it, may come back: then nothing is believed.
fn synced_once(site: &Site<'_>) -> i64 {
    site.past.synced.map_or(0, |before| before.max(site.synced))
}

/// After a crash of the machine what was found must be on the disk before it is shown. And what was
/// cut must have gone from it before anything is written in its place.
fn segments_survive(site: &Site<'_>, bases: &[i64]) -> Result<()> {
    for base in bases {
        let segment = Segment::open(site.storage, site.dir, *base, true)?;
        segment.log.sync_data().at("sync", &segment.path)?;
    }
    Ok(())
}
