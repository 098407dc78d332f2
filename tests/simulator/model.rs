//! What must be true, kept beside the engine in the simplest form: what was tried, what was told,
//! and what somebody saw.

use std::collections::{BTreeMap, HashMap};

use brokerless::TopicPartition;
use brokerless::types::Timestamp;

use crate::team::Team;
use crate::topics::{Policy, Tick, Topics};
use crate::verdict::State;

/// A record that somebody tried to append: its number is its value.
pub(crate) type Number = u64;

/// A partition in one life of its topic: under the name there may be another later.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Place {
    pub(crate) life: usize,
    pub(crate) id: TopicPartition,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.id, self.life)
    }
}

/// What the model takes for a violation.
pub(crate) type Wrong = String;

/// A record as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
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
pub(crate) struct Attempt {
    pub(crate) partition: Place,
    /// What no two processes have in common.
    producer: usize,
    key: String,
    /// Its place in its batch, from both ends.
    pub(crate) before: usize,
    behind: usize,
    /// Bytes of the batch that it begins.
    pub(crate) size: u64,
    pub(crate) timestamp: Timestamp,
    /// The append came back with an error: it is not in the log.
    pub(crate) failed: bool,
    /// It was in no log when all had ended or died.
    pub(crate) missing: bool,
}

/// What is known of one log.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    pub(crate) policy: Policy,
    /// Told or seen: by offset.
    pub(crate) known: BTreeMap<i64, (Number, i32)>,
    /// Where each known record is.
    pub(crate) placed: HashMap<Number, i64>,
    /// Everything below was told to survive a crash.
    pub(crate) durable: i64,
    /// Nothing below is there any more, as was told or seen.
    pub(crate) gone: i64,
    /// Where the log may start at most, whatever is in it.
    pub(crate) free: i64,
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
    /// It may be one for the topic that had the name before.
    crossed: bool,
}

/// All that is known.
#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    pub(crate) topics: Topics,
    pub(crate) team: Team,
    pub(crate) attempts: Vec<Attempt>,
    /// The latest time by which somebody judged what is due.
    pub(crate) now: Timestamp,
    pub(crate) logs: BTreeMap<Place, Log>,
    commits: BTreeMap<(String, Place), Commit>,
    /// Those that are under way: by whom, for which group, of what, and which offset.
    committing: Vec<(usize, String, Place, i64)>,
    pub(crate) counts: Counts,
}

/// What has happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Appends, syncs and commits that were told to have succeeded.
    pub(crate) told: u64,
    /// Topics that were made, and deleted.
    pub(crate) made: u64,
    pub(crate) deleted: u64,
    /// Commits of members for what they own.
    pub(crate) owned: u64,
    /// Starts of logs that were seen to have moved.
    pub(crate) moved: u64,
    /// Calls of the engine that gave an error of the system.
    pub(crate) errors: u64,
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.told += other.told;
        self.made += other.made;
        self.deleted += other.deleted;
        self.owned += other.owned;
        self.moved += other.moved;
        self.errors += other.errors;
    }
}

/// A log as it was found after an event: all records, its ends and its epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FoundLog {
    pub(crate) records: Vec<Record>,
    pub(crate) start: i64,
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
pub(crate) use check;

impl Model {
    /// Somebody is about to make a topic; gives the number of its life.
    pub(crate) fn begin_create(
        &mut self,
        name: &str,
        partitions: i32,
        policy: Policy,
        maker: usize,
    ) -> usize {
        let life = self.topics.begin_create(name, partitions, policy, maker);
        for number in 0..partitions {
            let id = TopicPartition::new(name, number);
            self.logs.insert(Place { life, id }, Log::new(policy));
        }
        for (_, group, place, offset) in self.committing.clone() {
            if *place.id.topic == *name {
                self.cross(&group, &Place { life, ..place }, offset);
            }
        }
        life
    }

    /// That process ended, or died.
    pub(crate) fn end_of(&mut self, process: usize) {
        self.topics.end_of(process);
        self.team.end_of(process);
        self.committing.retain(|(it, ..)| *it != process);
    }

    /// A commit by name may be taken for one of a later topic of the name.
    fn cross(&mut self, group: &str, place: &Place, offset: i64) {
        let commit = self.commits.entry((group.to_owned(), place.clone())).or_default();
        (commit.tried, commit.crossed) = (commit.tried.max(offset), true);
    }

    pub(crate) fn log(&self, partition: &Place) -> &Log {
        &self.logs[partition]
    }

    pub(crate) fn log_mut(&mut self, partition: &Place) -> &mut Log {
        self.logs.get_mut(partition).expect("a partition that was added")
    }

    /// Somebody is about to append a batch of these keys; gives the number of its first record.
    pub(crate) fn begin_append(
        &mut self,
        partition: &Place,
        producer: usize,
        keys: &[String],
        timestamp: Timestamp,
    ) -> Number {
        let first = self.attempts.len() as Number;
        for (index, key) in keys.iter().enumerate() {
            self.attempts.push(Attempt {
                partition: partition.clone(),
                producer,
                key: key.clone(),
                before: index,
                behind: keys.len() - 1 - index,
                size: 0,
                timestamp,
                failed: false,
                missing: false,
            });
        }
        first
    }

