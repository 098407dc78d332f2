//! Who makes the storm: starts members, kills, stops and continues them, and lets them leave.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use brokerless::TopicPartition;
use brokerless::client::directory;
use brokerless::engine::{Engine, OpenOptions};
use brokerless::env::Env;
use tempfile::TempDir;

use crate::history::partitions;
use crate::member::GROUP;
use crate::plan::Plan;
use crate::support::Dice;
use crate::support::{Deadline, Process};

/// What was done to the members.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Deeds {
    pub(crate) starts: usize,
    pub(crate) kills: usize,
    pub(crate) stops: usize,
    /// Of the stops, those that lasted longer than a session.
    pub(crate) long_stops: usize,
    pub(crate) leaves: usize,
    /// Static members started again, the old process dead or alive.
    pub(crate) restarts: usize,
}

/// One member process.
struct Member {
    /// Unique in the run.
    name: String,
    /// Its `group.instance.id`, or nothing.
    instance: String,
    process: Process,
    /// Stopped until then.
    stopped: Option<Instant>,
    /// Was asked to leave.
    leaving: bool,
    owned: BTreeSet<TopicPartition>,
}

pub(crate) struct Conductor {
    plan: Plan,
    pub(crate) dir: TempDir,
    dice: Dice,
    members: Vec<Member>,
    feeder: Process,
    cleaner: Option<Process>,
    /// The instance ids of all members there were, in the order of their names.
    instances: Vec<String>,
    pub(crate) deeds: Deeds,
    pub(crate) complaints: Vec<String>,
}

impl Conductor {
    pub(crate) fn new(plan: &Plan) -> Self {
        let dir = TempDir::new().unwrap();
        // Commits are not compacted, so that all of them can be looked at.
        std::fs::create_dir(dir.path().join("data")).unwrap();
        let settings = "offsets.topic.segment.bytes=1000000000\n";
        std::fs::write(dir.path().join("data/brokerless.properties"), settings).unwrap();
        let engine =
            Engine::open(&dir.path().join("data"), OpenOptions::default(), Env::system()).unwrap();
        for (name, count) in plan.topics {
            let compacted = ("cleanup.policy".to_owned(), "compact".to_owned());
            let settings = plan.cleaned.then_some(compacted);
            engine.create_topic(name, Some(*count), settings.as_slice()).unwrap();
        }
        drop(engine);
        let feeder = feeder(dir.path(), plan);
        let cleaner = cleaner(dir.path(), plan);
        Self {
            plan: plan.clone(),
            dir,
            dice: Dice::new(plan.seed),
            members: Vec::new(),
            feeder,
            cleaner,
            instances: Vec::new(),
            deeds: Deeds::default(),
            complaints: Vec::new(),
        }
    }

    /// Where the members' histories are.
    pub(crate) fn history(&self, name: &str) -> PathBuf {
        self.dir.path().join(format!("{name}.history"))
    }

    /// Something happens every few milliseconds, until the time is over.
    pub(crate) fn storm(&mut self) {
        for _ in 0..self.plan.members.div_ceil(2) {
            self.join();
        }
        let end = Instant::now() + self.plan.lasts;
        while Instant::now() < end {
            sleep(self.dice.millis(3, 80));
            self.go_on(Instant::now());
            self.look();
            self.happening();
        }
        while self.members.iter().any(|member| member.stopped.is_some()) {
            sleep(Duration::from_millis(5));
            self.go_on(Instant::now());
        }
        while self.members.iter().filter(|member| !member.leaving).count() < 2 {
            self.start(String::new());
        }
    }

    fn happening(&mut self) {
        match self.dice.below(100) {
            0..30 => self.join(),
            30..50 => self.kill(),
            50..75 => self.stop(),
            75..85 => self.ask_to_leave(),
            85..95 => self.restart(),
            95..96 => self.kill_all(),
            96..100 => self.replace_cleaner(),
            _ => {}
        }
    }

