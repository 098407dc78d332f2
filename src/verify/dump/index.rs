//! The indexes of a segment, entry by entry, each beside what the log says.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use crate::env::{Access, Env, File, Storage};
use crate::error::{At, Result};
use crate::log::files;
use crate::log::scan::{Check, Found, Scan};
use crate::record::{Batch, BatchInfo};
use crate::types::{NO_TIMESTAMP, Timestamp};

/// An entry of an offset index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexEntry {
    /// The offset it is about.
    pub offset: i64,
    /// Where it leads in the log.
    pub position: u32,
    /// The last offset of the batch there, if there is one.
    pub found: Option<i64>,
}

/// An entry of a time index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeEntry {
    /// No record up to the offset is younger.
    pub timestamp: Timestamp,
    /// The offset.
    pub offset: i64,
    /// The first batch that ends at that offset or behind: its last offset, and the timestamp of
    /// its youngest record.
    pub found: Option<(i64, Timestamp)>,
}

/// The entries of an offset index up to the zeros that a broker puts at its end.
pub fn index(path: &Path, env: &Env) -> Result<Vec<IndexEntry>> {
    let storage = &*env.storage;
    let base = super::base_offset(path);
    let log = LogFile::beside(storage, path)?;
    let mut entries = Vec::new();
    for (at, entry) in read::<8>(storage, path)?.iter().enumerate() {
        let offset = base.saturating_add(number(entry, 0).into());
        let position = number(entry, 4);
        if at > 0 && offset == base {
            break;
        }
        let found = log.as_ref().map(|log| log.last_offset(position)).transpose()?.flatten();
        entries.push(IndexEntry { offset, position, found });
    }
    Ok(entries)
}

/// The entries of a time index, in the same way.
pub fn time_index(path: &Path, limit: usize, env: &Env) -> Result<Vec<TimeEntry>> {
    let storage = &*env.storage;
    let base = super::base_offset(path);
    let log = LogFile::beside(storage, path)?;
    let mut beside = log.as_ref().map(|log| Beside {
        scan: Scan::new(&*log.file, &log.path, 0, log.len, Check::Headers),
        found: None,
        limit,
    });
    let mut entries = Vec::new();
    for (at, entry) in read::<12>(storage, path)?.iter().enumerate() {
        let timestamp = i64::from_be_bytes([0, 1, 2, 3, 4, 5, 6, 7].map(|byte| entry[byte]));
        let offset = base.saturating_add(number(entry, 8).into());
        if at > 0 && offset == base {
            break;
        }
        let found = beside.as_mut().map(|beside| beside.find(offset)).transpose()?.flatten();
        entries.push(TimeEntry { timestamp, offset, found });
    }
    Ok(entries)
}

/// A walk over the log that goes forward only.
struct Beside<'a> {
    scan: Scan<'a>,
    /// The batch it stands behind.
    found: Option<(i64, Timestamp)>,
    limit: usize,
}

impl Beside<'_> {
    /// The first batch, from where it stands, that ends at `offset` or behind.
    fn find(&mut self, offset: i64) -> Result<Option<(i64, Timestamp)>> {
        while self.found.is_none_or(|(last, _)| last < offset) {
            let Found::Batch(info) = self.scan.next()? else { return Ok(None) };
            self.found = Some((info.last_offset, NO_TIMESTAMP));
            if info.last_offset >= offset {
                let bytes = Bytes::copy_from_slice(self.scan.last(info.size)?);
                self.found = Some((info.last_offset, youngest(&info, bytes, self.limit)));
            }
        }
        Ok(self.found)
    }
}

/// The timestamp of the youngest record; what the header says where they cannot be read.
fn youngest(info: &BatchInfo, bytes: Bytes, limit: usize) -> Timestamp {
    let records = Batch::decode(bytes, limit).and_then(|batch| {
        batch.records().map(|record| record.map(|record| record.timestamp)).collect()
    });
    let times: Vec<Timestamp> = records.unwrap_or_else(|_| vec![info.max_timestamp]);
    times.into_iter().max().unwrap_or(NO_TIMESTAMP)
}

/// Four bytes of an entry.
fn number(entry: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([0, 1, 2, 3].map(|byte| entry[at + byte]))
}

fn read<const N: usize>(storage: &dyn Storage, path: &Path) -> Result<Vec<[u8; N]>> {
    // A file that is not there is an error here.
    super::open(storage, path)?;
    let bytes = files::read(storage, path)?.unwrap_or_default();
    Ok(bytes.as_chunks().0.to_vec())
}

/// The log of the same segment.
struct LogFile {
    file: Arc<dyn File>,
    path: PathBuf,
    len: u64,
}

impl LogFile {
    /// Opens the log beside an index, if there is one.
    fn beside(storage: &dyn Storage, index: &Path) -> Result<Option<Self>> {
        let name = index.file_name().unwrap_or_default().to_string_lossy();
        let (stem, kind) = name.split_once('.').unwrap_or((&name, ""));
        // `.deleted`, if the whole segment is about to go.
        let ending = kind.find('.').map_or("", |at| &kind[at..]);
        let path = index.with_file_name(format!("{stem}.{}{ending}", files::LOG));
        let file = match storage.open(&path, Access::Read) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file.at("open", &path)?,
        };
        let len = file.len().at("stat", &path)?;
        Ok(Some(Self { file, path, len }))
    }

    /// The last offset of the batch at `position`, if one may be there.
    fn last_offset(&self, position: u32) -> Result<Option<i64>> {
        let mut bytes = [0; BatchInfo::MAX_PREFIX];
        let read = self.file.read_at(position.into(), &mut bytes).at("read", &self.path)?;
        Ok(BatchInfo::parse(&bytes[..read]).ok().map(|info| info.last_offset))
    }
}
