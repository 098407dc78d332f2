//! What a simulated process does: anything an engine can do, as a seed decides.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use brokerless::engine::{Cursor, Engine, OpenOptions, Partition};
use brokerless::env::mem::MemDisk;
use brokerless::env::{Access, Env, Storage as _};
use brokerless::record::{Batch, BatchBuilder, BatchInfo};
use brokerless::types::OffsetAndMetadata;
use brokerless::{Compression, Error, IsolationLevel, TopicPartition};

use crate::dice::Dice;
use crate::model::{Found, Model, Wrong};
use crate::scheduler::Scheduler;

pub(crate) const DIR: &str = "/data";

/// A topic that keeps all, with two partitions, and one that is compacted.
pub(crate) const PLAIN: &str = "plain";
pub(crate) const COMPACTED: &str = "compacted";

/// Opens the directory as a process does.
pub(crate) fn open(env: Env) -> Result<Arc<Engine>, Error> {
    Engine::open(Path::new(DIR), OpenOptions::default(), env)
}

/// One partition for all commits is enough, and opens faster than 50.
pub(crate) fn configure(disk: &MemDisk) {
    let dir = Path::new(DIR);
    disk.create_dir(dir).unwrap();
    let file = disk.open(&dir.join("brokerless.properties"), Access::Write).unwrap();
    file.write_at(0, b"offsets.topic.num.partitions=1\noffsets.topic.segment.bytes=2000\n")
        .unwrap();
    file.sync_data().unwrap();
    disk.sync_dir(dir).unwrap();
    disk.sync_dir(Path::new("/")).unwrap();
}

/// Makes the topics, small enough that segments are rolled all the time.
pub(crate) fn make_topics(engine: &Engine) {
    for (name, partitions, policy) in [(PLAIN, 2, "delete"), (COMPACTED, 1, "compact")] {
        let settings = [
            ("cleanup.policy", policy),
            ("segment.bytes", "500"),
            ("index.interval.bytes", "100"),
            ("min.cleanable.dirty.ratio", "0.1"),
        ];
        let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
        engine.create_topic(name, Some(partitions), &settings).unwrap();
    }
}

pub(crate) fn partitions() -> Vec<(TopicPartition, bool)> {
    let plain = (0..2).map(|number| (TopicPartition::new(PLAIN, number), false));
    plain.chain([(TopicPartition::new(COMPACTED, 0), true)]).collect()
}

/// One life of one process.
pub(crate) struct Program<'a> {
    pub(crate) env: Env,
    pub(crate) model: &'a Mutex<Model>,
    pub(crate) scheduler: &'a Scheduler,
    pub(crate) dice: Dice,
    /// Which of the processes, over all its lives: its group's name.
    pub(crate) seat: usize,
    /// Which life of all.
    pub(crate) life: usize,
}

/// An engine, and where this process reads.
struct Session {
    engine: Arc<Engine>,
    cursors: BTreeMap<TopicPartition, Cursor>,
}

