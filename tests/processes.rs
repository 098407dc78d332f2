//! Real processes on one directory: many writers beside a reader, and writers that are killed.

#![allow(clippy::unwrap_used)]

mod support;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use brokerless::config::Change;
use brokerless::engine::{Cursor, Engine, OpenOptions, Partition};
use brokerless::env::{Env, random};
use brokerless::record::{Batch, BatchBuilder, BatchInfo};
use brokerless::{Compression, IsolationLevel, TopicPartition};

use support::{Deadline, Process, arg, say};

const TOPIC: &str = "orders";

support::roles!(writer, endless_writer, visitor, obedient, endless_alterer);

fn open(dir: &Path) -> Arc<Engine> {
    Engine::open(dir, OpenOptions::default(), Env::system()).unwrap()
}

/// A topic whose segments are rolled all the time.
fn make_topic(engine: &Engine, partitions: i32) {
    let settings = [("segment.bytes", "20000"), ("index.interval.bytes", "300")];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
    engine.create_topic(TOPIC, Some(partitions), &settings).unwrap();
}

fn partitions(engine: &Engine) -> Vec<Arc<Partition>> {
    let count = engine.topic(TOPIC).unwrap().unwrap().partition_count();
    let partition = |number| engine.partition(&TopicPartition::new(TOPIC, number)).unwrap();
    (0..count).map(partition).collect()
}

/// One batch of two records: `writer sequence` and the next sequence.
fn batch(writer: &str, sequence: u64) -> Vec<u8> {
    let mut builder = BatchBuilder::new(Compression::None, None);
    for sequence in [sequence, sequence + 1] {
        let value = format!("{writer} {sequence}");
        builder.append(1_000, None, Some(value.as_bytes()), &[]);
    }
    builder.finish().unwrap()
}

/// Appends a number of batches, to the partitions in turn.
fn writer() {
    let engine = open(Path::new(&arg("dir")));
    let partitions = partitions(&engine);
    let (name, batches): (String, usize) = (arg("name"), arg("batches").parse().unwrap());
    for n in 0..batches {
        let sequence = n / partitions.len() * 2;
        partitions[n % partitions.len()].append(&mut batch(&name, sequence as u64)).unwrap();
    }
    say("done");
}

/// Appends until it is killed, and says what was acknowledged.
fn endless_writer() {
    let engine = open(Path::new(&arg("dir")));
    let partitions = partitions(&engine);
    let name = arg("name");
    for sequence in (0..).step_by(2) {
        let appended = partitions[0].append(&mut batch(&name, sequence)).unwrap();
        if sequence % 64 == 0 {
            partitions[0].sync(appended.end_offset).unwrap();
        }
        say(&sequence.to_string());
    }
}

/// Comes, and goes when it is told, with others.
fn visitor() {
    let engine = open(Path::new(&arg("dir")));
    partitions(&engine)[0].append(&mut batch("visitor", 0)).unwrap();
    say("ready");
    while !Path::new(&arg("go")).exists() {
        std::thread::yield_now();
    }
    drop(engine);
}

/// Appends once, and once more when it is told; says what came of it.
fn obedient() {
    let engine = open(Path::new(&arg("dir")));
    let partition = &partitions(&engine)[0];
    partition.append(&mut batch("obedient", 0)).unwrap();
    say("ready");
    while !Path::new(&arg("go")).exists() {
        std::thread::yield_now();
    }
    match partition.append(&mut batch("obedient", 2)) {
        Ok(_) => say("taken"),
        Err(error) => say(&error.to_string()),
    }
}

fn set(name: &str, value: u64) -> (String, Change) {
    (name.to_owned(), Change::Set(value.to_string()))
}

/// Alters two settings of the topic and one of the directory until it is killed, and says to what.
fn endless_alterer() {
    let engine = open(Path::new(&arg("dir")));
    let [one, two, own] = ["one", "two", "own"].map(arg);
    for value in 100.. {
        engine.alter_topic(TOPIC, &[set(&one, value), set(&two, value)], false).unwrap();
        engine.alter_directory(&[set(&own, value)], false).unwrap();
        say(&value.to_string());
    }
}

/// Reads one partition as it grows, and checks each record against those before it.
struct Reader {
    partition: Arc<Partition>,
    cursor: Cursor,
    next_offset: i64,
    /// The next sequence of each writer.
    next: HashMap<String, u64>,
}

