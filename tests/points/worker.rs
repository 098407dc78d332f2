//! A process at work on the directory: it appends, commits, compacts, comes and goes, and says what
//! was acknowledged.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use brokerless::config::Change;
use brokerless::coord::group::{Next, Strategy};
use brokerless::engine::{Engine, Join, MemberToRemove, Membership, OpenOptions, Partition};
use brokerless::env::{Env, point};
use brokerless::record::BatchBuilder;
use brokerless::types::OffsetAndMetadata;
use brokerless::{Compression, Error, TopicPartition};

use crate::support::Dice;
use crate::support::{arg, say};

pub(crate) const ORDERS: &str = "orders";
pub(crate) const PARTITIONS: i32 = 3;
/// Compacted.
pub(crate) const TABLE: &str = "table";
/// Only its newest records are kept, and of [`FLEETING`] none.
pub(crate) const STREAM: &str = "stream";
pub(crate) const FLEETING: &str = "fleeting";
pub(crate) const GROUP: &str = "g";
/// Of a group without members that only this process commits for, what is committed grows by one.
pub(crate) const SOLO: &str = "solo";
/// Of a group without members that only this process looks after, nothing is committed, or what
/// it has committed last.
pub(crate) const TENDED: &str = "tended";

pub(crate) fn open(dir: &Path) -> Arc<Engine> {
    Engine::open(dir, OpenOptions::default(), Env::system()).unwrap()
}

pub(crate) fn orders(number: i32) -> TopicPartition {
    TopicPartition::new(ORDERS, number)
}

/// A batch of those records: keys and values.
pub(crate) fn batch(records: &[(Option<&str>, String)]) -> Vec<u8> {
    let mut builder = BatchBuilder::new(Compression::None, None);
    for (key, value) in records {
        builder.append(1_000, key.map(str::as_bytes), Some(value.as_bytes()), &[]);
    }
    builder.finish().unwrap()
}

/// What each sync takes longer here: where a disk is as fast as memory, nobody waits for others to
/// sync together.
const SYNC: Duration = Duration::from_millis(2);

/// What it works with.
struct Worker {
    name: String,
    dir: PathBuf,
    dice: Dice,
    engine: Option<Arc<Engine>>,
    member: Option<Membership>,
    /// Records written to each partition of `orders`.
    written: Vec<u64>,
    /// Values written to the table, and offsets committed alone.
    values: u64,
    passing: u64,
    commits: i64,
    topics: u64,
}

/// Works until it is killed, or has done what it was told to.
pub(crate) fn worker() {
    let seed = arg("seed").parse().unwrap();
    let mut worker = Worker {
        name: arg("name"),
        dir: PathBuf::from(arg("dir")),
        dice: Dice::new(seed),
        engine: None,
        member: None,
        written: vec![0; PARTITIONS as usize],
        values: 0,
        passing: 0,
        commits: 0,
        topics: 0,
    };
    let (focus, deeds): (String, u64) = (arg("focus"), arg("deeds").parse().unwrap());
    let slow_disk = |name| {
        if name == "sync.synced" {
            thread::sleep(SYNC);
        }
    };
    point::with_hook(slow_disk, || {
        worker.reopen();
        say("ready");
        for _ in 0..deeds {
            worker.do_something(&focus);
        }
        worker.shut();
        say("survived");
    });
}

impl Worker {
    fn engine(&self) -> &Arc<Engine> {
        self.engine.as_ref().unwrap()
    }

    fn partition(&self, topic: &str, number: i32) -> Arc<Partition> {
        self.engine().partition(&TopicPartition::new(topic, number)).unwrap()
    }

    fn shut(&mut self) {
        self.member = None;
        self.engine = None;
    }

    fn reopen(&mut self) {
        self.shut();
        self.engine = Some(open(&self.dir));
    }

    fn do_something(&mut self, focus: &str) {
        const ALL: [&str; 8] =
            ["append", "commit", "group", "compact", "topics", "open", "admin", "retain"];
        let any = match self.dice.below(42) {
            0..17 => "append",
            17..20 => "sync",
            20..28 => "commit",
            28..35 => "group",
            other => ALL[other - 34],
        };
        let deed = if focus != "all" && self.dice.chance(60) { focus } else { any };
        match deed {
            "append" => self.append(),
            "sync" => self.sync(),
            "commit" => self.commit(),
            "group" => self.rebalance(),
            "compact" => self.compact(),
            "topics" => self.change_topics(),
            "open" => self.come_again(),
            "retain" => self.retain(),
            "expire" => self.expire(),
            "admin" => self.administer(),
            other => panic!("{other}?"),
        }
    }