impl Program<'_> {
    /// Runs until the processes are to come to their ends.
    pub(crate) fn run(mut self) {
        while !self.scheduler.is_ending() {
            let Some(engine) = self.open() else { continue };
            let mut session = Session { engine, cursors: BTreeMap::new() };
            for _ in 0..self.dice.below(40) {
                if self.scheduler.is_ending() {
                    return;
                }
                self.act(&mut session);
            }
        }
    }

    fn open(&self) -> Option<Arc<Engine>> {
        match open(self.env.clone()) {
            Ok(engine) => Some(engine),
            // Somebody else had it alone for too long.
            Err(Error::Timeout { .. }) => None,
            Err(error) => panic!("{error}"),
        }
    }

    fn act(&mut self, session: &mut Session) {
        let all = partitions();
        let (id, compacted) = &all[self.dice.below(all.len())];
        let partition = session.engine.partition(id).unwrap();
        match self.dice.below(100) {
            0..45 => self.append(&partition),
            45..65 => self.sync(&partition),
            65..80 => self.read(
                &partition,
                session.cursors.entry(id.clone()).or_insert_with(|| Cursor::new(0)),
            ),
            80..86 => self.commit(&session.engine, id),
            86..90 => self.read_commits(&session.engine),
            90..94 => self.env.clock.pause(Duration::from_millis(self.dice.below(100) as u64)),
            _ if *compacted => self.compact(&partition),
            _ => {}
        }
    }

    fn model(&self) -> MutexGuard<'_, Model> {
        self.model.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn append(&mut self, partition: &Partition) {
        let keys: Vec<String> =
            (0..=self.dice.below(3)).map(|_| format!("k{}", self.dice.below(8))).collect();
        let first = self.model().begin_append(partition.id(), self.life, &keys);
        let padding = "x".repeat(self.dice.below(60));
        let mut builder = BatchBuilder::new(Compression::None, None);
        for (index, key) in keys.iter().enumerate() {
            let value = format!("{} {padding}", first + index as u64);
            builder.append(1_000, Some(key.as_bytes()), Some(value.as_bytes()), &[]);
        }
        let appended = partition.append(&mut builder.finish().unwrap()).unwrap();
        let told = (appended.base_offset, appended.end_offset, appended.leader_epoch);
        hold(self.model().end_append(first, Ok(told)));
        if self.dice.below(4) == 0 {
            partition.sync(appended.end_offset).unwrap();
            self.model().synced(partition.id(), appended.end_offset);
        }
    }

    fn sync(&self, partition: &Partition) {
        let end = partition.ends().unwrap().log_end_offset;
        partition.sync(end).unwrap();
        self.model().synced(partition.id(), end);
    }

    fn read(&mut self, partition: &Partition, cursor: &mut Cursor) {
        if self.dice.below(8) == 0 {
            let end = partition.ends().unwrap().log_end_offset as usize;
            *cursor = Cursor::new(self.dice.below(end + 1) as i64);
        }
        let from = cursor.offset();
        let found = read_on(partition, cursor, 1 + self.dice.below(600)).unwrap();
        hold(self.model().read(partition.id(), from, &found));
    }

    fn group(&self) -> String {
        format!("g{}", self.seat)
    }

    fn commit(&self, engine: &Engine, id: &TopicPartition) {
        let group = self.group();
        let Some(offset) = self.model().begin_commit(&group, id) else { return };
        let commit = OffsetAndMetadata { offset, metadata: String::new(), leader_epoch: 0 };
        match engine.commit_offsets(&group, &[(id.clone(), commit)]) {
            Ok(()) => self.model().committed(&group, id, offset),
            Err(Error::Timeout { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }

    fn read_commits(&self, engine: &Engine) {
        let group = self.group();
        let found = engine.committed_offsets(&group).unwrap();
        let offset = |id: &TopicPartition| found.get(id).map(|commit| commit.offset);
        hold(self.model().check_commits(&group, offset, |_| None));
    }

    fn compact(&self, partition: &Partition) {
        partition.compact(self.env.clock.now()).unwrap();
    }
}

/// What the model says must hold.
fn hold(said: Result<(), Wrong>) {
    if let Err(wrong) = said {
        panic!("{wrong}");
    }
}

/// The records of one read.
pub(crate) fn read_on(
    partition: &Partition,
    cursor: &mut Cursor,
    max_bytes: usize,
) -> Result<Vec<Found>, Error> {
    let from = cursor.offset();
    let chunk = partition.read(cursor, max_bytes, IsolationLevel::ReadUncommitted)?;
    let (mut rest, mut found) = (chunk.bytes, Vec::new());
    while !rest.is_empty() {
        let info = BatchInfo::parse(&rest).unwrap();
        let batch = Batch::decode(rest.split_to(info.size), usize::MAX).unwrap();
        for record in batch.records().map(Result::unwrap).filter(|it| it.offset >= from) {
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            let value = text(record.value.unwrap());
            found.push(Found {
                offset: record.offset,
                epoch: info.leader_epoch,
                key: text(record.key.unwrap()),
                number: value.split_once(' ').unwrap().0.parse().unwrap(),
            });
        }
    }
    Ok(found)
}
