//! The bytes of one file: as they are read now, and as a power loss would leave them.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use super::map::{Region, View};
use super::power::{Chance, Fate, Loss, SECTOR};
use crate::env::Map;
use crate::types::Timestamp;

#[derive(Debug, Default)]
pub(super) struct Content {
    /// What every process reads. Copies of the machine share it until one writes.
    live: Arc<Vec<u8>>,
    /// What is on the disk for certain.
    durable: Arc<Vec<u8>>,
    /// What was done since, in this order.
    unsynced: Arc<Vec<Change>>,
    /// What is mapped; the bytes there are the live ones.
    regions: Vec<Region>,
    pub(super) modified: Timestamp,
}

#[derive(Clone, Debug)]
struct Change {
    step: u64,
    what: What,
}

#[derive(Clone, Debug)]
enum What {
    Write { position: u64, bytes: Vec<u8> },
    SetLen(u64),
}

impl Content {
    pub(super) fn new(modified: Timestamp) -> Self {
        Self { modified, ..Self::default() }
    }

    pub(super) fn len(&self) -> u64 {
        self.live.len() as u64
    }

    pub(super) fn read(&self, position: u64, buf: &mut [u8]) -> usize {
        let start = (position.min(self.len())) as usize;
        let read = buf.len().min(self.live.len() - start);
        let buf = &mut buf[..read];
        buf.copy_from_slice(&self.live[start..start + read]);
        for region in &self.regions {
            region.load(position, buf);
        }
        read
    }

    pub(super) fn write(&mut self, position: u64, bytes: &[u8], step: u64) -> io::Result<()> {
        if position.checked_add(bytes.len() as u64).is_none_or(|end| end > MAX_LEN) {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        put(Arc::make_mut(&mut self.live), position, bytes);
        for region in &self.regions {
            region.store(position, bytes);
        }
        let what = What::Write { position, bytes: bytes.to_vec() };
        Arc::make_mut(&mut self.unsynced).push(Change { step, what });
        Ok(())
    }

    pub(super) fn set_len(&mut self, len: u64, step: u64) -> io::Result<()> {
        if len > MAX_LEN {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        if self.regions.iter().any(|region| region.end() > len) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "a mapped file must not shrink",
            ));
        }
        Arc::make_mut(&mut self.live).resize(len as usize, 0);
        Arc::make_mut(&mut self.unsynced).push(Change { step, what: What::SetLen(len) });
        Ok(())
    }

    /// A region is as long as it was first mapped; later maps must lie inside one.
    pub(super) fn map(
        &mut self,
        position: u64,
        words: usize,
        step: u64,
    ) -> io::Result<Arc<dyn Map>> {
        let end = position + words as u64 * 8;
        if end > self.len() {
            self.set_len(end, step)?;
        }
        if let Some(view) = self.regions.iter().find_map(|region| region.view(position, words)) {
            return Ok(Arc::new(view));
        }
        if self.regions.iter().any(|region| region.position < end && position < region.end()) {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "this range is mapped in part, which the disk in memory cannot extend",
            ));
        }
        let region = Region::new(position, words, &self.live[position as usize..end as usize]);
        let view: Option<View> = region.view(position, words);
        self.regions.push(region);
        view.map(|view| Arc::new(view) as Arc<dyn Map>).ok_or(io::ErrorKind::InvalidInput.into())
    }

    pub(super) fn sync(&mut self) {
        for change in self.take_unsynced() {
            apply(Arc::make_mut(&mut self.durable), &change.what, Fate::Whole);
        }
        let regions = std::mem::take(&mut self.regions);
        for region in &regions {
            self.write_back(region, |_| true);
        }
        self.regions = regions;
    }

    fn take_unsynced(&mut self) -> Vec<Change> {
        Arc::unwrap_or_clone(std::mem::take(&mut self.unsynced))
    }

    /// A sync that failed: what arrived is anyone's guess, and the kernel will not try again.
    /// Readers see the live bytes as if nothing had happened.
    pub(super) fn fail_sync(&mut self, seed: u64) {
        let loss = Loss::Mixed(seed);
        for change in self.take_unsynced() {
            apply(Arc::make_mut(&mut self.durable), &change.what, loss.fate(change.step));
        }
    }

    /// Readers see the disk's bytes, and what was done since. The length stays: it is the file
    /// system's own.
    pub(super) fn forget_cached(&mut self) {
        let len = self.live.len();
        self.live.clone_from(&self.durable);
        let live = Arc::make_mut(&mut self.live);
        for change in &*self.unsynced {
            apply(live, &change.what, Fate::Whole);
        }
        live.resize(len, 0);
    }

    pub(super) fn lose_power(&mut self, loss: Loss) {
        for change in self.take_unsynced() {
            apply(Arc::make_mut(&mut self.durable), &change.what, loss.fate(change.step));
        }
        for region in std::mem::take(&mut self.regions) {
            self.write_back(&region, |sector| loss.arrives(sector));
        }
        self.live.clone_from(&self.durable);
    }

    /// The unsynced writes: step and number of bytes.
    pub(super) fn unsynced(&self) -> impl Iterator<Item = (u64, u64)> {
        self.unsynced.iter().map(|change| match &change.what {
            What::Write { bytes, .. } => (change.step, bytes.len() as u64),
            What::SetLen(_) => (change.step, 0),
        })
    }

    /// Lets each unsynced change arrive as far as `bytes_of` its step allows; `None`: not at all.
    pub(super) fn cut_power(&mut self, bytes_of: impl Fn(u64) -> Option<u64>) {
        for mut change in self.take_unsynced() {
            let Some(arrived) = bytes_of(change.step) else { continue };
            if let What::Write { bytes, .. } = &mut change.what {
                bytes.truncate(usize::try_from(arrived).unwrap_or(usize::MAX));
            }
            apply(Arc::make_mut(&mut self.durable), &change.what, Fate::Whole);
        }
        self.regions.clear();
        self.live.clone_from(&self.durable);
    }

    /// A copy of everything, of which only the maps are not independent: see
    /// [`own_maps`](Self::own_maps).
    pub(super) fn copy(&self) -> Self {
        Self {
            live: self.live.clone(),
            durable: self.durable.clone(),
            unsynced: self.unsynced.clone(),
            regions: self.regions.clone(),
            modified: self.modified,
        }
    }

    /// What is mapped is this copy's alone from now on.
    pub(super) fn own_maps(&mut self) {
        self.regions = self.regions.iter().map(Region::copy).collect();
    }

    /// Copies the chosen sectors of a region to the disk, as far as the file reaches there.
    fn write_back(&mut self, region: &Region, chosen: impl Fn(u64) -> bool) {
        let end = region.end().min(self.durable.len() as u64);
        for sector in sectors(region.position..end).filter(|range| chosen(range.start)) {
            let durable = Arc::make_mut(&mut self.durable);
            let bytes = &mut durable[sector.start as usize..sector.end as usize];
            region.load(sector.start, bytes);
        }
    }
}

