//! The same on a disk in memory, which loses power and fails calls.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use brokerless::Error;
use brokerless::engine::{Engine, OpenOptions};
use brokerless::env::mem::{Call, MemDisk, Repeat};
use brokerless::env::{Access, Env, Storage};
use brokerless::verify::{self, Options, Repaired};

use crate::cases::{Case, TWICE, cases, damaged};
use crate::support::{ALL, batch, damage, fill, line, orders, read, snapshot, values, verify_in};

const DATA: &str = "/data";

type Files = BTreeMap<PathBuf, Vec<u8>>;

/// A disk with these files on it for good.
fn disk_with(files: &Files) -> MemDisk {
    let disk = MemDisk::new();
    let storage = disk.env().storage;
    for (name, bytes) in files {
        let path = Path::new(DATA).join(name);
        let folder = path.parent().unwrap();
        storage.create_dir(folder).unwrap();
        let file = storage.open(&path, Access::Write).unwrap();
        file.write_at(0, bytes).unwrap();
        file.sync_data().unwrap();
        storage.sync_dir(folder).unwrap();
        storage.sync_dir(folder.parent().unwrap()).unwrap();
    }
    disk
}

fn files_of(storage: &dyn Storage, folder: &Path, found: &mut Files) {
    for entry in storage.list(folder).unwrap() {
        let path = folder.join(entry.name);
        if entry.is_dir {
            files_of(storage, &path, found);
            continue;
        }
        let file = storage.open(&path, Access::Read).unwrap();
        let mut bytes = vec![0; file.len().unwrap() as usize];
        file.read_at(0, &mut bytes).unwrap();
        found.insert(path, bytes);
    }
}

fn files(disk: &MemDisk) -> Files {
    let mut found = Files::new();
    files_of(&*disk.env().storage, Path::new(DATA), &mut found);
    found
}

fn repair(env: &Env) -> Result<Repaired, Error> {
    verify::repair(Path::new(DATA), Options::default(), env, &|_| Ok(()))
}

fn open(env: Env) -> Result<Arc<Engine>, Error> {
    Engine::open(Path::new(DATA), OpenOptions::default(), env)
}

/// Cases in which a repair has the most to do.
fn some_cases() -> impl Iterator<Item = Case> {
    const NAMES: [&str; 3] = [
        "a bit of a record",
        "the last batch of a log that was closed",
        "leader epochs that are none",
    ];
    cases().filter(|case| NAMES.contains(&case.name)).chain([TWICE])
}

/// Before other calls the disk is as before the one that comes after them.
fn changes_the_disk(call: Call) -> bool {
    use Call::{Remove, Rename, SetLen, SyncData, SyncDir, Write};

    [Write, Rename, Remove, SetLen, SyncData, SyncDir].contains(&call)
}

/// All that a repair can do something about; with `CASE=...` those that are named so.
fn all_cases() -> impl Iterator<Item = Case> {
    let named = std::env::var("CASE").unwrap_or_default();
    let all = cases().chain([TWICE]);
    all.filter(move |it| it.mended && it.lost.0 >= 0 && it.name.contains(&named))
}

/// A repair of what is left gives what the first one would have given.
fn check(disk: &MemDisk, case: &Case, what: &str) {
    let repaired = repair(&disk.env()).unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_eq!(damage(&repaired.left), [""; 0], "{what}");
    let engine = open(disk.env()).unwrap_or_else(|error| panic!("{what}: {error}"));
    let lost = case.lost.0..case.lost.1;
    let expected = values(ALL.filter(|offset| !lost.contains(offset)));
    assert_eq!(read(&engine.partition(&orders()).unwrap()), expected, "{what}");
}

/// The batches whose bytes are in some file after somebody has opened the directory.
fn kept(disk: &MemDisk) -> Vec<i64> {
    if let Ok(engine) = open(disk.env())
        && let Ok(partition) = engine.partition(&orders())
    {
        let _ = partition.ends();
    }
    let files = files(disk);
    // Offset and epoch were stamped into it.
    let is_there = |offset: i64| {
        let records = &batch(offset / 2)[61..];
        files.values().any(|file| file.windows(records.len()).any(|it| it == records))
    };
    ALL.step_by(2).filter(|offset| is_there(*offset)).collect()
}

