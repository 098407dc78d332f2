//! A log file, batch by batch.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use crate::env::{Env, File};
use crate::error::{At, Corruption, Result};
use crate::record::{self, Batch, BatchInfo};
use crate::verify::walk::Walk;

/// A log file that is read from its beginning to its end.
#[derive(Debug)]
pub struct Log {
    file: Arc<dyn File>,
    path: PathBuf,
    base: i64,
    position: u64,
    end: u64,
    /// Whether `end` is where the file ends.
    whole: bool,
    /// The offset that is due next, by the good batches so far.
    due: i64,
    limit: usize,
}

/// What comes next in a log file.
#[derive(Debug)]
pub enum Piece {
    /// A batch, perhaps a damaged one.
    Batch(Box<Dumped>),
    /// Bytes that are no batch.
    Damage(Damaged),
}

/// One batch.
#[derive(Debug)]
pub struct Dumped {
    /// Where it begins in the file.
    pub position: u64,
    /// What its header says.
    pub info: BatchInfo,
    /// Whether its checksum is right.
    pub is_valid: bool,
    /// The batch with its records, or why they cannot be read.
    pub batch: Result<Batch, Corruption>,
}

/// Bytes that are no batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damaged {
    /// Where they begin in the file.
    pub position: u64,
    /// How many they are.
    pub bytes: u64,
    /// Why they are no batch.
    pub what: Corruption,
    /// Whether they are the last of the file.
    pub at_end: bool,
}

impl Log {
    /// Opens a log file, of which at most `most` bytes are read. A batch whose records take more
    /// than `limit` bytes is not looked into.
    pub fn open(path: &Path, most: Option<u64>, limit: usize, env: &Env) -> Result<Self> {
        let (file, len) = super::open(&*env.storage, path)?;
        let base = super::base_offset(path);
        let end = most.map_or(len, |most| most.min(len));
        let path = path.to_owned();
        Ok(Self { file, path, base, position: 0, end, whole: end == len, due: base, limit })
    }

    /// The next batch, or the damage before it; `None` at the end.
    pub fn advance(&mut self) -> Result<Option<Piece>> {
        if self.position >= self.end {
            return Ok(None);
        }
        let left = self.end - self.position;
        let header = self.read(left.min(BatchInfo::MAX_PREFIX as u64))?;
        match BatchInfo::parse(&header) {
            Ok(info) if info.size as u64 <= left => self.batch(info).map(Some),
            // The last one reaches beyond what shall be read.
            Ok(_) | Err(Corruption::Truncated { .. }) if !self.whole => Ok(None),
            Ok(info) => {
                let have = usize::try_from(left).unwrap_or(usize::MAX);
                self.damage(Corruption::Truncated { have, need: info.size }).map(Some)
            }
            Err(what) => self.damage(what).map(Some),
        }
    }

    fn batch(&mut self, info: BatchInfo) -> Result<Piece> {
        let bytes = Bytes::from(self.read(info.size as u64)?);
        let is_valid = record::verify(&bytes).is_ok();
        let batch = Batch::decode(bytes, self.limit);
        let position = self.position;
        self.position += info.size as u64;
        if is_valid {
            self.due = info.next_offset().max(self.due);
        } else if let Some(next) = self.next_good(position)? {
            // Its length may be what is damaged: nothing good is passed over.
            self.position = self.position.min(next);
        }
        Ok(Piece::Batch(Box::new(Dumped { position, info, is_valid, batch })))
    }

    fn damage(&mut self, what: Corruption) -> Result<Piece> {
        let position = self.position;
        let next = self.next_good(position)?;
        self.position = next.unwrap_or(self.end);
        let bytes = self.position - position;
        Ok(Piece::Damage(Damaged { position, bytes, what, at_end: next.is_none() }))
    }

    fn next_good(&self, position: u64) -> Result<Option<u64>> {
        let walk = Walk {
            file: &*self.file,
            path: &self.path,
            end: self.end,
            base: self.base,
            bound: None,
            dense: false,
            limit: self.limit,
        };
        walk.next_good(position, self.due)
    }

    /// So many bytes from the position on, or what is there.
    fn read(&self, size: u64) -> Result<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(size).unwrap_or(usize::MAX)];
        let read = self.file.read_at(self.position, &mut bytes).at("read", &self.path)?;
        bytes.truncate(read);
        Ok(bytes)
    }
}
