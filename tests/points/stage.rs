//! One directory, the processes at work on it, and the deaths they die.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use brokerless::engine::{Engine, OpenOptions};
use brokerless::env::Env;
use tempfile::TempDir;

use crate::ledger::Ledger;
use crate::places::{Place, Scene, named};
use crate::reader::Watch;
use crate::support::Dice;
use crate::support::{Deadline, Process, eventually};
use crate::worker::{FLEETING, GROUP, ORDERS, PARTITIONS, STREAM, TABLE, open, orders};

/// Processes at work beside one that dies.
const CROWD: usize = 2;
/// What one that is to die does at most; opening and closing takes longer than the rest.
const DEEDS: &str = "400";
const FEW_DEEDS: &str = "15";
const KILL: i32 = 9;

pub(crate) struct Stage {
    dir: TempDir,
    seed: u64,
    dice: Dice,
    /// Of another one, as long as the test itself has the directory open.
    engine: Option<Arc<Engine>>,
    crowd: Vec<(String, Process)>,
    watch: Option<Watch>,
    ledger: Ledger,
    /// Processes there were.
    processes: u64,
    /// Deaths by the name of the point.
    pub(crate) deaths: BTreeMap<&'static str, u64>,
    /// Processes that lived on because they did not come to their point so often.
    pub(crate) survivors: u64,
    pub(crate) records: u64,
}

