//! What a simulated process does: anything an engine can do, as a seed decides.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use brokerless::engine::{Cursor, Engine, Membership, OpenOptions, Partition, with_patience};
use brokerless::env::mem::MemDisk;
use brokerless::env::{Access, Env, Storage as _};
use brokerless::record::{Batch, BatchBuilder, BatchInfo};
use brokerless::types::{OffsetAndMetadata, Timestamp};
use brokerless::{Compression, Error, IsolationLevel, TopicPartition};

use crate::dice::Dice;
use crate::faults::Faults;
use crate::model::{Event, Model, Place, Record, Wrong};
use crate::scheduler::Scheduler;
use crate::topics::{Answer, Found, KEPT_BYTES, KEPT_MS, Policy, Topics};

pub(crate) const DIR: &str = "/data";

/// Topics that stay: one that keeps all, and one that is compacted.
pub(crate) const PLAIN: &str = "plain";
pub(crate) const COMPACTED: &str = "compacted";
/// Those that are kept small, where logs are cleaned.
pub(crate) const WANING: &str = "waning";
pub(crate) const BOTH: &str = "both";
/// Those that come and go.
pub(crate) const PASSING: [&str; 2] = ["passing", "fleeting"];

/// Nobody holds a lock for so long.
const PATIENCE: Duration = Duration::from_millis(500);

/// The group that all processes share.
pub(crate) const TEAM: &str = "team";

/// What the processes of a simulation do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mixture {
    /// Everything: topics come and go, all share a group, calls fail.
    All,
    /// They work with logs that stay, and nothing fails: so it comes much oftener to who dies in an
    /// append and who appends after that.
    Logs,
    /// Most of the time they are in the group that all share.
    Group,
    /// Records are deleted, by their age, the size of their log, and the user's will; logs are
    /// compacted; topics come and go; calls fail.
    Cleaning,
}

impl Mixture {
    /// The topics that stay.
    fn topics(self) -> &'static [(&'static str, Policy)] {
        let all = &[
            (PLAIN, Policy::Keep),
            (COMPACTED, Policy::Compact),
            (WANING, Policy::Delete),
            (BOTH, Policy::CompactAndDelete),
        ];
        if self == Self::Cleaning { all } else { &all[..2] }
    }
}

/// Opens the directory as a process does.
pub(crate) fn open(env: Env) -> Result<Arc<Engine>, Error> {
    Engine::open(Path::new(DIR), OpenOptions::default(), env)
}

/// One partition for all commits is enough, and opens faster than 50.
/// Where logs are cleaned, rounds of that are made often.
pub(crate) fn configure(disk: &MemDisk, mixture: Mixture) {
    let dir = Path::new(DIR);
    disk.create_dir(dir).unwrap();
    let file = disk.open(&dir.join("brokerless.properties"), Access::Write).unwrap();
    let mut settings =
        "offsets.topic.num.partitions=1\noffsets.topic.segment.bytes=2000\n".to_owned();
    if mixture == Mixture::Cleaning {
        settings += "log.retention.check.interval.ms=3\nlog.cleaner.backoff.ms=2\n";
    }
    file.write_at(0, settings.as_bytes()).unwrap();
    file.sync_data().unwrap();
    disk.sync_dir(dir).unwrap();
    disk.sync_dir(Path::new("/")).unwrap();
}

/// How many partitions a topic has.
fn partitions(name: &str) -> i32 {
    if [COMPACTED, BOTH].contains(&name) { 1 } else { 2 }
}

/// Makes the topics that stay.
pub(crate) fn make_topics(engine: &Engine, mixture: Mixture, model: &mut Model) {
    for (name, policy) in mixture.topics() {
        let life = model.begin_create(name, partitions(name), *policy, 0);
        let topic = engine.create_topic(name, Some(partitions(name)), &settings(model, life));
        let found = Found::of(&topic.unwrap());
        hold(model.topics.end_create(life, Answer::Done, Some(&found)));
    }
}

