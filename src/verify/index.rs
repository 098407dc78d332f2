//! Whether a segment's indexes agree with its log, entry by entry, as the walk goes by.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::env::{Access, File, Storage};
use crate::error::{At, Result};
use crate::log::files;
use crate::record::BatchInfo;
use crate::types::{NO_TIMESTAMP, Timestamp};
use crate::verify::finding::{Finding, Severity};
use crate::verify::walk::Step;

/// The entries of an index file, read a block at a time.
struct Entries<const N: usize> {
    file: Arc<dyn File>,
    path: PathBuf,
    block: Vec<u8>,
    /// Where the block begins in the file, and where the next entry does in the block.
    at: u64,
    next: usize,
    /// Behind it nothing counts.
    end: u64,
}

const BLOCK: u64 = 12 * 8 * 128;

impl<const N: usize> Entries<N> {
    /// `None` if there is no file.
    fn open(storage: &dyn Storage, path: &Path, most: Option<u32>) -> Result<Option<Self>> {
        let file = match storage.open(path, Access::Read) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            file => file.at("open", path)?,
        };
        let len = file.len().at("stat", path)?;
        let end = most.map_or(len, |most| len.min(u64::from(most) * N as u64));
        let path = path.to_owned();
        Ok(Some(Self { file, path, block: Vec::new(), at: 0, next: 0, end }))
    }

    fn position(&self) -> u64 {
        self.at + self.next as u64
    }

    /// The next entry; `None` at the end, or where only part of one is left.
    fn next(&mut self) -> Result<Option<[u8; N]>> {
        if self.next == self.block.len() {
            self.at += self.next as u64;
            self.next = 0;
            let wanted = self.end.saturating_sub(self.at).min(BLOCK) as usize;
            self.block.resize(wanted / N * N, 0);
            let read = self.file.read_at(self.at, &mut self.block).at("read", &self.path)?;
            self.block.truncate(read / N * N);
        }
        let entry = self.block[self.next..].first_chunk().copied();
        self.next += if entry.is_some() { N } else { 0 };
        Ok(entry)
    }

    /// Whether all from here on is zeros, as a broker preallocates them.
    fn rest_is_zeros(&mut self) -> Result<bool> {
        while let Some(entry) = self.next()? {
            if entry != [0; N] {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// What one kind of index must know of the log.
trait Rule<const N: usize> {
    /// Takes in the next entry; the error says what is wrong with it.
    fn entry(&mut self, entry: [u8; N]) -> Result<(), String>;
    /// What the batch says of the entry.
    fn judge(&mut self, step: &Step<'_>) -> Result<Verdict, String>;
    /// Takes in the batch, when it has said all.
    fn take(&mut self, info: &BatchInfo);
    /// What is wrong if the log ends here.
    fn end(&self) -> Option<String>;
}

/// What a rule says about the entry in hand.
enum Verdict {
    /// It is about a batch further on.
    Later,
    /// It was right; the next one is due.
    Next,
}

/// One index beside the walk.
struct Beside<const N: usize, R> {
    entries: Entries<N>,
    rule: R,
    /// Whether an entry is in hand.
    in_hand: bool,
    wrong: Option<(u64, String)>,
}

impl<const N: usize, R: Rule<N>> Beside<N, R> {
    fn open(
        storage: &dyn Storage,
        path: &Path,
        most: Option<u32>,
        rule: R,
    ) -> Result<Option<Self>> {
        let Some(entries) = Entries::open(storage, path, most)? else { return Ok(None) };
        let mut beside = Self { entries, rule, in_hand: false, wrong: None };
        beside.advance()?;
        Ok(Some(beside))
    }

    fn advance(&mut self) -> Result<()> {
        self.in_hand = false;
        let position = self.entries.position();
        let Some(entry) = self.entries.next()? else {
            if position < self.entries.end {
                self.blame(position, "its last entry is cut".to_owned());
            }
            return Ok(());
        };
        if entry == [0; N] {
            if !self.entries.rest_is_zeros()? {
                self.blame(position, "there are entries behind zeros".to_owned());
            }
            return Ok(());
        }
        match self.rule.entry(entry) {
            Ok(()) => self.in_hand = true,
            Err(what) => self.blame(position, what),
        }
        Ok(())
    }

    fn blame(&mut self, position: u64, what: String) {
        self.in_hand = false;
        self.wrong.get_or_insert((position, what));
    }

    fn batch(&mut self, step: &Step<'_>) -> Result<()> {
        while self.in_hand {
            match self.rule.judge(step) {
                Ok(Verdict::Later) => break,
                Ok(Verdict::Next) => self.advance()?,
                Err(what) => self.blame(self.entries.position() - N as u64, what),
            }
        }
        self.rule.take(step.info);
        Ok(())
    }

    fn end(&mut self) {
        if self.in_hand
            && let Some(what) = self.rule.end()
        {
            self.blame(self.entries.position() - N as u64, what);
        }
    }
}

/// An entry names a batch by its position, and an offset of what was appended there: the last, or
/// by old brokers the first.
#[derive(Default)]
struct Places {
    base: i64,
    offset: i64,
    position: Option<u64>,
    /// One past the last offset of the batches that were taken in.
    end: i64,
    /// The place was right; the batch that holds the offset is yet to come.
    placed: bool,
}

impl Rule<8> for Places {
    fn entry(&mut self, entry: [u8; 8]) -> Result<(), String> {
        let number = |at: usize| u32::from_be_bytes([0, 1, 2, 3].map(|byte| entry[at + byte]));
        let (offset, position) = (self.base + i64::from(number(0)), u64::from(number(4)));
        let ascending =
            self.position.is_none_or(|before| position > before && offset > self.offset);
        (self.offset, self.position, self.placed) = (offset, Some(position), false);
        if ascending { Ok(()) } else { Err("its entries do not ascend".to_owned()) }
    }

    fn judge(&mut self, step: &Step<'_>) -> Result<Verdict, String> {
        let position = self.position.unwrap_or(0);
        if !self.placed {
            if step.position < position {
                return Ok(Verdict::Later);
            }
            if step.position > position {
                return Err(format!("it leads to position {position}, where no batch begins"));
            }
            if self.offset < self.end {
                let offset = self.offset;
                return Err(format!("it says offset {offset} for position {position}"));
            }
            self.placed = true;
        }
        Ok(if self.offset > step.info.last_offset { Verdict::Later } else { Verdict::Next })
    }

    fn take(&mut self, info: &BatchInfo) {
        self.end = info.next_offset();
    }

    fn end(&self) -> Option<String> {
        Some(format!("it leads to position {}, behind the end", self.position.unwrap_or(0)))
    }
}

/// An entry says that no record up to its offset is younger than its timestamp.
#[derive(Default)]
struct Moments {
    base: i64,
    offset: i64,
    timestamp: Option<Timestamp>,
    /// The youngest of the batches that were taken in, and with those that compaction has emptied.
    youngest: Option<Timestamp>,
    most: Option<Timestamp>,
}

impl Moments {
    fn with(&self, info: &BatchInfo) -> (Option<Timestamp>, Option<Timestamp>) {
        let timestamp = Some(info.max_timestamp);
        let counts = info.records_count != Some(0);
        let youngest = if counts { self.youngest.max(timestamp) } else { self.youngest };
        (youngest, self.most.max(timestamp))
    }
}

impl Rule<12> for Moments {
    fn entry(&mut self, entry: [u8; 12]) -> Result<(), String> {
        let timestamp = i64::from_be_bytes([0, 1, 2, 3, 4, 5, 6, 7].map(|byte| entry[byte]));
        let relative = u32::from_be_bytes([8, 9, 10, 11].map(|byte| entry[byte]));
        let offset = self.base + i64::from(relative);
        let ascending =
            self.timestamp.is_none_or(|before| timestamp >= before && offset >= self.offset);
        (self.offset, self.timestamp) = (offset, Some(timestamp));
        if ascending { Ok(()) } else { Err("its entries do not ascend".to_owned()) }
    }

    fn judge(&mut self, step: &Step<'_>) -> Result<Verdict, String> {
        if self.offset > step.info.last_offset {
            return Ok(Verdict::Later);
        }
        let (youngest, most) = self.with(step.info);
        // Of a batch whose offsets go on behind the entry's nothing is said.
        let covered = if self.offset == step.info.last_offset { youngest } else { self.youngest };
        let said = self.timestamp.unwrap_or(NO_TIMESTAMP);
        let wrong =
            covered.is_some_and(|youngest| youngest > said) || most.is_none_or(|most| said > most);
        if wrong {
            return Err(format!(
                "it says that the youngest record up to offset {} is of {said}, which is wrong",
                self.offset
            ));
        }
        Ok(Verdict::Next)
    }

    fn take(&mut self, info: &BatchInfo) {
        (self.youngest, self.most) = self.with(info);
    }

    fn end(&self) -> Option<String> {
        Some(format!("it speaks of offset {}, behind the end", self.offset))
    }
}

/// Both indexes of a segment, beside the walk over its log.
pub(crate) struct Indexes {
    places: Option<Beside<8, Places>>,
    moments: Option<Beside<12, Moments>>,
}

impl Indexes {
    /// Of the indexes only the first entries count, if it is said how many.
    pub(crate) fn open(
        storage: &dyn Storage,
        dir: &Path,
        base: i64,
        most: Option<(u32, u32)>,
    ) -> Result<Self> {
        let path = |suffix| files::path(dir, base, suffix);
        let places = Places { base, ..Places::default() };
        let moments = Moments { base, ..Moments::default() };
        Ok(Self {
            places: Beside::open(storage, &path(files::INDEX), most.map(|it| it.0), places)?,
            moments: Beside::open(storage, &path(files::TIME_INDEX), most.map(|it| it.1), moments)?,
        })
    }

    /// Takes in the next batch of the log.
    pub(crate) fn batch(&mut self, step: &Step<'_>) -> Result<()> {
        if let Some(places) = &mut self.places {
            places.batch(step)?;
        }
        if let Some(moments) = &mut self.moments {
            moments.batch(step)?;
        }
        Ok(())
    }

    /// What is wrong with them, at the end of the log. `dir` is their folder's name.
    pub(crate) fn findings(mut self, dir: &Path, base: i64, severity: Severity) -> Vec<Finding> {
        let mut found = Vec::new();
        let places = self.places.as_mut().map(|beside| {
            beside.end();
            beside.wrong.take()
        });
        let moments = self.moments.as_mut().map(|beside| {
            beside.end();
            beside.wrong.take()
        });
        for (suffix, state) in [(files::INDEX, places), (files::TIME_INDEX, moments)] {
            let path = files::path(dir, base, suffix);
            found.extend(match state {
                None => Some(Finding::note(
                    "index-missing",
                    &path,
                    "there is none: finding a place in this segment takes longer",
                )),
                Some(Some((position, what))) => {
                    let message = format!("the index does not fit its log: {what}");
                    Some(Finding::new(severity, "index-mismatch", path, message).at(position))
                }
                Some(None) => None,
            });
        }
        found
    }
}