impl Stage {
    pub(crate) fn new(seed: u64, offsets_expire: bool) -> Self {
        let dir = TempDir::new().unwrap();
        let ledger = Ledger::new(offsets_expire);
        let stage = Self {
            dir,
            seed,
            dice: Dice::new(seed),
            engine: None,
            crowd: Vec::new(),
            watch: None,
            ledger,
            processes: 0,
            deaths: BTreeMap::new(),
            survivors: 0,
            records: 0,
        };
        fs::create_dir(stage.data()).unwrap();
        // Processes tend the directory by clocks that are ahead by weeks.
        let minutes = if offsets_expire { 10_080 } else { i32::MAX };
        let settings = format!(
            "offsets.topic.num.partitions=2\noffsets.topic.segment.bytes=6000\n\
             offsets.retention.minutes={minutes}\noffsets.retention.check.interval.ms=1\n\
             log.flush.offset.checkpoint.interval.ms=1\n"
        );
        fs::write(stage.data().join("brokerless.properties"), settings).unwrap();
        make_topics(&open(&stage.data()));
        stage
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// Lets a process die at that place; tells whether it did.
    pub(crate) fn play(&mut self, place: &Place) -> bool {
        if place.scene == Scene::Crowd {
            self.gather();
        } else if !self.set(place) {
            return false;
        }
        let pass = self.dice.between(1, place.passes);
        self.victim(place, pass)
    }

    /// Brings the directory to where a process comes to that place, with nobody else at work;
    /// tells whether that succeeded.
    pub(crate) fn set(&mut self, place: &Place) -> bool {
        match place.scene {
            Scene::Crowd => self.quiet(),
            Scene::After(before) => {
                self.quiet();
                return self.victim(&named(before), 1);
            }
            Scene::Alone if self.dice.chance(50) => self.leave_in_good_order(),
            Scene::Alone | Scene::AllDied => self.desert(),
            Scene::Torn => {
                self.desert();
                self.tear();
            }
        }
        true
    }

    /// Others are at work.
    fn gather(&mut self) {
        while self.crowd.len() < CROWD {
            let (name, process) = self.start("all", "1000000000", None);
            self.crowd.push((name, process));
        }
        if self.watch.is_none() {
            self.watch = Some(Watch::start(&self.data()));
        }
        for (_, process) in &mut self.crowd {
            assert!(!process.has_ended(), "one of the crowd has ended; SEED={}", self.seed);
        }
        self.engine = None;
    }

    /// Nobody is at work, but the directory stays open.
    fn quiet(&mut self) {
        if self.engine.is_none() {
            self.engine = Some(open(&self.data()));
        }
        self.disperse();
    }

    /// Nobody has the directory open: who had it was killed.
    fn desert(&mut self) {
        if self.crowd.is_empty() {
            let (name, mut process) = self.start("compact", "1000000000", None);
            let mut said = String::new();
            while !said.starts_with("table") {
                said = process.hear();
                self.ledger.note(&name, std::slice::from_ref(&said));
            }
            self.crowd.push((name, process));
        }
        self.engine = None;
        self.disperse();
    }

    /// Nobody has the directory open: the last one closed it.
    fn leave_in_good_order(&mut self) {
        self.quiet();
        self.engine = None;
        assert!(self.data().join(".kafka_cleanshutdown").exists(), "SEED={}", self.seed);
    }

    /// Another one is at the same, until all disperse.
    pub(crate) fn keep_company(&mut self, focus: &str) {
        let company = self.start(focus, "1000000000", None);
        self.crowd.push(company);
    }

    pub(crate) fn disperse(&mut self) {
        if let Some(watch) = self.watch.take() {
            watch.end();
        }
        for (name, mut process) in std::mem::take(&mut self.crowd) {
            process.kill();
            let said = process.rest(Deadline::far());
            self.ledger.note(&name, &said);
        }
    }

    /// Nobody knows any more whether the machine crashed, and the last batch of a log is torn.
    fn tear(&mut self) {
        fs::remove_file(self.data().join(".brokerless-control")).unwrap();
        let options = OpenOptions { read_only: true, ..OpenOptions::default() };
        let engine = Engine::open(&self.data(), options, Env::system()).unwrap();
        let end = engine.partition(&orders(0)).unwrap().ends().unwrap().log_end_offset;
        let folder = self.data().join("orders-0");
        let newest = newest_log(&folder);
        let half = half_a_batch(end);
        fs::OpenOptions::new().append(true).open(newest).unwrap().write_all(&half).unwrap();
        fs::write(folder.join(format!("{:020}.log", end + 2)), "").unwrap();
    }

    pub(crate) fn start(
        &mut self,
        focus: &str,
        deeds: &str,
        at: Option<&str>,
    ) -> (String, Process) {
        self.processes += 1;
        let name = format!("w{}", self.processes);
        let seed = self.dice.roll().to_string();
        let data = self.data();
        let args = [
            ("dir", data.to_str().unwrap()),
            ("name", &name),
            ("seed", &seed),
            ("focus", focus),
            ("deeds", deeds),
        ];
        let process = match at {
            Some(at) => Process::start_with("worker", &args, &[("BROKERLESS_AT", at)]),
            None => Process::start("worker", &args),
        };
        (name, process)
    }

    /// Notes what a process said; tells whether it came to its end.
    pub(crate) fn note(&mut self, name: &str, said: &[String]) -> bool {
        self.ledger.note(name, said)
    }

    /// A process that dies at its `pass`-th pass of the place.
    fn victim(&mut self, place: &Place, pass: usize) -> bool {
        let at = format!("{}:{pass}:kill", place.name);
        let deeds = if place.focus == "open" { FEW_DEEDS } else { DEEDS };
        let (name, mut process) = self.start(place.focus, deeds, Some(&at));
        let said = process.rest(Deadline::far());
        let status = process.wait(Deadline::far());
        let survived = self.ledger.note(&name, &said);
        if survived {
            self.survivors += 1;
            return false;
        }
        let killed = status.signal() == Some(KILL);
        assert!(killed, "{name} was to die at {at} and ended: {status}; SEED={}", self.seed);
        *self.deaths.entry(place.name).or_default() += 1;
        true
    }

    /// Those who live share the partitions, whoever has died. Then all die, and what they said is
    /// compared with what is there, before and after the directory was closed in good order.
    pub(crate) fn check(&mut self) {
        self.gather();
        self.settle();
        self.check_what_is_there();
    }

    /// The second half of that.
    pub(crate) fn check_what_is_there(&mut self) {
        self.desert();
        for _ in 0..2 {
            let engine = open(&self.data());
            let checked = self.ledger.check(&engine);
            if let Err(what) = &checked {
                let kept = self.keep();
                panic!("{what}; SEED={} in {kept}", self.seed);
            }
            self.records = checked.unwrap();
            drop(engine);
            assert!(self.data().join(".kafka_cleanshutdown").exists(), "SEED={}", self.seed);
        }
    }

    /// Waits until each partition has an owner who lives.
    fn settle(&self) {
        let engine = open(&self.data());
        let group = engine.group(GROUP).unwrap();
        eventually("the group settles", || {
            let state = group.state().unwrap();
            let owned = (0..PARTITIONS).all(|number| state.owner(&orders(number)).is_some());
            owned && state.members().count() <= CROWD
        });
    }

    /// What is left of it for who looks into it.
    fn keep(&mut self) -> String {
        self.engine = None;
        self.dir.disable_cleanup(true);
        self.dir.path().display().to_string()
    }
}

fn make_topics(engine: &Engine) {
    let make = |name, partitions, settings: &[(&str, &str)]| {
        let settings: Vec<_> = settings
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        engine.create_topic(name, Some(partitions), &settings).unwrap();
    };
    let small =
        [("segment.bytes", "1500"), ("index.interval.bytes", "200"), ("retention.ms", "-1")];
    make(ORDERS, PARTITIONS, &small);
    for number in 0..PARTITIONS {
        let mut first = crate::worker::batch(&[(None, "check 0".to_owned())]);
        engine.partition(&orders(number)).unwrap().append(&mut first).unwrap();
    }
    let compacted =
        [("cleanup.policy", "compact"), ("segment.bytes", "800"), ("preallocate", "true")];
    make(TABLE, 1, &compacted);
    let brief = [("segment.bytes", "500"), ("file.delete.delay.ms", "0"), ("retention.ms", "-1")];
    make(STREAM, 1, &[&brief[..], &[("retention.bytes", "1500")]].concat());
    make(FLEETING, 1, &[&brief[..], &[("retention.bytes", "0")]].concat());
}

fn newest_log(folder: &Path) -> PathBuf {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|it| it == "log")).max().unwrap()
}

fn half_a_batch(offset: i64) -> Vec<u8> {
    let mut bytes = crate::worker::batch(&[(None, "torn 0".into()), (None, "torn 1".into())]);
    bytes[..8].copy_from_slice(&offset.to_be_bytes());
    bytes.truncate(bytes.len() / 2);
    bytes
}