/// The good batches of which whoever opens the directory must leave each byte, also without a
/// repair: after a crash, who opens a log that nobody closed cuts it at the damage.
fn good(disk: &MemDisk, case: &Case) -> Vec<i64> {
    let all =
        if case.killed { kept(&disk.after_crash(0)) } else { ALL.step_by(2).collect::<Vec<_>>() };
    all.into_iter().filter(|offset| !(case.lost.0..case.lost.1).contains(offset)).collect()
}

/// Whoever opens the directory without a second repair loses no byte of a good batch either.
fn check_bytes(disk: &MemDisk, good: &[i64], what: &str) {
    let kept = kept(disk);
    let gone: Vec<_> = good.iter().filter(|offset| !kept.contains(offset)).collect();
    assert!(gone.is_empty(), "{what}: offsets {gone:?} are nowhere");
}

#[test]
fn power_lost_before_any_call_of_a_repair_loses_nothing() {
    some_cases().for_each(lose_power);
}

#[test]
#[ignore = "takes minutes"]
fn torture_power_lost_before_any_call_of_any_repair_loses_nothing() {
    all_cases().for_each(lose_power);
}

fn lose_power(case: Case) {
    let disk = disk_with(&snapshot(damaged(&case).path()));
    let crashes = Arc::new(AtomicU64::new(0));
    let hook = {
        let (disk, crashes, case) = (disk.clone(), crashes.clone(), case);
        let good = good(&disk, &case);
        Arc::new(move |kind| {
            if !changes_the_disk(kind) {
                return;
            }
            let call = crashes.fetch_add(1, Ordering::Relaxed);
            // Nothing that was not synced arrived, all of it, or any part; of several names any.
            let seeds = match kind {
                Call::SyncDir => call + 2..call + 10,
                _ if call % 3 == 2 => call..call + 1,
                _ => call % 3..call % 3 + 1,
            };
            for seed in seeds {
                let what = format!("{}: call {call}, seed {seed}", case.name);
                check(&disk.after_crash(seed), &case, &what);
                check_bytes(&disk.after_crash(seed), &good, &what);
            }
        })
    };

    repair(&disk.clone().with_hook(hook).env()).unwrap();

    println!("{} crashes", crashes.load(Ordering::Relaxed));
}

#[test]
fn a_call_of_a_repair_that_fails_loses_nothing() {
    some_cases().for_each(|case| fail_calls(&case, 9));
}

#[test]
#[ignore = "takes minutes"]
fn torture_any_call_of_any_repair_that_fails_loses_nothing() {
    all_cases().for_each(|case| fail_calls(&case, 1));
}

/// Every `step`-th of them.
fn fail_calls(case: &Case, step: usize) {
    let files = snapshot(damaged(case).path());
    let whole = disk_with(&files).process();
    repair(&whole.env()).unwrap();
    for n in (1..=whole.calls()).step_by(step) {
        let disk = disk_with(&files);
        let process = disk.process();
        process.fail(n, std::io::ErrorKind::StorageFull, Repeat::Once);

        let _ = repair(&process.env());

        process.heal();
        check(&disk.process(), case, &format!("{}: call {n}", case.name));
    }
}

/// Every file that a repair has put aside, with what it holds.
fn put_aside(disk: &MemDisk) -> Files {
    let is_aside = |path: &Path| path.to_string_lossy().contains(".quarantined");
    files(disk).into_iter().filter(|(path, _)| is_aside(path)).collect()
}

#[test]
fn a_repair_that_is_tried_again_finds_what_the_first_has_put_aside() {
    fail_and_compare(some_cases(), 5);
    // What is made anew depends on the topic's settings.
    fail_and_compare(
        cases().filter(|case| case.name == "a batch that was cut out of a segment"),
        1,
    );
}

#[test]
#[ignore = "takes minutes"]
fn torture_any_repair_that_is_tried_again_finds_what_the_first_has_put_aside() {
    fail_and_compare(all_cases(), 1);
}