    /// The batch that begins with that record has so many bytes.
    pub(crate) fn set_size(&mut self, first: Number, size: usize) {
        self.attempts[first as usize].size = size as u64;
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
        self.counts.told += 1;
        check!(end - base == count as i64, "{count} records were appended as {base}..{end}");
        for number in first..first + count {
            let attempt = &self.attempts[number as usize];
            let (partition, key) = (attempt.partition.clone(), attempt.key.clone());
            let offset = base + (number - first) as i64;
            self.see(&partition, &Record { offset, epoch, key, number })?;
        }
        Ok(())
    }

    /// A record was told, or read.
    pub(crate) fn see(&mut self, partition: &Place, found: &Record) -> Result<(), Wrong> {
        self.check_attempt(partition, found)?;
        let log = self.log_mut(partition);
        log.check(partition, found)?;
        log.know(found);
        Ok(())
    }

    fn check_attempt(&self, partition: &Place, found: &Record) -> Result<(), Wrong> {
        let attempt = self.attempts.get(found.number as usize);
        let fits = attempt.is_some_and(|it| it.partition == *partition && it.key == found.key);
        check!(fits, "{partition}: nobody appended {found:?}");
        check!(!attempt.is_some_and(|it| it.failed), "{partition}: {found:?} was not appended");
        Ok(())
    }

    /// Records that a reader got in one read, which began at `from`.
    pub(crate) fn read(
        &mut self,
        partition: &Place,
        from: i64,
        records: &[Record],
    ) -> Result<(), Wrong> {
        let dense = !self.log(partition).policy.compacts();
        let follow = records.iter().enumerate().all(|(at, it)| it.offset == from + at as i64);
        check!(!dense || follow, "{partition}: a read from {from} gave {records:?}");
        records.iter().try_for_each(|found| self.see(partition, found))
    }

    /// Everything below `end` was told to be on the disk.
    pub(crate) fn synced(&mut self, partition: &Place, end: i64) {
        self.counts.told += 1;
        let log = self.log_mut(partition);
        log.durable = log.durable.max(end);
    }

    /// An offset to commit: behind all that were tried before, not behind the known end.
    pub(crate) fn begin_commit(
        &mut self,
        process: usize,
        group: &str,
        place: &Place,
    ) -> Option<i64> {
        let end = self.log(place).end();
        let commit = self.commits.entry((group.to_owned(), place.clone())).or_default();
        if end <= commit.tried {
            return None;
        }
        commit.tried = end;
        for life in self.topics.later(place.life) {
            self.cross(group, &Place { life, ..place.clone() }, end);
        }
        self.committing.push((process, group.to_owned(), place.clone(), end));
        Some(end)
    }

    /// The commit came back; if told so, it is on the disk, and so are all records below.
    pub(crate) fn end_commit(
        &mut self,
        process: usize,
        group: &str,
        place: &Place,
        told: Option<i64>,
    ) {
        self.committing.retain(|(it, ..)| *it != process);
        let Some(offset) = told.filter(|_| !self.topics.is_doomed(place.life)) else { return };
        let commit = self.commits.entry((group.to_owned(), place.clone())).or_default();
        commit.told = commit.told.max(offset);
        self.synced(place, offset);
    }

    /// What the group was told to have committed.
    pub(crate) fn told(&self, group: &str) -> BTreeMap<Place, i64> {
        let of = self.commits.iter().filter(|((it, _), _)| it == group);
        of.map(|((_, place), commit)| (place.clone(), commit.told)).collect()
    }

    /// Partitions that were there at that time and are now.
    pub(crate) fn sure_places(&self, then: Tick) -> impl Iterator<Item = &Place> {
        self.logs.keys().filter(move |place| self.topics.is_sure(place.life, then))
    }

