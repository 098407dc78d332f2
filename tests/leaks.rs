//! Whatever comes and goes leaves nothing behind: no open files, no mappings, no locks, no threads,
//! no files in the directory, and of pages no more than is promised.
//!
//! `TORTURE_SECONDS` is for the long version.

#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use brokerless::TopicPartition;
use brokerless::client::{Consumer, Outgoing, Producer, Step};
use brokerless::config::{ConsumerConfig, OffsetReset, ProducerConfig};
use brokerless::engine::{Engine, OpenOptions};
use brokerless::env::Env;
use brokerless::types::Durability;

use support::{Deadline, Process, arg, eventually, say};

support::roles!(soaker, visitor);

const GROUP: &str = "g";
const LASTING: &str = "lasting";
/// Partitions of each topic that is made and deleted. Two topics have a chunk of pages.
const PARTITIONS: i32 = 64;
/// Of these some are used.
const USED: i32 = 3;
/// Until everything that is made once is there.
const WARM_UP: usize = 4;
/// After that, at least.
const ROUNDS: u64 = 16;
/// What may be there by chance: each round would leave one more.
const CHANCE: usize = 6;
const CONTROL: &str = ".brokerless-control";
/// By which the control file grows, for 128 pages.
const CHUNK: u64 = 64 << 10;

fn open(dir: &Path) -> Arc<Engine> {
    Engine::open(dir, OpenOptions::default(), Env::system()).unwrap()
}

/// What the process and the directory hold.
#[derive(Clone, Debug, PartialEq)]
struct Held {
    files: usize,
    mappings: usize,
    locks: usize,
    threads: usize,
    entries: usize,
    members: usize,
}

impl Held {
    fn now(dir: &Path, engine: &Arc<Engine>) -> Self {
        let name = dir.to_str().unwrap();
        let mapped = fs::read_to_string("/proc/self/maps").unwrap();
        let of_fd = |entry: fs::DirEntry| fs::read_to_string(entry.path()).unwrap_or_default();
        let infos: Vec<_> = list("/proc/self/fdinfo").map(of_fd).collect();
        Self {
            files: infos.len(),
            // Those of the allocator and of stacks are not ours.
            mappings: mapped.lines().filter(|line| line.contains(name)).count(),
            locks: infos
                .iter()
                .flat_map(|it| it.lines())
                .filter(|it| it.starts_with("lock:"))
                .count(),
            threads: list("/proc/self/task").count(),
            entries: list(dir).count(),
            members: engine.group(GROUP).unwrap().state().unwrap().members().count(),
        }
    }

    fn each(&self) -> [usize; 6] {
        [self.files, self.mappings, self.locks, self.threads, self.entries, self.members]
    }

    /// Whether it is hardly more than `before`.
    fn is_like(&self, before: &Self) -> bool {
        self.each().iter().zip(before.each()).all(|(now, before)| *now <= before + CHANCE)
    }
}

fn list(path: impl AsRef<Path>) -> impl Iterator<Item = fs::DirEntry> {
    fs::read_dir(path).unwrap().map_while(Result::ok)
}

fn producer(engine: &Arc<Engine>) -> Producer {
    let config = ProducerConfig { acks: Durability::Written, ..ProducerConfig::default() };
    Producer::new(engine.clone(), config).unwrap()
}

fn consumer(engine: &Arc<Engine>, group: Option<&str>) -> Consumer {
    let config = ConsumerConfig {
        group_id: group.map(str::to_owned),
        auto_offset_reset: OffsetReset::Earliest,
        ..ConsumerConfig::default()
    };
    Consumer::new(engine.clone(), config).unwrap()
}

fn send(producer: &Producer, to: &TopicPartition) {
    let value = Some(&b"value"[..]);
    let partition = Some(to.partition);
    let delivery =
        producer.send(&Outgoing { topic: &to.topic, partition, value, ..Outgoing::default() });
    delivery.unwrap().wait(Some(Deadline::far().left())).unwrap().unwrap();
}

/// Polls once, and tells whether there were records.
fn has_records(consumer: &Consumer, time: Duration) -> bool {
    matches!(consumer.poll(time, 500).unwrap(), Step::Records(polled) if !polled.is_empty())
}

/// A process that appends and becomes a member, until it is killed.
fn visitor() {
    let engine = open(Path::new(&arg("dir")));
    send(&producer(&engine), &TopicPartition::new(LASTING, 0));
    let consumer = consumer(&engine, Some(GROUP));
    consumer.subscribe(&[LASTING.to_owned()]).unwrap();
    let mut was_told = false;
    loop {
        consumer.poll(Duration::from_millis(5), 500).unwrap();
        if !was_told && consumer.standing().unwrap().is_some() {
            say("a member");
            was_told = true;
        }
    }
}

/// What has the directory open all the time, while others come and go.
struct Soak {
    dir: PathBuf,
    engines: [Arc<Engine>; 2],
    producer: Producer,
    member: Consumer,
    topics: usize,
}

