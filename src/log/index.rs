//! Index files: fixed-size entries, ascending, from the front of the file.
//!
//! `OffsetIndex` has 8 bytes an entry (`offset - base: u32`, `position: u32`), `TimeIndex` 12
//! (`timestamp: i64`, `offset - base: u32`). Neither has a checksum: entries are hints, and who
//! uses one checks it against the log.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use crate::env::{Access, File, Storage};
use crate::error::{At, Result, SYNC};
use crate::types::Timestamp;

/// An index file whose entries have `N` bytes, opened when first used.
#[derive(Debug)]
pub(crate) struct IndexFile<const N: usize> {
    storage: Arc<dyn Storage>,
    path: PathBuf,
    access: Access,
    /// `None` inside: there is none, and none may be made.
    file: OnceLock<Option<Arc<dyn File>>>,
}

/// From offsets to positions in the segment.
pub(crate) type OffsetIndex = IndexFile<8>;

/// From timestamps to offsets.
pub(crate) type TimeIndex = IndexFile<12>;

impl<const N: usize> IndexFile<N> {
    /// An index that is not open yet.
    pub(crate) fn new(storage: Arc<dyn Storage>, path: PathBuf, access: Access) -> Self {
        Self { storage, path, access, file: OnceLock::new() }
    }

    /// The file; `None` if there is none to read.
    fn file(&self) -> Result<Option<&Arc<dyn File>>> {
        if let Some(known) = self.file.get() {
            return Ok(known.as_ref());
        }
        let opened = match self.storage.open(&self.path, self.access) {
            Ok(file) => Some(file),
            Err(error) if self.access == Access::Read && error.kind() == ErrorKind::NotFound => {
                None
            }
            Err(error) => return Err(error).at("open", &self.path),
        };
        Ok(self.file.get_or_init(|| opened).as_ref())
    }

    /// Bytes in the file.
    pub(crate) fn len(&self) -> Result<u64> {
        let Some(file) = self.file()? else { return Ok(0) };
        file.len().at("stat", &self.path)
    }

    /// Entries in the file, without the zeros a broker preallocates behind them.
    pub(crate) fn entries(&self) -> Result<u32> {
        self.entries_of(self.len()?)
    }

    /// The same, of a file that has `len` bytes.
    pub(crate) fn entries_of(&self, len: u64) -> Result<u32> {
        let entries = u32::try_from(len / N as u64).unwrap_or(u32::MAX);
        if entries == 0 || self.entry(entries - 1)? != [0; N] {
            return Ok(entries);
        }
        self.partition_point(entries, |entry| *entry != [0; N])
    }

    /// How many of the first `entries` satisfy `before`; those that do come first.
    fn partition_point(&self, entries: u32, before: impl Fn(&[u8; N]) -> bool) -> Result<u32> {
        let (mut low, mut high) = (0, entries);
        while low < high {
            let middle = low + (high - low) / 2;
            if before(&self.entry(middle)?) { low = middle + 1 } else { high = middle }
        }
        Ok(low)
    }

    /// The entry numbered `index`; zeros where the file ends before it.
    fn entry(&self, index: u32) -> Result<[u8; N]> {
        let mut entry = [0; N];
        if let Some(file) = self.file()? {
            file.read_at(u64::from(index) * N as u64, &mut entry).at("read", &self.path)?;
        }
        Ok(entry)
    }

    fn write(&self, index: u32, entry: &[u8; N]) -> Result<()> {
        let file = self.file()?.expect("an index opened for writing has a file");
        file.write_at(u64::from(index) * N as u64, entry).at("append", &self.path)
    }

    /// Makes the entries survive a crash.
    pub(crate) fn sync(&self) -> Result<()> {
        let Some(file) = self.file()? else { return Ok(()) };
        file.sync_data().at(SYNC, &self.path)
    }

    /// Drops every entry from number `entries` on.
    pub(crate) fn truncate(&self, entries: u32) -> Result<()> {
        self.truncate_from(self.len()?, entries)
    }

    /// The same, of a file that has `len` bytes.
    pub(crate) fn truncate_from(&self, len: u64, entries: u32) -> Result<()> {
        let due = u64::from(entries) * N as u64;
        match self.file()? {
            Some(file) if len != due => file.set_len(due).at("truncate", &self.path),
            _ => Ok(()),
        }
    }
}

/// An entry of an offset index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The last offset of what was appended there, relative to the segment's base.
    pub(crate) relative_offset: u32,
    /// Where in the segment it begins.
    pub(crate) position: u32,
}

impl OffsetIndex {
    /// The last of the first `entries` whose offset is not above `relative_offset`.
    pub(crate) fn floor(&self, entries: u32, relative_offset: u32) -> Result<Option<Place>> {
        let above = self.partition_point(entries, |entry| {
            Place::parse(*entry).relative_offset <= relative_offset
        })?;
        above.checked_sub(1).map(|index| self.place(index)).transpose()
    }

    pub(crate) fn place(&self, index: u32) -> Result<Place> {
        Ok(Place::parse(self.entry(index)?))
    }

    pub(crate) fn put(&self, index: u32, place: Place) -> Result<()> {
        let mut entry = [0; 8];
        entry[..4].copy_from_slice(&place.relative_offset.to_be_bytes());
        entry[4..].copy_from_slice(&place.position.to_be_bytes());
        self.write(index, &entry)
    }
}

impl Place {
    fn parse(entry: [u8; 8]) -> Self {
        let [offset, position] = entry.as_chunks::<4>().0 else {
            unreachable!("8 bytes are 2 x 4")
        };
        Self {
            relative_offset: u32::from_be_bytes(*offset),
            position: u32::from_be_bytes(*position),
        }
    }
}

/// An entry of a time index: no record up to this offset is younger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    pub(crate) timestamp: Timestamp,
    pub(crate) relative_offset: u32,
}

impl TimeIndex {
    /// How many of the first `entries` are below `timestamp`.
    pub(crate) fn count_below(&self, entries: u32, timestamp: Timestamp) -> Result<u32> {
        self.partition_point(entries, |entry| Moment::parse(*entry).timestamp < timestamp)
    }

    /// How many of the first `entries` are at or below `relative_offset`.
    pub(crate) fn count_to(&self, entries: u32, relative_offset: u32) -> Result<u32> {
        self.partition_point(entries, |entry| {
            Moment::parse(*entry).relative_offset <= relative_offset
        })
    }

    pub(crate) fn moment(&self, index: u32) -> Result<Moment> {
        Ok(Moment::parse(self.entry(index)?))
    }

    pub(crate) fn put(&self, index: u32, moment: Moment) -> Result<()> {
        let mut entry = [0; 12];
        entry[..8].copy_from_slice(&moment.timestamp.to_be_bytes());
        entry[8..].copy_from_slice(&moment.relative_offset.to_be_bytes());
        self.write(index, &entry)
    }
}

impl Moment {
    /// Whether it is what stands where there is no entry.
    pub(crate) fn is_zero(self) -> bool {
        self.timestamp == 0 && self.relative_offset == 0
    }

    fn parse(entry: [u8; 12]) -> Self {
        let [first, second, offset] = entry.as_chunks::<4>().0 else {
            unreachable!("12 bytes are 3 x 4")
        };
        let high = i64::from(i32::from_be_bytes(*first));
        Self {
            timestamp: high << 32 | i64::from(u32::from_be_bytes(*second)),
            relative_offset: u32::from_be_bytes(*offset),
        }
    }
}