/// Those by which a topic is known again.
pub(crate) fn settings(model: &Model, life: usize) -> Vec<(String, String)> {
    let policy = model.topics.life(life).policy;
    let cleanup = match policy {
        Policy::Keep | Policy::Delete => "delete",
        Policy::Compact => "compact",
        Policy::CompactAndDelete => "compact,delete",
    };
    let all = [
        ("cleanup.policy", cleanup),
        ("segment.bytes", &Topics::segment_bytes(life).to_string()),
        ("index.interval.bytes", "100"),
        ("min.cleanable.dirty.ratio", "0.1"),
        ("retention.ms", &KEPT_MS.to_string()),
        ("retention.bytes", &KEPT_BYTES.to_string()),
        ("file.delete.delay.ms", "3"),
    ];
    let settings = if policy.limits() { &all[..] } else { &all[..4] };
    settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// One life of one process.
pub(crate) struct Program<'a> {
    pub(crate) env: Env,
    /// Its own disk, whose calls may fail.
    pub(crate) disk: MemDisk,
    pub(crate) faults: Faults,
    pub(crate) mixture: Mixture,
    /// How the members of the group that all share do it.
    pub(crate) cooperative: bool,
    pub(crate) model: &'a Mutex<Model>,
    pub(crate) scheduler: &'a Scheduler,
    pub(crate) dice: Dice,
    /// Which of the processes, over all its lives: its group's name.
    pub(crate) seat: usize,
    /// Which life of all.
    pub(crate) life: usize,
}

/// An engine, where this process reads, and its place in the group of all.
pub(crate) struct Session {
    pub(crate) engine: Arc<Engine>,
    cursors: BTreeMap<Place, Cursor>,
    pub(crate) member: Option<Membership>,
}