    /// Two records a batch, now and then durably.
    fn append(&mut self) {
        let number = self.dice.below(PARTITIONS as usize);
        let next = self.written[number];
        let records = [next, next + 1].map(|n| (None, format!("{} {n}", self.name)));
        let partition = self.partition(ORDERS, number as i32);
        let appended = partition.append(&mut batch(&records)).unwrap();
        self.written[number] += 2;
        say(&format!("append {number} {}", next + 2));
        if self.dice.chance(20) {
            partition.sync(appended.end_offset).unwrap();
        }
    }

    /// So often that others sync the same log meanwhile; then the chores, which note that.
    fn sync(&mut self) {
        for _ in 0..5 {
            self.append();
            let partition = self.partition(ORDERS, 0);
            partition.sync(partition.ends().unwrap().log_end_offset).unwrap();
        }
        self.engine().do_chores(self.engine().env().clock.now()).unwrap();
    }

    /// As a member, and for a group of its own.
    fn commit(&mut self) {
        self.commits += 1;
        let group = format!("{SOLO}-{}", self.name);
        let offset =
            |offset| OffsetAndMetadata { offset, metadata: String::new(), leader_epoch: -1 };
        let commit = [(orders(0), offset(self.commits))];
        let done = if self.dice.chance(50) {
            self.engine().group(&group).unwrap().commit(&commit)
        } else {
            self.engine().commit_offsets(&group, &commit)
        };
        if unless_busy(done) {
            say(&format!("solo {}", self.commits));
        }
        self.commit_as_member();
    }

    fn commit_as_member(&mut self) {
        let Some(member) = &self.member else { return };
        let owned = member.group().state().unwrap().owned(member.uid());
        let Some(id) = owned.first() else { return };
        let committed = self.engine().committed_offsets(GROUP).unwrap();
        let offset = committed.get(id).map_or(1, |commit| commit.offset + 1);
        let metadata = self.name.clone();
        let commit = OffsetAndMetadata { offset, metadata, leader_epoch: -1 };
        if unless_busy(member.commit(&[(id.clone(), commit)])) {
            say(&format!("member {} {offset}", id.partition));
        }
    }

    /// What is next in the group; now and then it leaves.
    fn rebalance(&mut self) {
        for _ in 0..4 {
            self.step_in_group();
        }
        if self.dice.chance(15)
            && let Some(member) = self.member.take()
        {
            unless_busy(member.leave());
        }
    }

    fn step_in_group(&mut self) {
        let group = self.engine().group(GROUP).unwrap();
        unless_busy(group.sweep(self.engine().env().clock.monotonic()).map(drop));
        let Some(member) = &self.member else {
            self.member = or_busy(group.join(join()));
            return;
        };
        member.beat();
        match member.next().unwrap() {
            Next::Release(partitions) => drop(unless_busy(member.release(&partitions))),
            Next::Take(_) => drop(or_busy(member.take())),
            Next::Gone(_) => self.member = None,
            _ => {}
        }
    }

    /// Values of a few keys, which only this process writes, and what becomes of them.
    fn compact(&mut self) {
        let partition = self.partition(TABLE, 0);
        for _ in 0..4 {
            let key = format!("{} {}", self.name, self.values % 3);
            let value = format!("{} {}", self.values, "x".repeat(60));
            partition.append(&mut batch(&[(Some(&key), value)])).unwrap();
            say(&format!("table {}", self.values));
            self.values += 1;
        }
        if self.dice.chance(40) {
            partition.compact(1_000_000).unwrap();
        }
        if self.dice.chance(10) {
            self.engine().tend(self.engine().env().clock.now()).unwrap();
        }
    }

    /// Records that do not stay for long.
    fn retain(&mut self) {
        let now = self.engine().env().clock.now();
        for topic in [STREAM, FLEETING] {
            let partition = self.partition(topic, 0);
            for _ in 0..4 {
                let value = format!("{} {}", self.name, self.passing);
                let appended = partition.append(&mut batch(&[(None, value)])).unwrap();
                say(&format!("passing {topic} {} {}", appended.base_offset, self.passing));
                self.passing += 1;
            }
            unless_busy(partition.retain_if_due(now).map(drop));
        }
        let stream = self.partition(STREAM, 0);
        if self.dice.chance(20) {
            let start = stream.ends().unwrap().log_start_offset + 3;
            if let Some(start) = or_busy(stream.delete_records(start)) {
                say(&format!("started {start}"));
            }
        }
        if self.dice.chance(40) {
            let hours = self.dice.between(1, 1_000) as i64;
            self.engine().tend(now + hours * 3_600_000).unwrap();
        }
    }