    fn join(&mut self) {
        if self.members.len() < self.plan.members {
            let is_static = self.dice.chance(self.plan.statics);
            let number = self.deeds.starts;
            self.start(if is_static { format!("i{number}") } else { String::new() });
        }
    }

    fn start(&mut self, instance: String) {
        self.deeds.starts += 1;
        let name = format!("m{}", self.deeds.starts);
        let topics: Vec<_> = self.plan.topics.iter().map(|(name, _)| *name).collect();
        let process = Process::start(
            "member",
            &[
                ("dir", text(&self.dir.path().join("data"))),
                ("history", text(&self.history(&name))),
                ("leave", text(&self.leave_sign(&name))),
                ("name", &name),
                ("instance", &instance),
                ("session", &self.plan.session.as_millis().to_string()),
                ("strategy", self.plan.strategy),
                ("kind", self.plan.kind),
                ("topics", &topics.join(" ")),
                ("seed", &self.dice.roll().to_string()),
            ],
        );
        self.instances.push(instance.clone());
        let owned = BTreeSet::new();
        self.members.push(Member { name, instance, process, stopped: None, leaving: false, owned });
    }

    fn leave_sign(&self, name: &str) -> PathBuf {
        self.dir.path().join(format!("{name}.leave"))
    }

    /// A member's place, if there is one. Most that are stopped are left alone: what they do then
    /// is what counts.
    fn pick(&mut self) -> Option<usize> {
        let place = (!self.members.is_empty()).then(|| self.dice.below(self.members.len()))?;
        let spared = self.members[place].stopped.is_some() && self.dice.chance(80);
        (!spared).then_some(place)
    }

    fn kill(&mut self) {
        if let Some(place) = self.pick() {
            self.deeds.kills += 1;
            self.members.swap_remove(place).process.kill();
        }
    }

    fn replace_cleaner(&mut self) {
        self.cleaner.iter_mut().for_each(Process::kill);
        self.cleaner = cleaner(self.dir.path(), &self.plan);
    }

    /// Nobody is left who has the directory open.
    fn kill_all(&mut self) {
        self.cleaner.iter_mut().for_each(Process::kill);
        self.deeds.kills += self.members.len();
        self.feeder.kill();
        self.members.drain(..).for_each(|mut member| member.process.kill());
        self.feeder = feeder(self.dir.path(), &self.plan);
        self.cleaner = cleaner(self.dir.path(), &self.plan);
    }

    /// For a moment, or for longer than its session.
    fn stop(&mut self) {
        let Some(place) = self.pick() else { return };
        let session = self.plan.session.as_millis() as usize;
        let long = self.dice.chance(60);
        let from_to = if long { (3 * session / 2, 3 * session) } else { (1, session / 5) };
        let lasts = self.dice.millis(from_to.0, from_to.1);
        let member = &mut self.members[place];
        if member.stopped.is_none() {
            self.deeds.stops += 1;
            self.deeds.long_stops += usize::from(long);
            member.process.stop();
            member.stopped = Some(Instant::now() + lasts);
        }
    }

    fn go_on(&mut self, now: Instant) {
        for member in &mut self.members {
            if member.stopped.is_some_and(|until| until <= now) {
                member.process.go_on();
                member.stopped = None;
            }
        }
    }

    fn ask_to_leave(&mut self) {
        let Some(place) = self.pick() else { return };
        if !self.members[place].leaving {
            self.members[place].leaving = true;
            self.deeds.leaves += 1;
            std::fs::write(self.leave_sign(&self.members[place].name), "").unwrap();
        }
    }

    /// A second process with one instance id, the first dead or alive.
    fn restart(&mut self) {
        let Some(place) = self.members.iter().position(|member| !member.instance.is_empty()) else {
            return;
        };
        self.deeds.restarts += 1;
        let instance = self.members[place].instance.clone();
        if self.dice.chance(70) {
            self.deeds.kills += 1;
            self.members.swap_remove(place).process.kill();
        }
        self.start(instance);
    }