impl Reader {
    fn new(partition: Arc<Partition>) -> Self {
        Self { partition, cursor: Cursor::new(0), next_offset: 0, next: HashMap::new() }
    }

    /// Reads what is there now.
    fn read(&mut self) {
        loop {
            let isolation = IsolationLevel::ReadUncommitted;
            let mut bytes = self.partition.read(&mut self.cursor, 10_000, isolation).unwrap().bytes;
            if bytes.is_empty() {
                return;
            }
            while !bytes.is_empty() {
                let size = BatchInfo::parse(&bytes).unwrap().size;
                self.take(&Batch::decode(bytes.split_to(size), 1 << 20).unwrap());
            }
        }
    }

    fn take(&mut self, batch: &Batch) {
        for record in batch.records().map(Result::unwrap) {
            assert_eq!(record.offset, self.next_offset, "offsets are dense");
            self.next_offset += 1;
            let text = std::str::from_utf8(record.value.unwrap()).unwrap();
            let (writer, sequence) = text.split_once(' ').unwrap();
            let next = self.next.entry(writer.to_owned()).or_default();
            assert_eq!(sequence.parse::<u64>().unwrap(), *next, "records of {writer} are in order");
            *next += 1;
        }
    }
}

fn eight_writers_on(partition_count: i32, batches: usize) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_str().unwrap();
    let engine = open(dir.path());
    make_topic(&engine, partition_count);
    let mut readers: Vec<Reader> = partitions(&engine).into_iter().map(Reader::new).collect();
    let names: Vec<String> = (0..8).map(|n| format!("writer-{n}")).collect();
    let batches_text = batches.to_string();
    let start = |name: &String| {
        Process::start("writer", &[("dir", path), ("name", name), ("batches", &batches_text)])
    };

    let mut writers: Vec<Process> = names.iter().map(start).collect();
    let expected = 8 * 2 * batches as i64;
    let doorbell = engine.doorbell();
    let (mut read, mut deadline) = (0, Deadline::far());
    while read < expected {
        let now = readers.iter().map(|reader| reader.next_offset).sum();
        if now > read {
            (read, deadline) = (now, Deadline::far());
        }
        assert!(!deadline.is_over(), "the reader waits in vain");
        let seen = doorbell.value();
        for reader in &readers {
            doorbell.watch(&reader.partition);
        }
        readers.iter_mut().for_each(Reader::read);
        doorbell.wait(seen, Duration::from_millis(100));
    }

    for writer in &mut writers {
        assert_eq!(writer.hear(), "done");
    }
    for reader in &mut readers {
        reader.read();
        let each = 2 * batches as u64 / partition_count as u64;
        assert_eq!(reader.next.len(), 8);
        assert!(reader.next.values().all(|next| *next == each), "{:?}", reader.next);
    }
}

#[test]
fn eight_processes_write_one_partition_beside_a_reader() {
    eight_writers_on(1, 2_000);
}

#[test]
fn eight_processes_write_fifty_partitions_beside_a_reader() {
    eight_writers_on(50, 2_000);
}

/// What one writer has said before it was killed: the last sequence that was acknowledged.
fn last_acknowledged(writer: &mut Process) -> Option<u64> {
    writer.kill();
    writer.rest(Deadline::far()).last().map(|said| said.parse().unwrap())
}

