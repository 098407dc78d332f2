//! What must be true, kept beside the engine in the simplest form: what was tried, what was told,
//! and what somebody saw.

use std::collections::{BTreeMap, HashMap};

use brokerless::TopicPartition;

/// A record that somebody tried to append: its number is its value.
pub(crate) type Number = u64;

/// What the model takes for a violation.
pub(crate) type Wrong = String;

/// A record as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) offset: i64,
    pub(crate) epoch: i32,
    pub(crate) key: String,
    pub(crate) number: Number,
}

/// What has happened to all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// All processes ended or died; the machine runs.
    Processes,
    /// The machine lost power.
    Machine,
}

#[derive(Clone, Debug)]
struct Attempt {
    partition: TopicPartition,
    /// What no two processes have in common.
    producer: usize,
    key: String,
    /// Its place in its batch, from both ends.
    before: usize,
    behind: usize,
    /// The append came back with an error: it is not in the log.
    failed: bool,
}

/// What is known of one log.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log {
    pub(crate) compacted: bool,
    /// Told or seen: by offset.
    known: BTreeMap<i64, (Number, i32)>,
    /// Where each known record is.
    placed: HashMap<Number, i64>,
    /// Everything below was told to survive a crash.
    pub(crate) durable: i64,
    /// All that was ever told or seen, by epoch and offset: a reader tells by them that its past
    /// was lost.
    history: HashMap<(i32, i64), Number>,
}

/// What a group has committed of one partition.
#[derive(Clone, Copy, Debug, Default)]
struct Commit {
    /// Told to survive a crash; 0 if none was.
    told: i64,
    tried: i64,
}

/// All that is known.
#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    attempts: Vec<Attempt>,
    logs: BTreeMap<TopicPartition, Log>,
    commits: BTreeMap<(String, TopicPartition), Commit>,
    /// Appends, syncs and commits that were told to have succeeded.
    pub(crate) told: u64,
}

/// A log as it was found after an event: all records, its end and its epoch.
#[derive(Clone, Debug)]
pub(crate) struct FoundLog {
    pub(crate) records: Vec<Found>,
    pub(crate) end: i64,
    pub(crate) epoch: i32,
}

macro_rules! check {
    ($holds:expr, $($what:tt)+) => {
        if !$holds {
            return Err(format!($($what)+));
        }
    };
}

impl Model {
    pub(crate) fn add(&mut self, partition: TopicPartition, compacted: bool) {
        self.logs.insert(partition, Log { compacted, ..Log::default() });
    }

    pub(crate) fn partitions(&self) -> impl Iterator<Item = &TopicPartition> {
        self.logs.keys()
    }

    pub(crate) fn log(&self, partition: &TopicPartition) -> &Log {
        &self.logs[partition]
    }

    fn log_mut(&mut self, partition: &TopicPartition) -> &mut Log {
        self.logs.get_mut(partition).expect("a partition that was added")
    }

    /// Somebody is about to append a batch of these keys; gives the number of its first record.
    pub(crate) fn begin_append(
        &mut self,
        partition: &TopicPartition,
        producer: usize,
        keys: &[String],
    ) -> Number {
        let first = self.attempts.len() as Number;
        for (index, key) in keys.iter().enumerate() {
            self.attempts.push(Attempt {
                partition: partition.clone(),
                producer,
                key: key.clone(),
                before: index,
                behind: keys.len() - 1 - index,
                failed: false,
            });
        }
        first
    }

    /// The append came back.
    pub(crate) fn end_append(
        &mut self,
        first: Number,
        appended: Result<(i64, i64, i32), ()>,
    ) -> Result<(), Wrong> {
        let count = self.attempts[first as usize].behind as u64 + 1;
        let Ok((base, end, epoch)) = appended else {
            let failed = first as usize..(first + count) as usize;
            self.attempts[failed].iter_mut().for_each(|attempt| attempt.failed = true);
            return Ok(());
        };
        self.told += 1;
        check!(end - base == count as i64, "{count} records were appended as {base}..{end}");
        for number in first..first + count {
            let attempt = &self.attempts[number as usize];
            let (partition, key) = (attempt.partition.clone(), attempt.key.clone());
            let offset = base + (number - first) as i64;
            self.see(&partition, &Found { offset, epoch, key, number })?;
        }
        Ok(())
    }