/// A file that is longer is a mistake of the test.
const MAX_LEN: u64 = 1 << 31;

fn put(file: &mut Vec<u8>, position: u64, bytes: &[u8]) {
    let (start, end) = (position as usize, position as usize + bytes.len());
    if end > file.len() && !bytes.is_empty() {
        file.resize(end, 0);
    }
    if !bytes.is_empty() {
        file[start..end].copy_from_slice(bytes);
    }
}

fn apply(file: &mut Vec<u8>, what: &What, fate: Fate) {
    match (what, fate) {
        (_, Fate::Lost) => {}
        (What::SetLen(len), _) => file.resize(*len as usize, 0),
        (What::Write { position, bytes }, Fate::Whole) => put(file, *position, bytes),
        (What::Write { position, bytes }, Fate::Prefix(chance)) => {
            let arrived = chance.number(1) as usize % (bytes.len() + 1);
            put(file, *position, &bytes[..arrived]);
        }
        (What::Write { position, bytes }, Fate::Sectors(chance)) => {
            put_sectors(file, *position, bytes, chance);
        }
    }
}

/// Some sectors arrive. The file may be as long as if all had: then it has zeros, or the old bytes,
/// where one is missing.
fn put_sectors(file: &mut Vec<u8>, position: u64, bytes: &[u8], chance: Chance) {
    let end = position + bytes.len() as u64;
    if chance.coin(1) && file.len() < end as usize {
        file.resize(end as usize, 0);
    }
    for sector in sectors(position..end).filter(|range| chance.coin(2 + range.start)) {
        let part = (sector.start - position) as usize..(sector.end - position) as usize;
        put(file, sector.start, &bytes[part]);
    }
}

/// The range, cut at the edges of sectors.
fn sectors(range: Range<u64>) -> impl Iterator<Item = Range<u64>> {
    let first = range.start / SECTOR * SECTOR;
    (first..range.end)
        .step_by(SECTOR as usize)
        .map(move |start| start.max(range.start)..(start + SECTOR).min(range.end))
        .filter(|sector| !sector.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_cut_at_the_edges_of_sectors() {
        let cut: Vec<_> = sectors(500..1600).collect();

        assert_eq!(cut, [500..512, 512..1024, 1024..1536, 1536..1600]);
        assert_eq!(sectors(7..7).count(), 0);
    }

    #[test]
    fn a_torn_write_leaves_new_and_old_sectors() {
        let mut seen = (false, false);
        for seed in 2..200 {
            let mut content = Content::default();
            content.write(0, &[1; 2048], 1).unwrap();
            content.sync();
            content.write(0, &[2; 2048], 2).unwrap();
            content.lose_power(Loss::Mixed(seed));

            let mut bytes = [0; 2048];
            assert_eq!(content.read(0, &mut bytes), 2048);
            assert!(bytes.iter().all(|byte| [1, 2].contains(byte)), "seed {seed}");
            let new = bytes.iter().map(|byte| usize::from(*byte - 1)).sum::<usize>();
            seen.0 |= new > 0 && new < 2048 && new.is_multiple_of(512);
            seen.1 |= !new.is_multiple_of(512);
        }

        assert_eq!(seen, (true, true));
    }

    #[test]
    fn what_a_failed_sync_lost_is_seen_when_the_cache_is_forgotten() {
        let (mut lost, mut kept) = (0, 0);
        for seed in 2..100 {
            let mut content = Content::default();
            content.write(0, &[1; 512], 1).unwrap();
            content.sync();
            content.write(0, &[2; 512], 2).unwrap();
            content.fail_sync(seed);
            content.write(512, &[3; 512], 3).unwrap();
            assert_eq!(content.live[..512], [2; 512], "seed {seed}");

            content.forget_cached();

            assert_eq!(content.live[..512], content.durable[..512], "seed {seed}");
            assert_eq!(content.live[512..], [3; 512], "seed {seed}");
            lost += u32::from(content.live[0] == 1);
            kept += u32::from(content.live[0] == 2);
        }

        assert!(lost > 0 && kept > 0);
    }

    #[test]
    fn an_append_may_leave_its_length_without_its_bytes() {
        let holes = (2..200).filter(|seed| {
            let mut content = Content::default();
            content.write(0, &[1; 2048], 1).unwrap();
            content.lose_power(Loss::Mixed(*seed));
            content.len() == 2048 && content.live.contains(&0)
        });

        assert!(holes.count() > 0);
    }
}