impl Program<'_> {
    /// Runs until the processes are to come to their ends.
    pub(crate) fn run(self) {
        with_patience(PATIENCE, || self.open_and_act());
    }

    fn open_and_act(mut self) {
        while !self.scheduler.is_ending() {
            let Some(engine) = self.open() else { continue };
            // What was read before a sync failed may be gone for who opens the directory now.
            if self.scheduler.is_poisoned() {
                return;
            }
            let mut session = Session { engine, cursors: BTreeMap::new(), member: None };
            let most = if self.mixture == Mixture::Cleaning { 120 } else { 40 };
            for _ in 0..self.dice.below(most) {
                if self.scheduler.is_ending() {
                    break;
                }
                self.act(&mut session);
            }
            self.model().team.end_of(self.life);
        }
    }

    fn open(&self) -> Option<Arc<Engine>> {
        match open(self.env.clone()) {
            // Somebody else had it alone for too long.
            Err(Error::Timeout { .. }) => None,
            opened => self.allow(opened),
        }
    }

    fn act(&mut self, session: &mut Session) {
        match self.mixture {
            Mixture::All => self.act_as_any(session),
            Mixture::Logs => {
                let name = self.dice.pick(&[PLAIN, PLAIN, COMPACTED]);
                self.work(session, name);
            }
            Mixture::Group => match self.dice.below(10) {
                0..7 => self.take_part(session),
                7..9 => {
                    self.rest();
                    self.come_back(session);
                }
                _ => self.work(session, PLAIN),
            },
            Mixture::Cleaning => self.act_as_cleaner(session),
        }
    }

    fn act_as_any(&mut self, session: &mut Session) {
        match self.dice.below(100) {
            0..7 => self.create(&session.engine),
            7..12 => self.delete(&session.engine),
            12..24 => {
                for _ in 0..=self.dice.below(8) {
                    self.take_part(session);
                }
            }
            24..27 => {
                self.rest();
                self.come_back(session);
            }
            27 if self.has_faults() => self.disk.heal(),
            _ => {
                let names = [PLAIN, PLAIN, COMPACTED, PASSING[0], PASSING[1], PASSING[1]];
                let name = self.dice.pick(&names);
                self.work(session, name);
            }
        }
    }

    pub(crate) fn rest(&mut self) {
        let longest = self.dice.pick(&[4_000, 4_000, 100_000]);
        self.env.clock.pause(Duration::from_micros(self.dice.below(longest) as u64));
    }

    pub(crate) fn work(&mut self, session: &mut Session, name: &str) {
        let Some((place, partition)) = self.find(&session.engine, name) else { return };
        match self.dice.below(100) {
            0..50 => self.append(&place, &partition),
            50..70 => self.sync(&place, &partition),
            70..83 => {
                let cursor = session.cursors.entry(place.clone()).or_insert_with(|| Cursor::new(0));
                self.read(&place, &partition, cursor);
            }
            83..90 => self.commit(&session.engine, &place),
            90..94 => self.read_commits(&session.engine),
            _ => self.compact(&place, &partition),
        }
    }

    /// Whether calls of the system fail, for this process or for others.
    pub(crate) fn has_faults(&self) -> bool {
        self.faults != Faults::None
    }

    pub(crate) fn model(&self) -> MutexGuard<'_, Model> {
        self.model.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a call gave; `None` if it failed, which is only right where calls of the system fail.
    /// Nobody has a lock for so long that it is given up.
    pub(crate) fn allow<T>(&self, result: Result<T, Error>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error @ Error::Timeout { .. }) => panic!("{error}"),
            Err(_) if self.has_faults() => {
                self.model().counts.errors += 1;
                None
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// The same of a partition, which may be deleted by others.
    pub(crate) fn allow_of<T>(&self, place: &Place, result: Result<T, Error>) -> Option<T> {
        match result {
            Err(Error::UnknownTopicOrPartition(_)) if self.model().topics.is_doomed(place.life) => {
                None
            }
            result => self.allow(result),
        }
    }

    /// A partition of the topic that has the name now.
    pub(crate) fn find(&mut self, engine: &Engine, name: &str) -> Option<(Place, Arc<Partition>)> {
        let id = TopicPartition::new(name, self.dice.below(partitions(name) as usize) as i32);
        self.find_partition(engine, &id)
    }

    /// That partition, with the life of its topic.
    pub(crate) fn find_partition(
        &self,
        engine: &Engine,
        id: &TopicPartition,
    ) -> Option<(Place, Arc<Partition>)> {
        let name = &*id.topic;
        let began = self.model().topics.tick();
        let partition = match engine.partition(id) {
            Err(Error::UnknownTopicOrPartition(_)) => {
                hold(self.model().topics.miss(Event::Processes, name, began));
                return None;
            }
            found => self.allow(found)?,
        };
        let found = Found {
            id: partition.topic_id(),
            segment_bytes: partition.config().segment_bytes,
            partitions: partitions(name),
        };
        let life = hold(self.model().topics.see(Event::Processes, name, &found, began));
        Some((Place { life, id: id.clone() }, partition))
    }

    /// Of a record: where nothing goes by its age it is the same for all, and indexes are short.
    fn timestamp(&self) -> Timestamp {
        if self.mixture == Mixture::Cleaning { self.env.clock.now() } else { 1_000 }
    }

    pub(crate) fn append(&mut self, place: &Place, partition: &Partition) {
        let keys: Vec<String> =
            (0..=self.dice.below(3)).map(|_| format!("k{}", self.dice.below(8))).collect();
        let time = self.timestamp();
        let first = self.model().begin_append(place, self.life, &keys, time);
        let padding = "x".repeat(self.dice.below(60));
        let mut builder = BatchBuilder::new(Compression::None, None);
        for (index, key) in keys.iter().enumerate() {
            let value = format!("{} {padding}", first + index as u64);
            builder.append(time, Some(key.as_bytes()), Some(value.as_bytes()), &[]);
        }
        let mut batch = builder.finish().unwrap();
        self.model().set_size(first, batch.len());
        let appended = partition.append(&mut batch);
        let Some(appended) = self.allow_of(place, appended) else {
            // Where all calls fail, what was written cannot be taken back, and may be found.
            if self.faults != Faults::Lasting {
                hold(self.model().end_append(first, Err(())));
            }
            return;
        };
        let told = (appended.base_offset, appended.end_offset, appended.leader_epoch);
        hold(self.model().end_append(first, Ok(told)));
        if self.dice.below(4) == 0 {
            self.sync_to(place, partition, appended.end_offset);
        }
    }

    fn sync(&self, place: &Place, partition: &Partition) {
        let Some((_, end)) = self.ends(place, partition) else { return };
        self.sync_to(place, partition, end);
    }

    fn sync_to(&self, place: &Place, partition: &Partition, end: i64) {
        if self.allow_of(place, partition.sync(end)).is_some() {
            self.model().synced(place, end);
            self.scheduler.tell();
        }
    }

    fn read(&mut self, place: &Place, partition: &Partition, cursor: &mut Cursor) {
        if self.dice.below(8) == 0 {
            let Some((_, end)) = self.ends(place, partition) else { return };
            *cursor = Cursor::new(self.dice.below(end as usize + 1) as i64);
        }
        let (from, gone) = (cursor.offset(), self.model().log(place).gone);
        let found = match read_on(partition, cursor, 1 + self.dice.below(600)) {
            Err(Error::OffsetOutOfRange { start, .. }) if from < start => {
                hold(self.model().see_start(place, gone, start));
                *cursor = Cursor::new(start);
                return;
            }
            found => self.allow_of(place, found),
        };
        let Some(found) = found else { return };
        assert!(from >= gone, "{place}: {from} can be read, and the log starts at {gone}");
        hold(self.model().read(place, from, &found));
    }

    fn commit(&self, engine: &Arc<Engine>, place: &Place) {
        let group = format!("g{}", self.seat);
        self.commit_as(&group, place, |offsets| engine.group(&group)?.commit(offsets));
    }

    /// Whether the commit succeeded.
    pub(crate) fn commit_as(
        &self,
        group: &str,
        place: &Place,
        commit: impl FnOnce(&[(TopicPartition, OffsetAndMetadata)]) -> Result<(), Error>,
    ) -> bool {
        let Some(offset) = self.model().begin_commit(self.life, group, place) else { return false };
        let at = OffsetAndMetadata { offset, metadata: String::new(), leader_epoch: 0 };
        let committed = match commit(&[(place.id.clone(), at)]) {
            Err(Error::Timeout { .. }) => None,
            Err(Error::CommitFailed { .. } | Error::RebalanceInProgress(_)) if group == TEAM => {
                None
            }
            committed => self.allow_of(place, committed),
        };
        let told = committed.map(|()| offset);
        self.model().end_commit(self.life, group, place, told);
        told.is_some()
    }

    fn read_commits(&mut self, engine: &Engine) {
        let group = self.dice.pick(&[TEAM, &*format!("g{}", self.seat)]).to_owned();
        let began = self.model().topics.tick();
        let least = self.model().told(&group);
        let Some(found) = self.allow(engine.committed_offsets(&group)) else { return };
        let offset = |id: &TopicPartition| found.get(id).map(|commit| commit.offset);
        let model = self.model();
        hold(model.check_commits(&group, model.sure_places(began), &least, offset, |_| None));
    }

    pub(crate) fn compact(&self, place: &Place, partition: &Partition) {
        if self.model().log(place).policy.compacts() {
            self.allow_of(place, partition.compact(self.env.clock.now()));
        }
    }
}

/// What the model says must hold.
pub(crate) fn hold<T>(said: Result<T, Wrong>) -> T {
    said.unwrap_or_else(|wrong| panic!("{wrong}"))
}

/// The records of one read.
pub(crate) fn read_on(
    partition: &Partition,
    cursor: &mut Cursor,
    max_bytes: usize,
) -> Result<Vec<Record>, Error> {
    let from = cursor.offset();
    let chunk = partition.read(cursor, max_bytes, IsolationLevel::ReadUncommitted)?;
    let (mut rest, mut found) = (chunk.bytes, Vec::new());
    while !rest.is_empty() {
        let info = BatchInfo::parse(&rest).unwrap();
        let batch = Batch::decode(rest.split_to(info.size), usize::MAX).unwrap();
        for record in batch.records().map(Result::unwrap).filter(|it| it.offset >= from) {
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            let value = text(record.value.unwrap());
            found.push(Record {
                offset: record.offset,
                epoch: info.leader_epoch,
                key: text(record.key.unwrap()),
                number: value.split_once(' ').unwrap().0.parse().unwrap(),
            });
        }
    }
    Ok(found)
}
