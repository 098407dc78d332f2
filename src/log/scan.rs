//! Walks the batches of a segment from header to header.

use std::io;
use std::path::Path;

use crate::env::File;
use crate::error::{At, Corruption, Error, Result};
use crate::record::{self, BatchInfo};

/// How much of each batch is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Check {
    /// Its header.
    Headers,
    /// Every byte: the checksum must fit.
    Checksums,
}

/// Walks `file` from one position to another. A window of the file is kept, so that small batches
/// cost no read each.
pub(crate) struct Scan<'a> {
    file: &'a dyn File,
    path: &'a Path,
    position: u64,
    end: u64,
    check: Check,
    window: Vec<u8>,
    window_at: u64,
}

/// What stands at a position.
pub(crate) enum Found {
    /// A whole batch.
    Batch(BatchInfo),
    /// Nothing: the end.
    End,
    /// Bytes that are no batch.
    Bad(Corruption),
}

const WINDOW: usize = 64 * 1024;

impl<'a> Scan<'a> {
    /// Walks from `position`, where a batch begins, to `end`.
    pub(crate) fn new(
        file: &'a dyn File,
        path: &'a Path,
        position: u64,
        end: u64,
        check: Check,
    ) -> Self {
        Self { file, path, position, end, check, window: Vec::new(), window_at: 0 }
    }

    /// Where the next batch begins.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// The batch at [`position`](Self::position), which then moves behind it.
    pub(crate) fn next(&mut self) -> Result<Found> {
        if self.position >= self.end {
            return Ok(Found::End);
        }
        let check = self.check;
        let left = self.end - self.position;
        let info = match BatchInfo::parse(self.bytes(BatchInfo::MAX_PREFIX)?) {
            Ok(info) => info,
            Err(what) => return Ok(Found::Bad(what)),
        };
        if info.size as u64 > left {
            let have = usize::try_from(left).unwrap_or(usize::MAX);
            return Ok(Found::Bad(Corruption::Truncated { have, need: info.size }));
        }
        if check == Check::Checksums
            && let Err(what) = record::verify(self.bytes(info.size)?)
        {
            return Ok(Found::Bad(what));
        }
        self.position += info.size as u64;
        Ok(Found::Batch(info))
    }

    /// The bytes of a batch of `size` that ends at [`position`](Self::position).
    pub(crate) fn last(&mut self, size: usize) -> Result<&[u8]> {
        let at = self.position - size as u64;
        self.fill(at, size)?;
        let from = usize::try_from(at - self.window_at).expect("a place in the window");
        self.window.get(from..from + size).ok_or_else(|| Error::Replaced {
            path: self.path.to_owned(),
            what: "the file is shorter than it was",
        })
    }

    /// At most `wanted` bytes from the position on; fewer only where the walk ends.
    fn bytes(&mut self, wanted: usize) -> Result<&[u8]> {
        let left = usize::try_from(self.end - self.position).unwrap_or(usize::MAX);
        let wanted = wanted.min(left);
        self.fill(self.position, wanted)?;
        let from = usize::try_from(self.position - self.window_at).expect("a place in the window");
        let to = self.window.len().min(from + wanted);
        Ok(&self.window[from..to])
    }

    fn fill(&mut self, at: u64, wanted: usize) -> Result<()> {
        let window_end = self.window_at + self.window.len() as u64;
        if at >= self.window_at && at + wanted as u64 <= window_end {
            return Ok(());
        }
        let left = usize::try_from(self.end - at).unwrap_or(usize::MAX);
        let size = wanted.max(WINDOW).min(left);
        self.window.clear();
        self.window.try_reserve(size).map_err(io::Error::from).at("read", self.path)?;
        self.window.resize(size, 0);
        let read = self.file.read_at(at, &mut self.window).at("read", self.path)?;
        self.window.truncate(read);
        self.window_at = at;
        Ok(())
    }
}