#[test]
fn a_repair_changes_nothing_of_a_whole_directory_whichever_call_fails() {
    let whole = snapshot(crate::support::sample().path());
    let counted = disk_with(&whole).process();
    repair(&counted.env()).unwrap();
    for n in 1..=counted.calls() {
        let disk = disk_with(&whole);
        let before = files(&disk);
        let process = disk.process();
        process.fail(n, std::io::ErrorKind::Other, Repeat::Once);

        let repaired = repair(&process.env());

        let deeds = repaired.map(|repaired| repaired.deeds).unwrap_or_default();
        assert_eq!(deeds, [], "call {n}");
        assert!(files(&disk) == before, "call {n}");
    }
}

/// A call fails, every `step`-th of them, and the repair is done again.
fn fail_and_compare(cases: impl Iterator<Item = Case>, step: usize) {
    let mut more = Vec::new();
    for case in cases {
        let files = snapshot(damaged(&case).path());
        let whole = disk_with(&files).process();
        repair(&whole.env()).unwrap();
        let expected = put_aside(&whole);
        for n in (1..=whole.calls()).step_by(step) {
            let disk = disk_with(&files);
            let process = disk.process();
            process.fail(n, std::io::ErrorKind::StorageFull, Repeat::Once);
            let _ = repair(&process.env());
            process.heal();

            repair(&disk.process().env()).unwrap();

            let names = |files: &Files| files.keys().cloned().collect::<Vec<_>>();
            let (is, due) = (put_aside(&disk), &expected);
            if is != *due {
                more.push(format!(
                    "{}, call {n}: {:?}, not {:?}",
                    case.name,
                    names(&is),
                    names(due)
                ));
            }
        }
    }
    assert_eq!(more, [""; 0]);
}

/// Whether the file belongs to the newest segment of its partition.
fn is_newest(disk: &MemDisk, path: &Path) -> bool {
    let path = Path::new(DATA).join(path);
    let files = disk.env().storage.list(path.parent().unwrap()).unwrap();
    let logs = files.iter().filter_map(|entry| entry.name.strip_suffix(".log"));
    logs.max().is_some_and(|newest| path.file_stem().is_some_and(|stem| stem == newest))
}

/// What is wrong once the next one has had the directory open.
fn after_recovery(disk: &MemDisk) -> Vec<String> {
    drop(open(disk.env()).unwrap());
    damage(&verify_in(Path::new(DATA), &disk.env()))
}

/// So many calls come before the first file that makes a folder a data directory.
const FIRST_FILES: u64 = 60;

/// A directory of ours after power was lost at any moment is as whole as the next to open it needs:
/// what is found is what that one puts right.
#[test]
fn nothing_is_wrong_after_a_crash_but_what_recovery_puts_right() {
    let disk = MemDisk::new();
    let crashes = Arc::new(AtomicU64::new(0));
    let wrong: Arc<Mutex<Vec<String>>> = Arc::default();
    let hook = {
        let (disk, crashes, wrong) = (disk.clone(), crashes.clone(), wrong.clone());
        Arc::new(move |_| {
            let call = crashes.fetch_add(1, Ordering::Relaxed);
            for seed in [0, 1, call + 2] {
                let after = disk.after_crash(seed);
                if after.env().storage.list(Path::new(DATA)).is_err() {
                    continue;
                }
                let looked_at =
                    verify::verify(Path::new(DATA), Options::default(), &after.env(), &|_| Ok(()));
                let report = match looked_at {
                    // Power was lost before the first file was there for good.
                    Err(Error::NotADataDirectory(_)) if call < FIRST_FILES => continue,
                    report => report.unwrap(),
                };
                let bad = report.findings.iter().filter(|found| found.is_damage());
                let is_whole = bad.clone().count() == 0;
                // What was not synced may have holes; records behind them are cut by recovery, which
                // makes the indexes of that segment anew, and what a new partition begins with.
                let bad = bad.filter(|found| {
                    let made_anew = match found.code {
                        "damaged-batch" | "metadata-mismatch" | "epochs-mismatch" => true,
                        "index-mismatch" => is_newest(&after, &found.path),
                        _ => false,
                    };
                    !made_anew || found.severity == verify::Severity::Error
                });
                let bad = bad.map(|found| format!("call {call}, seed {seed}: {}", line(found)));
                wrong.lock().unwrap().extend(bad);
                if !is_whole {
                    let left = after_recovery(&after);
                    let left =
                        left.iter().map(|it| format!("call {call}, seed {seed}: left: {it}"));
                    wrong.lock().unwrap().extend(left);
                }
            }
        })
    };

    fill(&open(disk.clone().with_hook(hook).env()).unwrap());

    let wrong = std::mem::take(&mut *wrong.lock().unwrap());
    assert_eq!(wrong, [""; 0]);
    assert!(crashes.load(Ordering::Relaxed) > 200);
}

