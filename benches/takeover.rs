//! How long the partitions of a killed member are nobody's, and how long a new group's first member
//! waits for its first record. Real processes; times of one clock.
//!
//! `cargo bench --bench takeover [kills]`

use std::collections::{HashMap, HashSet};
use std::env;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use brokerless::TopicPartition;
use brokerless::client::{Consumer, Outgoing, Producer, Step, directory};
use brokerless::config::{Assignor, ConsumerConfig, OffsetReset, ProducerConfig};
use brokerless::engine::{Engine, OpenOptions};
use brokerless::env::Env;
use tempfile::TempDir;

const MEMBERS: usize = 6;
const PARTITIONS: i32 = 24;
const KILLS: usize = 200;
const FIRST_RECORDS: usize = 50;
const LONG: Duration = Duration::from_secs(30);

const DIR: &str = "BROKERLESS_BENCH_DIR";
const STRATEGY: &str = "BROKERLESS_BENCH_STRATEGY";

fn main() {
    if let Ok(dir) = env::var(DIR) {
        return member(&dir);
    }
    let kills = env::args().find_map(|arg| arg.parse().ok()).unwrap_or(KILLS);
    println!("{:<60} {:>8} {:>8} {:>8} {:>8}", "milliseconds", "p50", "p90", "p99", "max");
    for strategy in ["cooperative-sticky", "range"] {
        let title = format!("killed to taken over, {MEMBERS} members, {strategy}");
        show(&title, takeovers(kills, strategy, false));
    }
    let title = format!("the same, deaths not seen (other pid namespaces), {}", "range");
    if namespaces() {
        show(&title, takeovers(kills, "range", true));
    } else {
        println!("{title}: needs the right to `unshare --pid`");
    }
    show("poll of a new group's first member to its first record", first_records());
}

fn show(title: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |share: usize| times[(times.len() * share / 100).min(times.len() - 1)];
    let figure = |time: Duration| format!("{:.2}", time.as_secs_f64() * 1e3);
    let [p50, p90, p99, max] = [50, 90, 99, 100].map(|share| figure(at(share)));
    println!("{title:<60} {p50:>8} {p90:>8} {p99:>8} {max:>8}");
}

fn now() -> Duration {
    Env::system().clock.monotonic()
}

fn open(dir: &str) -> Arc<Engine> {
    directory::open(Path::new(dir), OpenOptions::default()).expect("the directory opens")
}

fn topic() -> TempDir {
    let dir = TempDir::new().expect("a temporary folder");
    let engine = open(text(&dir));
    engine.create_topic("t", Some(PARTITIONS), &[]).expect("a topic");
    dir
}

fn text(dir: &TempDir) -> &str {
    dir.path().to_str().expect("a path that is text")
}

fn consumer(engine: Arc<Engine>, group: &str, strategy: &str) -> Consumer {
    let config = ConsumerConfig {
        group_id: Some(group.to_owned()),
        assignors: vec![Assignor::builtin(strategy).expect("a strategy of Kafka's")],
        auto_offset_reset: OffsetReset::Earliest,
        ..ConsumerConfig::default()
    };
    let consumer = Consumer::new(engine, config).expect("a consumer");
    consumer.subscribe(&["t".to_owned()]).expect("subscribed");
    consumer
}

/// Polls until it is killed, and says what it owns, and since when.
fn member(dir: &str) {
    let consumer = consumer(open(dir), "g", &env::var(STRATEGY).expect("a strategy"));
    loop {
        let step = consumer.poll(Duration::from_secs(1), 500).expect("polled");
        let at = now().as_nanos();
        match step {
            Step::Assigned(partitions) => say(&format!("+ {at}"), &partitions),
            Step::Revoked(partitions) | Step::Lost(partitions) => say("- 0", &partitions),
            _ => {}
        }
    }
}

fn say(what: &str, partitions: &[TopicPartition]) {
    let numbers: Vec<_> = partitions.iter().map(|id| format!(" {}", id.partition)).collect();
    let mut out = std::io::stdout().lock();
    writeln!(out, "{what}{}", numbers.concat()).expect("somebody listens");
}

/// Whether processes can be started in a namespace of their own.
fn namespaces() -> bool {
    let tried = Command::new("unshare").args(["--pid", "--fork", "true"]).output();
    tried.is_ok_and(|output| output.status.success())
}

/// A line of a member.
#[derive(Debug)]
struct Said {
    member: usize,
    text: String,
}