    /// A record was told, or read.
    pub(crate) fn see(&mut self, partition: &TopicPartition, found: &Found) -> Result<(), Wrong> {
        self.check_attempt(partition, found)?;
        let log = self.log_mut(partition);
        log.check(partition, found)?;
        log.know(found);
        Ok(())
    }

    fn check_attempt(&self, partition: &TopicPartition, found: &Found) -> Result<(), Wrong> {
        let attempt = self.attempts.get(found.number as usize);
        let fits = attempt.is_some_and(|it| it.partition == *partition && it.key == found.key);
        check!(fits, "{partition}: nobody appended {found:?}");
        check!(!attempt.is_some_and(|it| it.failed), "{partition}: {found:?} was not appended");
        Ok(())
    }

    /// Records that a reader got in one read, which began at `from`.
    pub(crate) fn read(
        &mut self,
        partition: &TopicPartition,
        from: i64,
        records: &[Found],
    ) -> Result<(), Wrong> {
        let dense = !self.log(partition).compacted;
        let follow = records.iter().enumerate().all(|(at, it)| it.offset == from + at as i64);
        check!(!dense || follow, "{partition}: a read from {from} gave {records:?}");
        records.iter().try_for_each(|found| self.see(partition, found))
    }

    /// Everything below `end` was told to be on the disk.
    pub(crate) fn synced(&mut self, partition: &TopicPartition, end: i64) {
        self.told += 1;
        let log = self.log_mut(partition);
        log.durable = log.durable.max(end);
    }

    /// An offset to commit: behind all that were tried before, not behind the known end.
    pub(crate) fn begin_commit(&mut self, group: &str, partition: &TopicPartition) -> Option<i64> {
        let end = self.log(partition).end();
        let commit = self.commits.entry((group.to_owned(), partition.clone())).or_default();
        (end > commit.tried).then(|| {
            commit.tried = end;
            end
        })
    }

    /// The commit was told to be on the disk, and all records below.
    pub(crate) fn committed(&mut self, group: &str, partition: &TopicPartition, offset: i64) {
        let commit = self.commits.entry((group.to_owned(), partition.clone())).or_default();
        commit.told = commit.told.max(offset);
        self.synced(partition, offset);
    }

    /// Commits as they are read; with the ends, where these are known.
    pub(crate) fn check_commits(
        &self,
        group: &str,
        found: impl Fn(&TopicPartition) -> Option<i64>,
        end: impl Fn(&TopicPartition) -> Option<i64>,
    ) -> Result<(), Wrong> {
        for ((_, partition), commit) in self.commits.iter().filter(|((it, _), _)| it == group) {
            let found = found(partition).unwrap_or(0);
            let Commit { told, tried } = *commit;
            check!(
                (told..=tried).contains(&found),
                "group {group} has {found} of {partition}: not in {told}..={tried}"
            );
            let end = end(partition).unwrap_or(i64::MAX);
            check!(found <= end, "group {group} has {found} of {partition}, which ends at {end}");
        }
        Ok(())
    }

    pub(crate) fn groups(&self) -> Vec<String> {
        let mut groups: Vec<_> = self.commits.keys().map(|(group, _)| group.clone()).collect();
        groups.dedup();
        groups
    }

    /// Whether a log is what it may be after an event.
    pub(crate) fn check_after(
        &self,
        event: Event,
        partition: &TopicPartition,
        found: &FoundLog,
    ) -> Result<(), Wrong> {
        let log = self.log(partition);
        let least = if event == Event::Machine { log.durable } else { log.end() };
        let end = found.end;
        check!(end >= least, "{partition} ends at {end}, but {least} was told");
        for record in &found.records {
            self.check_attempt(partition, record)?;
            log.check(partition, record)?;
        }
        log.check_complete(partition, found)?;
        self.check_order(partition, found)?;
        let lost = log.known.range(end..).map(|(_, (_, epoch))| *epoch).max();
        let epoch = found.epoch;
        check!(
            lost.is_none_or(|lost| lost < epoch),
            "{partition} lost records of epoch {lost:?}, and the epoch is {epoch}"
        );
        Ok(())
    }

