//! Consumers beside retention and compaction, with writers on, in several processes: who cleans
//! dies at each named point of that, and at any other moment; writers die too. Each consumer gets
//! its data, or is told that it is gone.
//!
//! `SEED` decides when; `TORTURE_SECONDS` is for the long version.

#![allow(clippy::unwrap_used)]
// The points are only there in builds with debug assertions.
#![cfg(debug_assertions)]

mod cleaner;
mod pass;
mod readers;
#[path = "../support/mod.rs"]
mod support;
mod writer;

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use brokerless::TopicPartition;
use brokerless::engine::{Engine, OpenOptions, Partition};
use brokerless::env::{Env, random};

use cleaner::{PLACES, cleaner};
use readers::{follower, pass_over, repeater};
use support::{Deadline, Dice, Process, loud};
use writer::writer;

support::roles!(writer, follower, repeater, cleaner);

/// Of each key the last record is always there.
const TABLE: &str = "table";
/// Only the newest records are there, all of them.
const STREAM: &str = "stream";
/// Of each key the last record, if it is new.
const BOTH: &str = "both";
const TOPICS: [&str; 3] = [TABLE, STREAM, BOTH];

fn open(dir: &Path) -> Arc<Engine> {
    Engine::open(dir, OpenOptions::default(), Env::system()).unwrap()
}

fn id(topic: &str) -> TopicPartition {
    TopicPartition::new(topic, 0)
}

fn partition(engine: &Engine, topic: &str) -> Arc<Partition> {
    engine.partition(&id(topic)).unwrap()
}

/// The topics, with segments of some twenty records.
fn prepare(dir: &Path) -> Arc<Engine> {
    let often = "log.retention.check.interval.ms=200\nlog.cleaner.backoff.ms=200\n";
    std::fs::create_dir(dir).unwrap();
    std::fs::write(dir.join("brokerless.properties"), often).unwrap();
    let engine = open(dir);
    for (topic, policy, size) in
        [(TABLE, "compact", "-1"), (STREAM, "delete", "1500"), (BOTH, "compact,delete", "2500")]
    {
        let settings = [
            ("cleanup.policy", policy),
            ("retention.bytes", size),
            ("segment.bytes", "1500"),
            ("index.interval.bytes", "200"),
            ("file.delete.delay.ms", "20"),
            ("min.cleanable.dirty.ratio", "0.1"),
        ];
        let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
        engine.create_topic(topic, Some(1), &settings).unwrap();
    }
    engine
}

/// All processes but those that clean.
struct Scene {
    engine: Arc<Engine>,
    dir: tempfile::TempDir,
    readers: Vec<Process>,
    writers: Vec<(String, Process)>,
    /// What each writer was told to have written.
    written: BTreeMap<String, u64>,
    started: usize,
}

impl Scene {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let engine = prepare(&dir.path().join("data"));
        let (readers, writers) = (Vec::new(), Vec::new());
        let mut scene =
            Self { engine, dir, readers, writers, written: BTreeMap::new(), started: 0 };
        scene.readers = ["follower", "repeater"].map(|role| scene.start(role, &[], None)).into();
        (0..2).for_each(|_| scene.add_writer());
        scene
    }

    fn start(&self, role: &str, more: &[(&str, &str)], at: Option<&str>) -> Process {
        let (data, stop) = (self.dir.path().join("data"), self.dir.path().join("stop"));
        let args = [("dir", data.to_str().unwrap()), ("stop", stop.to_str().unwrap())];
        let args = [&args[..], more].concat();
        let at: Vec<_> = at.map(|at| ("BROKERLESS_AT", at)).into_iter().collect();
        let mut process = Process::start_with(role, &args, &at);
        if at.is_empty() {
            assert_eq!(process.hear(), "ready");
        }
        process
    }

    fn add_writer(&mut self) {
        let name = format!("w{}", self.started);
        self.started += 1;
        let writer = self.start("writer", &[("name", &name)], None);
        self.writers.push((name, writer));
    }

    /// One writer dies; another one takes its place.
    fn replace_writer(&mut self) {
        let (name, mut writer) = self.writers.remove(0);
        writer.kill();
        self.note(&name, &writer.rest(Deadline::far()));
        self.add_writer();
    }

    fn note(&mut self, name: &str, said: &[String]) {
        if let Some(written) = said.last() {
            self.written.insert(name.to_owned(), written.parse().unwrap());
        }
    }

    /// Somebody who cleans dies at that point, or after that time.
    fn kill_cleaner(&self, seed: u64, end: Result<&str, Duration>) {
        let seed = seed.to_string();
        let args = [("seed", &*seed)];
        match end {
            Ok(point) => {
                let mut cleaner = self.start("cleaner", &args, Some(point));
                println!("{point}");
                let status = cleaner.wait(Deadline::far());
                assert_eq!(status.signal(), Some(9), "{point}: {status}");
            }
            Err(time) => {
                let mut cleaner = self.start("cleaner", &args, None);
                std::thread::sleep(time);
                assert!(!cleaner.has_ended());
                cleaner.kill();
            }
        }
    }

    /// One death at each point and as many at other moments, in any order.
    fn round(&mut self, dice: &mut Dice) -> usize {
        let mut places: Vec<_> = PLACES.iter().map(|place| (dice.roll(), *place)).collect();
        places.sort_unstable();
        for (number, (seed, place)) in places.iter().enumerate() {
            let at = format!("{place}:{}:kill", dice.between(1, 3));
            self.kill_cleaner(*seed, Ok(&at));
            if number % 4 == 0 {
                self.kill_cleaner(dice.roll(), Err(dice.millis(0, 30)));
            }
            if number % 8 == 3 {
                self.replace_writer();
            }
        }
        places.len()
    }

    /// Everybody comes to an end; what was written is there.
    fn end(mut self) {
        std::fs::write(self.dir.path().join("stop"), "").unwrap();
        for (name, mut writer) in std::mem::take(&mut self.writers) {
            let said = writer.rest(Deadline::far());
            self.note(&name, &said);
            writer.finish();
        }
        for mut reader in std::mem::take(&mut self.readers) {
            println!("{:?}", reader.rest(Deadline::far()));
            reader.finish();
        }
        let newest = pass_over(&self.engine, TABLE);
        for (name, written) in &self.written {
            assert!(newest.get(name) >= Some(written), "{name}: {written} of {newest:?}");
        }
        println!("{:?}", self.written);
    }
}

fn seed() -> u64 {
    loud();
    let given = std::env::var("SEED").ok().map(|seed| seed.parse().unwrap());
    let seed = given.unwrap_or_else(|| random::u128() as u64);
    println!("SEED={seed}");
    seed
}

#[test]
fn consumers_get_their_data_or_are_told_whoever_cleans_and_dies() {
    let mut dice = Dice::new(seed());
    let mut scene = Scene::new();

    let deaths = scene.round(&mut dice);

    assert_eq!(deaths, PLACES.len());
    scene.end();
}

#[test]
#[ignore = "takes minutes: `make torture`"]
fn torture_consumers_get_their_data_or_are_told_whoever_cleans_and_dies() {
    let mut dice = Dice::new(seed());
    let seconds = std::env::var("TORTURE_SECONDS").map_or(60, |text| text.parse().unwrap());
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut deaths = 0;
    while Instant::now() < end {
        // Not one scene for all: a log of ever more keys takes ever longer to compact, and who is
        // to die at the end of that is not waited for so long.
        let mut scene = Scene::new();
        for _ in 0..3 {
            deaths += scene.round(&mut dice);
        }
        scene.end();
    }
    println!("{deaths} deaths at points");
}