    /// Commits of a group for these partitions as they are read; with the ends, where these are
    /// known.
    pub(crate) fn check_commits<'a>(
        &self,
        group: &str,
        places: impl Iterator<Item = &'a Place>,
        least: &BTreeMap<Place, i64>,
        found: impl Fn(&TopicPartition) -> Option<i64>,
        end: impl Fn(&Place) -> Option<i64>,
    ) -> Result<(), Wrong> {
        for place in places {
            let key = (group.to_owned(), place.clone());
            let Commit { tried, crossed, .. } = self.commits.get(&key).copied().unwrap_or_default();
            let told = least.get(place).copied().unwrap_or(0);
            let found = found(&place.id).unwrap_or(0);
            check!(
                (told..=tried).contains(&found),
                "group {group} has {found} of {place}: not in {told}..={tried}"
            );
            let end = end(place).filter(|_| !crossed).unwrap_or(i64::MAX);
            check!(found <= end, "group {group} has {found} of {place}, which ends at {end}");
        }
        Ok(())
    }

    /// How many records must be there after a power loss.
    pub(crate) fn acknowledged(&self) -> u64 {
        let there = |place: &Place| !self.topics.is_doomed(place.life);
        let due = self.logs.iter().filter(|(place, _)| there(place));
        due.map(|(_, log)| log.durable.saturating_sub(log.gone).max(0) as u64).sum()
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
        partition: &Place,
        found: &FoundLog,
    ) -> Result<(), Wrong> {
        let log = self.log(partition);
        let least = if event == Event::Machine { log.durable } else { log.end() };
        let (least, end) = (least.max(log.gone), found.end);
        check!(end >= least, "{partition} ends at {end}, but {least} was told");
        for record in &found.records {
            self.check_attempt(partition, record)?;
            log.check(partition, record)?;
        }
        self.check_start(partition, log.gone, found.start)?;
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
    fn check_order(&self, partition: &Place, found: &FoundLog) -> Result<(), Wrong> {
        let mut last: HashMap<usize, Number> = HashMap::new();
        let dense = !self.log(partition).policy.compacts();
        for (at, record) in found.records.iter().enumerate() {
            let Attempt { producer, before, behind, .. } = self.attempts[record.number as usize];
            let previous = last.insert(producer, record.number);
            let ordered = previous.is_none_or(|previous| previous < record.number);
            check!(ordered, "{partition}: {record:?} stands behind {previous:?}");
            let number = |at: Option<usize>| Some(found.records.get(at?)?.number);
            let is_cut = at == 0 && found.start > 0;
            let begun =
                before == 0 || is_cut || number(at.checked_sub(1)) == Some(record.number - 1);
            let goes_on = behind == 0 || number(Some(at + 1)) == Some(record.number + 1);
            check!(!dense || begun && goes_on, "{partition}: a part of a batch at {record:?}");
        }
        Ok(())
    }

    /// Takes what was found for what there is; nobody is there who was before.
    pub(crate) fn accept_all(&mut self, event: Event, found: &State) {
        for (name, topic) in &found.topics {
            self.topics.accept(event, name, topic.as_ref());
        }
        for (place, log) in &found.logs {
            self.accept(event, place, log);
        }
        self.team = Team::default();
        self.committing.clear();
    }

    /// Takes what was found for what there is.
    fn accept(&mut self, event: Event, partition: &Place, found: &FoundLog) {
        let log = self.log_mut(partition);
        if event == Event::Machine {
            let lost = log.known.split_off(&found.end);
            for (number, _) in lost.values() {
                log.placed.remove(number);
            }
            log.durable = found.end;
        }
        (log.gone, log.free) = (found.start, log.free.max(found.start));
        found.records.iter().for_each(|record| log.know(record));
        self.forget_missing(partition);
    }
}

impl Log {
    fn new(policy: Policy) -> Self {
        Self {
            policy,
            known: BTreeMap::new(),
            placed: HashMap::new(),
            durable: 0,
            gone: 0,
            free: 0,
            history: HashMap::new(),
        }
    }

    /// One past the last record that is known.
    pub(crate) fn end(&self) -> i64 {
        let known = self.known.last_key_value().map_or(0, |(offset, _)| offset + 1);
        known.max(self.gone)
    }

    /// A record stands at one place, and at a place stands one record.
    fn check(&self, partition: &Place, found: &Record) -> Result<(), Wrong> {
        let Record { offset, epoch, number, .. } = *found;
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

    fn know(&mut self, found: &Record) {
        self.known.insert(found.offset, (found.number, found.epoch));
        self.placed.insert(found.number, found.offset);
        self.history.insert((found.epoch, found.offset), found.number);
    }

    /// No record is missing: of a compacted log, none that is the last of its key.
    fn check_complete(&self, partition: &Place, found: &FoundLog) -> Result<(), Wrong> {
        let offsets: Vec<i64> = found.records.iter().map(|it| it.offset).collect();
        let FoundLog { start, end, .. } = *found;
        if !self.policy.compacts() {
            let dense = offsets.iter().copied().eq(start..end);
            check!(dense, "{partition} has {offsets:?}, starts at {start} and ends at {end}");
            return Ok(());
        }
        check!(offsets.is_sorted_by(|a, b| a < b), "{partition} has {offsets:?}");
        check!(offsets.last().is_none_or(|last| *last < end), "{partition}: past the end");
        check!(offsets.first().is_none_or(|first| *first >= start), "{partition}: before {start}");
        Ok(())
    }
}

/// Compacted logs.
impl Model {
    /// Whether the last record of each key is there.
    pub(crate) fn check_last(&self, partition: &Place, found: &FoundLog) -> Result<(), Wrong> {
        let log = self.log(partition);
        let mut last: BTreeMap<&str, i64> = BTreeMap::new();
        // What was found to be empty may start where it ends.
        let there = found.start..found.end.max(found.start);
        for (offset, (number, _)) in log.known.range(there) {
            last.insert(&self.attempts[*number as usize].key, *offset);
        }
        for (key, offset) in last {
            let there = found.records.iter().any(|it| it.key == key && it.offset >= offset);
            check!(there, "{partition}: key {key} is not there, which stood at {offset}");
        }
        Ok(())
    }
}
