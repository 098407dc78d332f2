//! Damaged files of every kind: an error or less data, never a panic, a hang or wrong records.

mod cases;
mod sites;
mod takeover;
pub(crate) mod warnings;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use brokerless::engine::{AbortedTransaction, Cursor, Engine, OpenOptions, Partition, TimedOffset};
use brokerless::env::mem::MemDisk;
use brokerless::env::random;
use brokerless::record::{Batch, BatchInfo, verify};
use brokerless::types::OffsetAndMetadata;
use brokerless::{Error, IsolationLevel, TopicPartition};

use cases::Damage;
use sites::{DIR, Left, WAYS};

/// No reading of one of the directories takes more calls of the disk.
const CALLS: u64 = 30_000;

/// Numbers that a seed decides.
#[derive(Clone, Copy, Debug)]
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        ((self.0 >> 33) as usize) % limit.max(1)
    }
}

/// The place of a record.
type Id = (TopicPartition, i64);

/// What a directory gives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Answers {
    /// Offsets and values of all records.
    records: BTreeMap<Id, Option<Vec<u8>>>,
    aborted: BTreeMap<TopicPartition, Vec<AbortedTransaction>>,
    /// What is found at some moments.
    times: BTreeMap<Id, Option<TimedOffset>>,
    /// What group `g` has committed.
    committed: HashMap<TopicPartition, OffsetAndMetadata>,
    errors: Vec<String>,
}

impl Answers {
    fn of(disk: &MemDisk, read_only: bool) -> Self {
        let mut answers = Self::default();
        let options = OpenOptions { read_only, ..OpenOptions::default() };
        let asked = Engine::open(Path::new(DIR), options, disk.env())
            .and_then(|engine| answers.ask_all(&engine));
        answers.note(asked);
        answers
    }

    fn ask_all(&mut self, engine: &Arc<Engine>) -> Result<(), Error> {
        for topic in engine.topics()?.iter() {
            for number in 0..topic.partition_count().min(3) {
                let id = TopicPartition::new(topic.name.clone(), number);
                let asked = engine.partition(&id).and_then(|it| self.ask(&it));
                self.note(asked);
            }
        }
        let asked = engine.committed_offsets("g").map(|found| self.committed = found);
        self.note(asked);
        Ok(())
    }

    fn note(&mut self, asked: Result<(), Error>) {
        self.errors.extend(asked.err().map(|error| error.to_string()));
    }

    fn ask(&mut self, partition: &Partition) -> Result<(), Error> {
        let id = partition.id().clone();
        let ends = partition.ends()?;
        self.aborted.insert(id.clone(), partition.aborted(0, i64::MAX)?);
        let read = self.read(partition, ends.log_start_offset);
        self.note(read);
        for timestamp in (0..3100).step_by(130) {
            match partition.offset_for_time(timestamp) {
                Ok(found) => drop(self.times.insert((id.clone(), timestamp), found)),
                Err(error) => self.note(Err(error)),
            }
        }
        Ok(())
    }

    /// Reads as a consumer does, who refuses what its checksum does not vouch for.
    fn read(&mut self, partition: &Partition, from: i64) -> Result<(), Error> {
        let mut cursor = Cursor::new(from);
        loop {
            let chunk = partition.read(&mut cursor, 500, IsolationLevel::ReadUncommitted)?;
            if chunk.bytes.is_empty() {
                return Ok(());
            }
            let (mut rest, mut position) = (chunk.bytes.clone(), chunk.position);
            while !rest.is_empty() {
                let size = BatchInfo::parse(&rest).expect("framed batches parse").size;
                if let Err(what) = self.take(partition.id(), rest.split_to(size)) {
                    let path = chunk.path.to_path_buf();
                    self.note(Err(Error::CorruptRecord { path, position, what }));
                }
                position += size as u64;
            }
        }
    }