impl Soak {
    fn new(dir: PathBuf) -> Self {
        let engines = [open(&dir), open(&dir)];
        engines[0].create_topic(LASTING, Some(2), &[]).unwrap();
        let producer = producer(&engines[0]);
        let member = consumer(&engines[1], Some(GROUP));
        member.subscribe(&[LASTING.to_owned()]).unwrap();
        Self { dir, engines, producer, member, topics: 0 }
    }

    /// All that comes and goes does so once.
    fn round(&mut self) {
        self.use_a_topic();
        self.clients_come_and_go();
        self.somebody_is_killed();
    }

    /// A topic is made, used by all, and deleted.
    fn use_a_topic(&mut self) {
        self.topics += 1;
        let [one, other] = &self.engines;
        let name = format!("topic-{}", self.topics);
        one.create_topic(&name, Some(PARTITIONS), &[]).unwrap();
        let used = (0..USED).map(|number| TopicPartition::new(name.clone(), number));
        let ids: Vec<_> = used.collect();
        for id in &ids {
            send(&self.producer, id);
        }
        let reader = consumer(other, Some("readers"));
        reader.assign(&ids).unwrap();
        eventually("a record", || has_records(&reader, Duration::ZERO));
        reader.close(true).unwrap();
        let second = producer(other);
        send(&second, &ids[0]);
        one.delete_topic(&name).unwrap();
    }

    /// Engines on the same directory and on one of their own, producers and members.
    fn clients_come_and_go(&self) {
        let own = self.dir.with_file_name("own");
        for dir in [&self.dir, &own] {
            let engine = open(dir);
            send(&producer(&engine), &TopicPartition::new("visited", 0));
            let member = consumer(&engine, Some("visitors"));
            member.subscribe(&["visited".to_owned()]).unwrap();
            eventually("a record", || has_records(&member, Duration::from_millis(1)));
            member.close(true).unwrap();
        }
    }

    fn somebody_is_killed(&self) {
        let mut visitor = Process::start("visitor", &[("dir", self.dir.to_str().unwrap())]);
        let mut said = Vec::new();
        eventually("a member more", || {
            self.member.poll(Duration::from_millis(1), 500).unwrap();
            said.extend(visitor.heard());
            !said.is_empty()
        });
        visitor.kill();
    }

    fn held(&self) -> Held {
        self.member.poll(Duration::ZERO, 500).unwrap();
        // What is asked of an engine tells it what was deleted.
        self.engines.iter().for_each(|engine| drop(engine.topics().unwrap()));
        Held::now(&self.dir, &self.engines[1])
    }

    /// Threads and processes that have just ended may still be there for a moment.
    fn check(&self, before: &Held, rounds: u64) {
        let deadline = Deadline::far();
        let mut now = self.held();
        while !now.is_like(before) && !deadline.is_over() {
            std::thread::sleep(Duration::from_millis(10));
            now = self.held();
        }
        assert!(now.is_like(before), "after {rounds} rounds {now:?}, before {before:?}");
    }

    fn control(&self) -> u64 {
        fs::metadata(self.dir.join(CONTROL)).unwrap().len()
    }
}

/// Goes through many rounds, and holds no more at the end than at the beginning.
fn soaker() {
    let dir = PathBuf::from(arg("dir"));
    let end = Deadline::after(Duration::from_secs(arg("seconds").parse().unwrap()));
    let mut soak = Soak::new(dir.clone());
    (0..WARM_UP).for_each(|_| soak.round());
    // Who shares with one that was killed holds less, until that one is out.
    eventually("only one member", || soak.held().members == 1);
    let (before, control) = (soak.held(), soak.control());

    let mut rounds = 0;
    while rounds < ROUNDS || !end.is_over() {
        soak.round();
        rounds += 1;
    }

    soak.check(&before, rounds);
    let grown = soak.control() - control;
    let pages = 512 * rounds * u64::from(PARTITIONS.cast_unsigned());
    assert!(grown <= pages.next_multiple_of(CHUNK), "it has grown by {grown}");
    drop(soak);
    // The producer closes the directory in the background.
    eventually("a new control file", || {
        drop(open(&dir));
        fs::metadata(dir.join(CONTROL)).unwrap().len() <= control
    });
    say(&format!("nothing was left by {rounds} rounds, but {grown} bytes of pages until the end"));
}

fn soak(seconds: u64) {
    if !Path::new("/proc/self/fdinfo").exists() {
        println!("skipped: this system does not tell what a process has open");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    fs::create_dir(&data).unwrap();
    fs::write(data.join("brokerless.properties"), "offsets.topic.num.partitions=2\n").unwrap();
    let args = [("dir", data.to_str().unwrap()), ("seconds", &*seconds.to_string())];
    let mut soaker = Process::start("soaker", &args);
    let end = soaker.wait(Deadline::after(Duration::from_secs(24 * 3600)));
    assert!(end.success(), "the soaker failed: {end}");
    println!("{}", soaker.hear());
}

#[test]
fn whatever_comes_and_goes_leaves_nothing_behind() {
    soak(0);
}

#[test]
#[ignore = "takes minutes: `make torture`"]
fn torture_whatever_comes_and_goes_leaves_nothing_behind() {
    soak(std::env::var("TORTURE_SECONDS").map_or(60, |seconds| seconds.parse().unwrap()));
}
