//! Small text files of Kafka's: a version, a count, a line an entry (`CheckpointFile`).

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use crate::env::Storage;
use crate::error::Result;
use crate::log::files;
use crate::types::TopicPartition;

/// Up to which offset each log was compacted; in the data directory.
pub(crate) const CLEANED: &str = "cleaner-offset-checkpoint";

/// The leader epochs of a partition and where each began, ascending (KIP-101).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LeaderEpochs(Vec<(i32, i64)>);

impl LeaderEpochs {
    /// Reads the file; one that is absent or unreadable counts as empty, as in Kafka.
    pub(crate) fn read(storage: &dyn Storage, dir: &Path) -> Result<Self> {
        let lines = lines(storage, &dir.join(files::LEADER_EPOCHS))?;
        Ok(Self(lines.iter().map_while(|line| epoch(line)).collect()))
    }

    /// Reads the file's bytes; `None` if they are no such list.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        entries(bytes)?.iter().map(|line| epoch(line)).collect::<Option<_>>().map(Self)
    }

    /// Whether each epoch is newer than the one before, and begins behind it.
    pub(crate) fn ascends(&self) -> bool {
        self.0.is_sorted_by(|before, after| before.0 < after.0 && before.1 <= after.1)
    }

    /// Replaces the file.
    pub(crate) fn write(&self, storage: &dyn Storage, dir: &Path) -> Result<()> {
        files::replace(storage, &dir.join(files::LEADER_EPOCHS), self.text().as_bytes())
    }

    /// Writes the file of a log without records, which a crash may take.
    pub(crate) fn write_first(&self, storage: &dyn Storage, dir: &Path) -> Result<()> {
        files::put(storage, &dir.join(files::LEADER_EPOCHS), self.text().as_bytes())
    }

    fn text(&self) -> String {
        text(self.0.iter().map(|(epoch, offset)| format!("{epoch} {offset}")))
    }

    /// The newest epoch.
    pub(crate) fn latest(&self) -> Option<i32> {
        self.0.last().map(|(epoch, _)| *epoch)
    }

    /// Where the oldest epoch begins.
    pub(crate) fn first(&self) -> Option<i64> {
        self.0.first().map(|(_, start)| *start)
    }

    /// The epoch that the record at `offset` is of.
    pub(crate) fn epoch_at(&self, offset: i64) -> Option<i32> {
        let begun = self.0.iter().take_while(|(_, start)| *start <= offset);
        begun.last().map(|(epoch, _)| *epoch)
    }

    /// The newest epoch that is not newer than `epoch`, and where its records end; `None` if none
    /// is newer than `epoch`: then it has not ended.
    pub(crate) fn end_of(&self, epoch: i32) -> Option<(i32, i64)> {
        let newer = self.0.iter().position(|(known, _)| *known > epoch)?;
        let floor = newer.checked_sub(1).map_or(epoch, |floor| self.0[floor].0);
        Some((floor, self.0[newer].1))
    }

    /// Lets the log begin at `offset`: what is known of before goes (Kafka's `truncateFromStart`).
    /// Gives whether that changes anything.
    pub(crate) fn truncate_from_start(&mut self, offset: i64) -> bool {
        let gone = self.0.iter().take_while(|(_, start)| *start <= offset).count();
        let Some(last) = gone.checked_sub(1) else { return false };
        let first = (self.0[last].0, offset);
        let changes = last > 0 || self.0[last] != first;
        self.0.splice(..gone, [first]);
        changes
    }

    /// The epoch of the record at `offset`; -1 if it is not known.
    pub(crate) fn at(&self, offset: i64) -> i32 {
        let known = self.0.iter().rev().find(|(_, start)| *start <= offset);
        known.map_or(-1, |(epoch, _)| *epoch)
    }

    /// Begins an epoch at `offset`. Epochs that began there or later held no record and go.
    pub(crate) fn begin(&mut self, epoch: i32, offset: i64) {
        self.0.retain(|(_, start)| *start < offset);
        self.0.push((epoch, offset));
    }
}

/// An offset a partition: `recovery-point-offset-checkpoint`, `log-start-offset-checkpoint`.
pub(crate) type Offsets = BTreeMap<TopicPartition, i64>;

