//! What is told of removed segments when a directory is opened.

use std::fs;
use std::path::Path;
use std::sync::{Mutex, Once};

use brokerless::engine::{Engine, OpenOptions};
use brokerless::env::Env;

use crate::support::{ALL, ORDERS, bases, killed_sample, orders, read, repair, sample, values};

/// Keeps every warning.
struct Keeper(Mutex<Vec<String>>);

impl log::Log for Keeper {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        if record.level() <= log::Level::Warn {
            self.0.lock().unwrap().push(record.args().to_string());
        }
    }

    fn flush(&self) {}
}

static KEEPER: Keeper = Keeper(Mutex::new(Vec::new()));

/// What is told of missing offsets when the partition is looked at.
fn told(dir: &Path, read_only: bool) -> Vec<String> {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        log::set_logger(&KEEPER).unwrap();
        log::set_max_level(log::LevelFilter::Warn);
    });
    let options = OpenOptions { read_only, ..OpenOptions::default() };
    let engine = Engine::open(dir, options, Env::system()).unwrap();
    engine.partition(&orders()).unwrap().ends().unwrap();
    drop(engine);
    let place = dir.display().to_string();
    let mut kept = KEEPER.0.lock().unwrap();
    kept.extract_if(.., |it| it.contains(&place) && it.contains("are missing")).collect()
}

fn remove(dir: &Path, number: usize) {
    let base = bases(dir)[number];
    for suffix in ["index", "timeindex", "snapshot", "log"] {
        let _ = fs::remove_file(dir.join(ORDERS).join(format!("{base:020}.{suffix}")));
    }
}

#[test]
fn of_a_segment_that_was_removed_whoever_opens_the_directory_is_told() {
    for number in [0, 1] {
        for (dir, what) in [(sample(), "closed"), (killed_sample(), "killed")] {
            let bases = bases(dir.path());
            let (from, to) = (bases[number], bases[number + 1] - 1);
            remove(dir.path(), number);

            let told = [told(dir.path(), true), told(dir.path(), false)].concat();

            let expected = format!("offsets {from} to {to} of orders-0 are missing");
            assert_eq!(told.len(), 2, "{what}, {number}: {told:?}");
            for one in told {
                assert!(one.starts_with(&expected), "{what}, {number}: {one}");
                let advice = format!("`brokerless verify {}`", dir.path().display());
                assert!(one.contains(&advice), "{one}");
            }
        }
    }
}

#[test]
fn of_what_a_repair_has_taken_note_of_nobody_is_told_again() {
    for number in [0, 1] {
        let dir = sample();
        let bases = bases(dir.path());
        remove(dir.path(), number);

        repair(dir.path());

        assert_eq!(told(dir.path(), false), [""; 0]);
        let engine = crate::support::open(dir.path(), Env::system());
        let kept = ALL.filter(|offset| !(bases[number]..bases[number + 1]).contains(offset));
        assert_eq!(read(&engine.partition(&orders()).unwrap()), values(kept));
    }
}

#[test]
fn of_a_directory_without_gaps_nothing_is_told() {
    for dir in [sample(), killed_sample()] {
        assert_eq!(told(dir.path(), false), [""; 0]);
    }
}