#[derive(Debug)]
struct Group {
    dir: TempDir,
    strategy: &'static str,
    apart: bool,
    children: HashMap<usize, Child>,
    started: usize,
    tell: Sender<Said>,
    said: Receiver<Said>,
    /// What each member owns, and since when.
    owned: HashMap<usize, HashMap<i32, Duration>>,
}

impl Drop for Group {
    fn drop(&mut self) {
        for child in self.children.values_mut() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Group {
    fn start(&mut self) {
        self.started += 1;
        let (member, tell) = (self.started, self.tell.clone());
        let own = env::current_exe().expect("a bench has a path");
        let mut command = if self.apart { Command::new("unshare") } else { Command::new(&own) };
        if self.apart {
            command.args(["--pid", "--fork", "--kill-child"]).arg(&own);
        }
        command.env(DIR, self.dir.path()).env(STRATEGY, self.strategy).stdout(Stdio::piped());
        let mut child = command.spawn().expect("a process can be started");
        let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        thread::spawn(move || {
            lines.map_while(Result::ok).all(|text| tell.send(Said { member, text }).is_ok())
        });
        self.children.insert(member, child);
    }

    /// Hears until `done`.
    fn hear(&mut self, done: impl Fn(&Self) -> bool) {
        while !done(self) {
            let said = self.said.recv_timeout(LONG);
            let Said { member, text } = said.unwrap_or_else(|_| panic!("silence: {self:?}"));
            let mut words = text.split(' ');
            let comes = words.next() == Some("+");
            let nanos = words.next().and_then(|word| word.parse().ok()).expect("a time");
            let owned = self.owned.entry(member).or_default();
            for number in words.map(|word| word.parse().expect("a partition")) {
                if comes {
                    owned.insert(number, Duration::from_nanos(nanos));
                } else {
                    owned.remove(&number);
                }
            }
        }
    }

    fn is_even(&self) -> bool {
        let shares = || self.children.keys().map(|member| self.owned.get(member));
        let even = PARTITIONS as usize / MEMBERS;
        let all: HashSet<_> = shares().flatten().flat_map(HashMap::keys).collect();
        all.len() == PARTITIONS as usize
            && shares().all(|owned| owned.is_some_and(|owned| owned.len() == even))
    }

    /// Since when a partition is somebody's again after a moment.
    fn taken(&self, number: i32, after: Duration) -> Option<Duration> {
        let since = self.children.keys().filter_map(|member| self.owned.get(member)?.get(&number));
        since.filter(|since| **since > after).min().copied()
    }

    fn kill(&mut self, victim: usize) -> Duration {
        let mut child = self.children.remove(&victim).expect("it lives");
        let orphans: Vec<i32> = self.owned[&victim].keys().copied().collect();
        let killed = now();
        child.kill().expect("it can be killed");
        self.hear(|group| orphans.iter().all(|number| group.taken(*number, killed).is_some()));
        child.wait().expect("it has ended");
        self.owned.remove(&victim);
        let taken = orphans.iter().filter_map(|number| self.taken(*number, killed)).max();
        taken.expect("it owned something").saturating_sub(killed)
    }
}

fn takeovers(kills: usize, strategy: &'static str, apart: bool) -> Vec<Duration> {
    let (tell, said) = channel();
    let (children, owned) = (HashMap::new(), HashMap::new());
    let mut group =
        Group { dir: topic(), strategy, apart, children, started: 0, tell, said, owned };
    (0..MEMBERS).for_each(|_| group.start());
    let mut times = Vec::new();
    for kill in 0..kills {
        group.hear(Group::is_even);
        // At any moment between two heartbeats.
        thread::sleep(Duration::from_millis(20 + 7 * (kill as u64 % 13)));
        let mut members: Vec<_> = group.children.keys().copied().collect();
        members.sort_unstable();
        times.push(group.kill(members[kill * 5 % MEMBERS]));
        group.start();
    }
    times
}

fn first_records() -> Vec<Duration> {
    let dir = topic();
    let engine = open(text(&dir));
    let producer = Producer::new(engine.clone(), ProducerConfig::default()).expect("a producer");
    producer
        .send(&Outgoing { topic: "t", value: Some(b"x"), ..Outgoing::default() })
        .expect("sent");
    producer.close(None).expect("closed");
    let first = |number| {
        let consumer = consumer(engine.clone(), &format!("g{number}"), "range");
        let asked = now();
        while !matches!(consumer.poll(LONG, 1), Ok(Step::Records(some)) if !some.is_empty()) {}
        let waited = now().saturating_sub(asked);
        consumer.close(false).expect("closed");
        waited
    };
    (0..FIRST_RECORDS).map(first).collect()
}