    /// A topic of its own: made, used, and mostly deleted again.
    fn change_topics(&mut self) {
        self.topics += 1;
        let name = format!("own-{}-{}", self.name, self.topics);
        let engine = self.engine().clone();
        engine.create_topic(&name, Some(2), &[]).unwrap();
        say(&format!("made {name}"));
        self.change_settings(&name);
        let partition = self.partition(&name, 1);
        let appended = partition.append(&mut batch(&[(None, name.clone())])).unwrap();
        partition.sync(appended.end_offset).unwrap();
        let commit = OffsetAndMetadata { offset: 1, metadata: String::new(), leader_epoch: -1 };
        let id = TopicPartition::new(name.clone(), 1);
        unless_busy(engine.commit_offsets("visitors", &[(id, commit)]));
        if self.dice.chance(80) {
            say(&format!("deleting {name}"));
            if unless_busy(engine.delete_topic(&name)) {
                say(&format!("deleted {name}"));
            }
        }
    }

    /// Two settings at a time, of a topic and of the directory, which must never differ.
    fn change_settings(&self, topic: &str) {
        let value = (1_000_000 + self.topics).to_string();
        let both = |names: [&str; 2]| {
            names.map(|name| (name.to_owned(), Change::Set(value.clone()))).to_vec()
        };
        let engine = self.engine();
        engine
            .alter_topic(topic, &both(["local.retention.ms", "local.retention.bytes"]), false)
            .unwrap();
        let changes = both(["log.local.retention.ms", "log.local.retention.bytes"]);
        engine.alter_directory(&changes, false).unwrap();
    }

    /// Commits for a group of its own that has no members, and takes that back, or the whole group.
    /// Takes itself out of the other group.
    fn administer(&mut self) {
        let group = self.engine().group(&format!("{TENDED}-{}", self.name)).unwrap();
        self.commits += 1;
        let offset = self.commits;
        let commit = OffsetAndMetadata { offset, metadata: String::new(), leader_epoch: -1 };
        say("tended ?");
        if let Some(altered) = or_busy(group.alter_offsets(&[(orders(0), commit)])) {
            assert!(altered[0].is_ok(), "{altered:?}");
            say(&format!("tended {offset}"));
        }
        say("tended ?");
        let done = if self.dice.chance(50) {
            group.delete()
        } else {
            group.delete_offsets(&[orders(0)]).map(drop)
        };
        // It is gone already where the offset could not be committed.
        let was_gone = matches!(done, Err(Error::GroupIdNotFound(_)));
        if was_gone || unless_busy(done) {
            say("tended 0");
        }
        let Some(member) = &self.member else { return };
        let me = MemberToRemove { member_id: Some(member.member_id().into()), ..<_>::default() };
        or_busy(member.group().remove_members(&[me]));
    }

    /// Comes again, and uses every log.
    fn come_again(&mut self) {
        self.reopen();
        for number in 0..PARTITIONS {
            self.partition(ORDERS, number).ends().unwrap();
        }
        self.partition(TABLE, 0).ends().unwrap();
        self.append();
    }

    /// Offsets of a group that nobody is a member of, long after they were committed. Only where
    /// it is no matter that other groups' offsets expire with them.
    fn expire(&mut self) {
        let commit = OffsetAndMetadata { offset: 0, metadata: String::new(), leader_epoch: -1 };
        unless_busy(self.engine().commit_offsets("gone", &[(orders(1), commit)]));
        let year = 365 * 24 * 3_600_000;
        let later = year * self.dice.between(1, 9) as i64;
        // With what was noted of the clock, years are a jump, and nothing expires; without it, the
        // first look only begins to count.
        if let Ok(noted) = File::options().write(true).open(self.dir.join(".brokerless-upkeep")) {
            noted.set_len(0).unwrap();
        }
        let later = self.engine().env().clock.now() + later;
        for now in [later, later + 1] {
            self.engine().expire_offsets(now).unwrap();
        }
    }
}

/// Whether it was done; it may have been refused, or another may have held a lock for too long.
fn unless_busy(done: Result<(), Error>) -> bool {
    or_busy(done).is_some()
}

fn or_busy<T>(done: Result<T, Error>) -> Option<T> {
    match done {
        Ok(done) => Some(done),
        Err(
            Error::Timeout { .. }
            | Error::HeldAlone { .. }
            | Error::CommitFailed { .. }
            | Error::RebalanceInProgress(_),
        ) => None,
        Err(error) => panic!("{error}"),
    }
}

pub(crate) fn join() -> Join {
    Join {
        client_id: "points".into(),
        instance_id: None,
        topics: vec![ORDERS.into()],
        strategies: vec![Strategy { name: "range".into(), own: false, user_data: Vec::new() }],
        cooperative: false,
        session_timeout: Duration::from_secs(30),
        rebalance_timeout: Duration::from_secs(60),
    }
}