    /// Each producer's records are in the order it sent them, and batches are whole.
    fn check_order(&self, partition: &TopicPartition, found: &FoundLog) -> Result<(), Wrong> {
        let mut last: HashMap<usize, Number> = HashMap::new();
        let dense = !self.log(partition).compacted;
        for (at, record) in found.records.iter().enumerate() {
            let Attempt { producer, before, behind, .. } = self.attempts[record.number as usize];
            let previous = last.insert(producer, record.number);
            let ordered = previous.is_none_or(|previous| previous < record.number);
            check!(ordered, "{partition}: {record:?} stands behind {previous:?}");
            let number = |at: Option<usize>| Some(found.records.get(at?)?.number);
            let begun = before == 0 || number(at.checked_sub(1)) == Some(record.number - 1);
            let goes_on = behind == 0 || number(Some(at + 1)) == Some(record.number + 1);
            check!(!dense || begun && goes_on, "{partition}: a part of a batch at {record:?}");
        }
        Ok(())
    }

    /// Takes what was found for what there is.
    pub(crate) fn accept(&mut self, event: Event, partition: &TopicPartition, found: &FoundLog) {
        let log = self.log_mut(partition);
        if event == Event::Machine {
            let lost = log.known.split_off(&found.end);
            for (number, _) in lost.values() {
                log.placed.remove(number);
            }
            log.durable = found.end;
        }
        found.records.iter().for_each(|record| log.know(record));
    }
}

impl Log {
    /// One past the last record that is known.
    pub(crate) fn end(&self) -> i64 {
        self.known.last_key_value().map_or(0, |(offset, _)| offset + 1)
    }

    /// A record stands at one place, and at a place stands one record.
    fn check(&self, partition: &TopicPartition, found: &Found) -> Result<(), Wrong> {
        let Found { offset, epoch, number, .. } = *found;
        let known = self.known.get(&offset);
        check!(
            known.is_none_or(|known| *known == (number, epoch)),
            "{partition}: {found:?} stands where {known:?} was"
        );
        let placed = self.placed.get(&number);
        check!(
            placed.is_none_or(|it| *it == offset),
            "{partition}: {found:?} is at {placed:?} too"
        );
        let before = self.history.get(&(epoch, offset));
        check!(
            before.is_none_or(|before| *before == number),
            "{partition}: {found:?} cannot be told from {before:?}, which was lost"
        );
        Ok(())
    }

    fn know(&mut self, found: &Found) {
        self.known.insert(found.offset, (found.number, found.epoch));
        self.placed.insert(found.number, found.offset);
        self.history.insert((found.epoch, found.offset), found.number);
    }

    /// No record is missing: of a compacted log, none that is the last of its key.
    fn check_complete(&self, partition: &TopicPartition, found: &FoundLog) -> Result<(), Wrong> {
        let offsets: Vec<i64> = found.records.iter().map(|it| it.offset).collect();
        if !self.compacted {
            let dense = offsets.iter().copied().eq(0..found.end);
            check!(dense, "{partition} has {offsets:?} and ends at {}", found.end);
            return Ok(());
        }
        check!(offsets.is_sorted_by(|a, b| a < b), "{partition} has {offsets:?}");
        check!(offsets.last().is_none_or(|last| *last < found.end), "{partition}: past the end");
        Ok(())
    }
}

/// Compacted logs.
impl Model {
    /// Whether the last record of each key is there.
    pub(crate) fn check_last(
        &self,
        partition: &TopicPartition,
        found: &FoundLog,
    ) -> Result<(), Wrong> {
        let log = self.log(partition);
        let mut last: BTreeMap<&str, i64> = BTreeMap::new();
        for (offset, (number, _)) in log.known.range(..found.end) {
            last.insert(&self.attempts[*number as usize].key, *offset);
        }
        for (key, offset) in last {
            let there = found.records.iter().any(|it| it.key == key && it.offset >= offset);
            check!(there, "{partition}: key {key} is not there, which stood at {offset}");
        }
        Ok(())
    }
}