#[test]
fn a_hundred_kills_lose_nothing_and_repeat_nothing() {
    let seed = std::env::var("SEED").map_or_else(|_| random::u128() as u64, |s| s.parse().unwrap());
    println!("SEED={seed}");
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_str().unwrap();
    make_topic(&open(dir.path()), 1);
    let mut dice = seed;
    let mut acknowledged = HashMap::new();
    let start = |n: usize| {
        let name = format!("writer-{n}");
        (Process::start("endless_writer", &[("dir", path), ("name", &name)]), name)
    };

    let mut writers: Vec<_> = (0..4).map(start).collect();
    for kill in 0..100 {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        std::thread::sleep(Duration::from_micros((dice >> 33) % 30_000));
        // Now and then all die, so that the directory is recovered.
        let victims = if kill % 10 == 9 { 0..4 } else { 0..1 };
        for victim in victims {
            let (mut writer, name) =
                std::mem::replace(&mut writers[victim], start(4 + 4 * kill + victim));
            acknowledged.insert(name, last_acknowledged(&mut writer));
        }
        writers.rotate_left(1);
    }
    for (mut writer, name) in writers {
        acknowledged.insert(name, last_acknowledged(&mut writer));
    }

    let engine = open(dir.path());
    let mut reader = Reader::new(partitions(&engine).remove(0));
    reader.read();
    for (name, last) in &acknowledged {
        let found = reader.next.get(name).copied().unwrap_or(0);
        // Two records a batch; the last batch may be there without having been acknowledged.
        let least = last.map_or(0, |sequence| sequence + 2);
        assert!(found == least || found == least + 2, "{name}: {last:?}, {found}; SEED={seed}");
    }
    assert!(acknowledged.values().flatten().sum::<u64>() > 1_000, "the writers have written");
}

#[test]
fn processes_that_leave_together_close_the_directory() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    make_topic(&open(&data), 1);
    for round in 0..150 {
        let go = dir.path().join(format!("go-{round}"));
        let args = [("dir", data.to_str().unwrap()), ("go", go.to_str().unwrap())];
        let mut visitors: Vec<_> = (0..6).map(|_| Process::start("visitor", &args)).collect();
        for visitor in &mut visitors {
            assert_eq!(visitor.hear(), "ready");
        }

        std::fs::write(&go, "").unwrap();
        visitors.into_iter().for_each(Process::finish);

        assert!(data.join(".kafka_cleanshutdown").exists(), "round {round}");
    }
}

#[test]
fn the_next_append_of_another_process_obeys_a_setting_that_was_altered() {
    let dir = tempfile::tempdir().unwrap();
    let go = tempfile::tempdir().unwrap().path().join("go");
    std::fs::create_dir_all(go.parent().unwrap()).unwrap();
    let engine = open(dir.path());
    make_topic(&engine, 1);
    let args = [("dir", dir.path().to_str().unwrap()), ("go", go.to_str().unwrap())];
    let mut other = Process::start("obedient", &args);
    assert_eq!(other.hear(), "ready");

    engine.alter_topic(TOPIC, &[set("max.message.bytes", 70)], false).unwrap();
    std::fs::write(&go, "").unwrap();

    let said = other.hear();
    assert!(said.contains("more than max.message.bytes allows (70)"), "{said}");
    other.finish();
    std::fs::remove_dir_all(go.parent().unwrap()).unwrap();
}

#[test]
fn settings_that_killed_processes_have_altered_are_whole_and_not_lost() {
    const NAMES: [[&str; 3]; 2] = [
        ["retention.ms", "retention.bytes", "log.retention.ms"],
        ["segment.ms", "flush.ms", "log.roll.ms"],
    ];
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_str().unwrap();
    let engine = open(dir.path());
    let number = |text: &String| text.parse::<u64>().unwrap();
    make_topic(&engine, 1);
    for _ in 0..4 {
        let start = |[one, two, own]: [&str; 3]| {
            let args = [("dir", path), ("one", one), ("two", two), ("own", own)];
            Process::start("endless_alterer", &args)
        };
        let mut alterers = NAMES.map(start);
        for _ in 0..random::u128() % 20 {
            for alterer in &mut alterers {
                alterer.hear();
            }
        }
        let told = alterers.each_mut().map(Process::hear);
        alterers.iter_mut().for_each(Process::kill);
        let at_least = alterers.each_mut().map(|alterer| alterer.rest(Deadline::far()));
        let last = |(told, more): (&String, &Vec<String>)| number(more.last().unwrap_or(told));
        let at_least: Vec<u64> = told.iter().zip(&at_least).map(last).collect();

        let given = engine.topic(TOPIC).unwrap().unwrap().config.given.clone();
        let directory = engine.config().given.clone();
        for ([one, two, own], least) in NAMES.into_iter().zip(at_least) {
            assert_eq!(given[one], given[two], "settings of one call");
            assert!(number(&given[one]) >= least, "{} after {least}", given[one]);
            assert!(number(&directory[own]) >= least, "{} after {least}", directory[own]);
        }
        assert_eq!(engine.topics_generation() % 2, 0);
    }
}