    fn take(
        &mut self,
        id: &TopicPartition,
        batch: bytes::Bytes,
    ) -> Result<(), brokerless::Corruption> {
        verify(&batch)?;
        for record in Batch::decode(batch, 1 << 20)?.records() {
            let record = record?;
            self.records.insert((id.clone(), record.offset), record.value.map(<[u8]>::to_vec));
        }
        Ok(())
    }
}

/// A directory, what it gives as it is, and the file that is damaged.
struct Site {
    what: String,
    disk: MemDisk,
    left: Left,
    whole: Answers,
    file: PathBuf,
    bytes: Vec<u8>,
}

impl Site {
    /// Each file of a directory.
    fn all(what: &str, disk: &MemDisk, left: Left, wanted: impl Fn(&Path) -> bool) -> Vec<Self> {
        let whole = Answers::of(&disk.copy(), true);
        assert_eq!(whole.errors, [""; 0], "{what} is damaged already");
        let files = sites::files(disk).into_iter().filter(|file| wanted(file));
        let site = |file: PathBuf| Self {
            what: format!("{what}, {left:?}: {}", file.display()),
            disk: disk.copy(),
            left,
            whole: whole.clone(),
            bytes: sites::read(disk, &file),
            file,
        };
        files.map(site).collect()
    }

    fn suffix(&self) -> &str {
        self.file.extension().and_then(|suffix| suffix.to_str()).unwrap_or_default()
    }

    fn is_log(&self) -> bool {
        self.suffix() == "log"
    }

    fn check(&self, damage: Damage) {
        let mut bytes = self.bytes.clone();
        damage.apply(&mut bytes);
        if bytes == self.bytes {
            return;
        }
        for read_only in [true, false] {
            let disk = self.disk.copy();
            sites::put(&disk, &self.file, &bytes);
            let before = disk.calls();
            let (found, warnings) = warnings::of(|| Answers::of(&disk, read_only));
            let what = format!("{}, {damage:?}, read-only {read_only}", self.what);
            assert!(disk.calls() - before < CALLS, "{what}: it does not end");
            // Who changes nothing may read what is left, and is warned.
            let warnings = if read_only { &warnings[..] } else { &[] };
            self.judge(&found, warnings, &bytes, &what);
            if self.is_log() && (read_only || self.left.is_settled()) {
                let kept = sites::files(&disk).contains(&self.file)
                    && sites::read(&disk, &self.file)
                        .starts_with(&bytes[..self.bytes.len().min(bytes.len())]);
                assert!(kept, "{what}: what was below the recovery point was cut");
            }
        }
    }

    fn judge(&self, found: &Answers, warnings: &[String], bytes: &[u8], what: &str) {
        let uncovered = self.is_log() && self.changes_an_offset(bytes);
        for (key, value) in &found.records {
            let known = match self.whole.records.get(key) {
                Some(known) if known == value => true,
                _ if uncovered => self.whole.records.values().any(|known| known == value),
                _ => false,
            };
            assert!(known, "{what}: {key:?} was never written");
        }
        for (id, commit) in &found.committed {
            let known = self.whole.committed.get(id);
            assert_eq!(known, Some(commit), "{what}: it was never committed for {id}");
        }
        match self.suffix() {
            "log" if self.left.is_settled() && !uncovered => {
                let all =
                    found.records == self.whole.records && found.committed == self.whole.committed;
                let name = self.file.file_name().unwrap().to_string_lossy();
                let named = |error: &String| {
                    error.contains(&*name) || error.contains("was on the disk up to")
                };
                let told = found.errors.iter().chain(warnings).any(named);
                assert!(
                    all || told,
                    "{what}: records are missing, and nothing tells: {:?}",
                    found.errors
                );
            }
            "index" | "timeindex" | "snapshot" => assert_eq!(*found, self.whole, "{what}"),
            _ => {}
        }
    }