/// Reads a file of offsets; one that is absent or unreadable counts as empty.
pub(crate) fn read_offsets(storage: &dyn Storage, path: &Path) -> Result<Offsets> {
    Ok(lines(storage, path)?.iter().map_while(|line| offset(line)).collect())
}

/// Reads the bytes of a file of offsets; `None` if they are no such list.
pub(crate) fn parse_offsets(bytes: &[u8]) -> Option<Offsets> {
    entries(bytes)?.iter().map(|line| offset(line)).collect()
}

/// The bytes of a file of offsets.
pub(crate) fn encode_offsets(offsets: &Offsets) -> String {
    let line =
        |(id, offset): (&TopicPartition, &i64)| format!("{} {} {offset}", id.topic, id.partition);
    text(offsets.iter().map(line))
}

/// Replaces a file of offsets.
pub(crate) fn write_offsets(storage: &dyn Storage, path: &Path, offsets: &Offsets) -> Result<()> {
    files::replace(storage, path, encode_offsets(offsets).as_bytes())
}

fn epoch(line: &str) -> Option<(i32, i64)> {
    let (epoch, offset) = line.split_once(' ')?;
    Some((epoch.parse().ok()?, offset.parse().ok()?))
}

fn offset(line: &str) -> Option<(TopicPartition, i64)> {
    let mut words = line.split(' ');
    let topic = words.next()?;
    let partition = words.next()?.parse().ok()?;
    let offset = words.next()?.parse().ok()?;
    let possible = (0..=files::MAX_BASE).contains(&offset);
    possible.then(|| (TopicPartition::new(topic, partition), offset))
}

fn lines(storage: &dyn Storage, path: &Path) -> Result<Vec<String>> {
    let bytes = files::read(storage, path)?.unwrap_or_default();
    Ok(entries(&bytes).unwrap_or_default())
}

/// The lines of a file that is whole.
fn entries(bytes: &[u8]) -> Option<Vec<String>> {
    let mut lines = str::from_utf8(bytes).ok()?.lines();
    let known = lines.next() == Some("0");
    let count: Option<usize> = lines.next().and_then(|line| line.parse().ok());
    let entries: Vec<String> = lines.map(str::to_owned).collect();
    (known && count == Some(entries.len())).then_some(entries)
}

fn text(lines: impl ExactSizeIterator<Item = String>) -> String {
    let mut text = format!("0\n{}\n", lines.len());
    for line in lines {
        writeln!(text, "{line}").expect("a string takes any text");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_without_records_makes_room_for_the_next() {
        let mut epochs = LeaderEpochs::default();
        epochs.begin(0, 0);
        epochs.begin(1, 7);

        epochs.begin(2, 7);

        assert_eq!(epochs, LeaderEpochs(vec![(0, 0), (2, 7)]));
        assert_eq!(epochs.latest(), Some(2));
    }

    #[test]
    fn a_log_that_begins_later_keeps_the_epoch_it_begins_in() {
        let mut epochs = LeaderEpochs(vec![(2, 10), (3, 20), (6, 30)]);

        assert!(!epochs.truncate_from_start(9));
        assert!(!epochs.truncate_from_start(10));
        assert!(epochs.truncate_from_start(15));
        assert_eq!(epochs.0, [(2, 15), (3, 20), (6, 30)]);
        assert!(epochs.truncate_from_start(30));
        assert_eq!(epochs.0, [(6, 30)]);
        assert!(epochs.truncate_from_start(31));

        assert_eq!(epochs.0, [(6, 31)]);
    }

    #[test]
    fn an_epoch_ends_where_the_next_that_is_known_begins() {
        let epochs = LeaderEpochs(vec![(2, 10), (3, 20), (6, 30)]);

        let ends: Vec<_> = (0..7).map(|epoch| epochs.end_of(epoch)).collect();

        let known = [(0, 10), (1, 10), (2, 20), (3, 30), (3, 30), (3, 30)];
        assert_eq!(ends[..6], known.map(Some));
        assert_eq!(ends[6], None);
        assert_eq!(LeaderEpochs::default().end_of(0), None);
    }
}