/// Numbers that a seed decides.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        ((self.0 >> 33) as usize) % limit.max(1)
    }

    fn damage(&mut self, bytes: &mut Vec<u8>) {
        let at = self.below(bytes.len());
        match self.below(4) {
            0 if !bytes.is_empty() => bytes[at] ^= 1 << self.below(8),
            1 => bytes.truncate(at),
            2 => {
                let end = bytes.len().min(at + 100);
                bytes[at..end].fill(0);
            }
            _ => {
                let noise: Vec<u8> = (0..=self.below(64)).map(|_| self.below(256) as u8).collect();
                let end = bytes.len().min(at + noise.len());
                drop(bytes.splice(at..end, noise));
            }
        }
    }
}

/// Damages one file a round.
#[test]
fn a_repair_of_any_damage_ends_is_done_once_and_gives_no_wrong_record() {
    let rounds = std::env::var("ROUNDS").map_or(40, |rounds| rounds.parse().unwrap());
    let seed = std::env::var("SEED")
        .map_or_else(|_| brokerless::env::random::u128() as u64, |seed| seed.parse().unwrap());
    println!("SEED={seed}");
    let mut dice = Dice(seed);
    let whole: Vec<_> = snapshot(crate::support::sample().path()).into_iter().collect();
    for round in 0..rounds {
        let mut files = whole.clone();
        if dice.below(2) == 0 {
            files.retain(|(name, _)| !name.ends_with(".kafka_cleanshutdown"));
        }
        let chosen = dice.below(files.len());
        dice.damage(&mut files[chosen].1);
        let name = files[chosen].0.clone();
        let what = format!("{}, round {round}, SEED={seed}", name.display());
        let disk = disk_with(&files.into_iter().collect());

        let first = match repair(&disk.env()) {
            // A noise that looks like a version to come.
            Err(Error::NewerFormat { .. }) => continue,
            first => first.unwrap_or_else(|error| panic!("{what}: {error}")),
        };
        let second = repair(&disk.env()).unwrap();

        assert_eq!(second.deeds, [], "{what}");
        let fixed = [
            "bad-settings",
            "unknown-setting",
            "bad-meta",
            "bad-commit",
            "commit-past-end",
            "other-topic",
        ];
        let left: Vec<_> = first.left.findings.iter().filter(|it| it.is_damage()).collect();
        let left: Vec<_> = left.iter().filter(|it| !fixed.contains(&it.code)).collect();
        assert!(left.is_empty(), "{what}: {left:#?}");
        if name.ends_with("brokerless.properties") {
            continue;
        }
        // Of a folder that names another topic nobody can say whose it is: it is refused.
        let other = |it: &verify::Finding| it.code == "other-topic";
        if first.left.findings.iter().any(other) {
            let used = open(disk.env()).unwrap().partition(&orders()).and_then(|it| it.ends());
            if used.is_err() {
                continue;
            }
        }
        let engine = open(disk.env()).unwrap_or_else(|error| panic!("{what}: {error}"));
        let records = engine.partition(&orders()).map(|it| read(&it)).unwrap_or_default();
        for (_, value) in records {
            assert!(value.starts_with("value "), "{what}: {value}");
        }
    }
}