    /// Whether the damage lies in what the checksum of a batch does not cover: its base offset. One
    /// that is wrong within its segment cannot be told, as in Kafka.
    fn changes_an_offset(&self, damaged: &[u8]) -> bool {
        let mut at = 0;
        while let Ok(info) = BatchInfo::parse(&self.bytes[at..]) {
            let field = at..at + 8;
            if damaged.get(field.clone()).is_some_and(|now| *now != self.bytes[field]) {
                return true;
            }
            at += info.size;
        }
        false
    }
}

fn ours(file: &Path) -> bool {
    // Only our own sample has more than one partition with records.
    !file.to_string_lossy().contains("__consumer_offsets-")
        || file.ends_with("00000000000000000000.log")
}

fn own_sites() -> Vec<Site> {
    WAYS.into_iter().flat_map(|left| Site::all("own", &sites::own(left), left, ours)).collect()
}

/// The files of one partition of a broker's directory.
fn brokers_sites(directory: &str, partition: &str) -> Vec<Site> {
    let folder = Path::new(DIR).join(partition);
    let inner = |file: &Path| file.parent() == Some(&folder);
    let what = format!("{directory}/{partition}");
    let left = if directory == "killed" { Left::Killed(false) } else { Left::Closed };
    Site::all(&what, &sites::brokers(directory, partition), left, inner)
}

fn seed() -> u64 {
    let seed = std::env::var("SEED").map_or_else(|_| random::u128() as u64, |s| s.parse().unwrap());
    println!("SEED={seed}");
    seed
}

fn some(sites: &[Site], count: usize) {
    let seed = seed();
    let mut dice = Dice(seed);
    let mut kinds = BTreeSet::new();
    for _ in 0..count {
        let site = &sites[dice.below(sites.len())];
        kinds.insert(site.suffix());
        site.check(Damage::any(&mut dice, &site.bytes, site.is_log()));
    }
    assert!(kinds.len() > 2, "{kinds:?}");
}

#[test]
fn no_damage_gives_wrong_records() {
    some(&own_sites(), 250);
}

#[test]
fn no_damage_to_commits_gives_wrong_offsets() {
    let log = Path::new(DIR).join("__consumer_offsets-3/00000000000000000000.log");
    let sites = Site::all("own", &sites::own(Left::Closed), Left::Closed, |file| file == log);
    let [site] = &sites[..] else { panic!("{} files", sites.len()) };
    assert_eq!(site.whole.committed.len(), 1);
    for at in (Dice(seed()).below(4)..site.bytes.len()).step_by(4) {
        site.check(Damage::Flip { at, bit: (at % 8) as u8 });
    }
}

#[test]
fn no_damage_to_a_broker_s_files_gives_wrong_records() {
    let dice = &mut Dice(random::u128() as u64);
    let directory = ["clean", "old"][dice.below(2)];
    let names = sites::partitions(directory);
    let name = &names[dice.below(names.len())];
    println!("{directory}/{name}");
    let sites = brokers_sites(directory, name);
    some(&sites, 60);
}

#[test]
#[ignore = "long: make torture"]
fn torture_every_damage_to_every_file() {
    let time = std::env::var("TORTURE_SECONDS").map_or(60, |text| text.parse().unwrap());
    let end = Instant::now() + Duration::from_secs(time);
    let mut sites = own_sites();
    for directory in ["clean", "old", "killed"] {
        for partition in sites::partitions(directory) {
            sites.extend(brokers_sites(directory, &partition));
        }
    }
    let mut cases: Vec<(usize, Damage)> = Vec::new();
    for (index, site) in sites.iter().enumerate() {
        cases.extend(Damage::all(&site.bytes, site.is_log()).into_iter().map(|it| (index, it)));
    }
    // In an order that a seed decides, so that a part is a sample of all.
    let mut dice = Dice(seed());
    let mut done = 0;
    while !cases.is_empty() && Instant::now() < end {
        let (site, damage) = cases.swap_remove(dice.below(cases.len()));
        sites[site].check(damage);
        done += 1;
    }
    println!("{done} cases of {} in {} files", done + cases.len(), sites.len());
}