    /// Hears what the members say, and parts with those that have ended.
    fn look(&mut self) {
        for member in &mut self.members {
            if let Some(said) = member.process.heard().pop() {
                let names = said.strip_prefix("owns ").or(said.strip_prefix("owns"));
                member.owned = names.and_then(partitions).unwrap().into_iter().collect();
            }
        }
        let ended = self.members.extract_if(.., |member| member.process.has_ended());
        for mut member in ended {
            let status = member.process.wait(Deadline::far());
            if !status.success() {
                self.complaints.push(format!("{} ended: {status}", member.name));
            }
        }
    }

    /// Waits until each partition has one owner, the shares are even and everything is committed;
    /// gives how long the first two took.
    pub(crate) fn settle(&mut self) -> Duration {
        let started = Instant::now();
        let deadline = Deadline::far();
        let mut balanced = None;
        std::fs::write(self.dir.path().join("stop"), "").unwrap();
        self.feeder.wait(Deadline::far());
        if let Some(mut cleaner) = self.cleaner.take() {
            let status = cleaner.wait(Deadline::far());
            if !status.success() {
                self.complaints.push(format!("who compacts ended: {status}"));
            }
        }
        let engine =
            directory::open(&self.dir.path().join("data"), OpenOptions::default()).unwrap();
        while balanced.is_none() || !self.is_all_committed(&engine) {
            if deadline.is_over() {
                let what = self.members.iter().map(|m| format!("{}: {:?}", m.name, m.owned.len()));
                let what: Vec<_> = what.collect();
                self.complaints.push(format!("the group does not settle: {}", what.join(", ")));
                break;
            }
            sleep(Duration::from_millis(2));
            self.look();
            balanced = if self.is_balanced() { balanced.or(Some(started.elapsed())) } else { None };
        }
        balanced.unwrap_or(started.elapsed())
    }

    fn is_balanced(&self) -> bool {
        let owned: Vec<_> = self.members.iter().flat_map(|member| &member.owned).collect();
        let shares = || self.members.iter().map(|member| member.owned.len());
        let even =
            shares().max().unwrap_or(0) - shares().min().unwrap_or(0) <= self.plan.imbalance();
        let all = self.plan.partitions();
        even && owned.len() == all.len() && owned.iter().collect::<BTreeSet<_>>().len() == all.len()
    }

    fn is_all_committed(&self, engine: &Engine) -> bool {
        let committed = engine.committed_offsets(GROUP).unwrap();
        self.plan.partitions().iter().all(|id| {
            let end = engine.partition(id).unwrap().ends().unwrap().log_end_offset;
            end == 0 || committed.get(id).is_some_and(|commit| commit.offset == end)
        })
    }

    /// All leave in good order.
    pub(crate) fn end(&mut self) {
        for member in &self.members {
            std::fs::write(self.leave_sign(&member.name), "").unwrap();
        }
        let deadline = Deadline::far();
        while !self.members.is_empty() && !deadline.is_over() {
            sleep(Duration::from_millis(2));
            self.look();
        }
        let left = self.members.drain(..);
        self.complaints.extend(left.map(|member| format!("{} does not leave", member.name)));
    }

    /// Every member there was: its name, and its `group.instance.id` or nothing.
    pub(crate) fn everybody(&self) -> impl Iterator<Item = (String, String)> {
        let named = self.instances.iter().enumerate();
        named.map(|(place, instance)| (format!("m{}", place + 1), instance.clone()))
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn feeder(dir: &Path, plan: &Plan) -> Process {
    with_partitions("feeder", dir, plan)
}

fn cleaner(dir: &Path, plan: &Plan) -> Option<Process> {
    plan.cleaned.then(|| with_partitions("cleaner", dir, plan))
}

fn with_partitions(role: &str, dir: &Path, plan: &Plan) -> Process {
    let partitions: Vec<_> = plan.partitions().iter().map(ToString::to_string).collect();
    Process::start(
        role,
        &[
            ("dir", text(&dir.join("data"))),
            ("stop", text(&dir.join("stop"))),
            ("partitions", &partitions.join(" ")),
        ],
    )
}
