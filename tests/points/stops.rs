//! A process that is stopped (SIGSTOP) at each named point, and others beside it.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use crate::places::{PLACES, Place};
use crate::probe::CALLS;
use crate::seed;
use crate::stage::Stage;
use crate::support::{Deadline, Dice, Process};

/// Each call is over by then, whoever is stopped.
const PATIENCE: Duration = Duration::from_secs(25);
/// What one that is to be stopped does at most.
const DEEDS: &str = "150";
const FEW_DEEDS: &str = "15";
/// Nobody comes to these alone.
const TOGETHER: [&str; 1] = ["sync.gathered"];

/// What was seen at one place.
#[derive(Debug)]
struct Seen {
    place: &'static str,
    /// Calls that failed because they waited for too long.
    late: BTreeSet<String>,
    /// Calls that waited until the stopped process went on.
    hung: BTreeSet<String>,
}

/// Stops a process at that place, and lets others make their calls; `None` if it never got there.
fn stop_at(place: &Place, seed: u64) -> Option<Seen> {
    let mut stage = Stage::new(seed, place.focus == "expire");
    if !stage.set(place) {
        return None;
    }
    let at = format!("{}:1:stop", place.name);
    let slow = matches!(place.focus, "open" | "compact" | "topics");
    let deeds = if slow { FEW_DEEDS } else { DEEDS };
    if TOGETHER.contains(&place.name) {
        stage.keep_company(place.focus);
    }
    let (name, mut victim) = stage.start(place.focus, deeds, Some(&at));
    let is_there = is_stopped(&mut victim);
    stage.disperse();
    let probed = is_there.then(|| probe(&stage));
    if probed.is_some() {
        victim.go_on();
    }
    let said = victim.rest(Deadline::far());
    let ended = victim.wait(Deadline::far());
    assert!(stage.note(&name, &said), "{name} ended at {at}: {ended}; SEED={seed}");
    let found = probed.map(|(mut prober, heard)| {
        let rest = prober.rest(Deadline::far());
        prober.finish();
        let all = [heard.clone(), rest].concat();
        judge(place, &mut stage, &heard, &all)
    });
    stage.check_what_is_there();
    found
}

/// Waits until it is stopped, or has ended.
fn is_stopped(process: &mut Process) -> bool {
    let path = format!("/proc/{}/stat", process.id());
    let deadline = Deadline::far();
    while !process.has_ended() {
        let stat = fs::read_to_string(&path).unwrap_or_default();
        // The state comes behind the name, which stands in parentheses.
        if stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T')) {
            return true;
        }
        assert!(!deadline.is_over(), "it is neither stopped nor ended");
        thread::sleep(Duration::from_millis(1));
    }
    false
}

/// Makes every call; gives what was said until all were over, or patience was.
fn probe(stage: &Stage) -> (Process, Vec<String>) {
    let data = stage.data();
    let args = [("dir", data.to_str().unwrap()), ("name", "probe")];
    let mut prober = Process::start("prober", &args);
    let deadline = Deadline::after(PATIENCE);
    let mut heard = Vec::new();
    while !deadline.is_over() && !prober.has_ended() {
        heard.extend(prober.heard());
        if heard.iter().filter(|line| line.contains(": ")).count() == CALLS.len() {
            break;
        }
        thread::sleep(Duration::from_millis(2));
    }
    // The last words of one that has ended may still be on their way.
    let last = if prober.has_ended() { prober.rest(Deadline::far()) } else { prober.heard() };
    heard.extend(last);
    (prober, heard)
}

fn judge(place: &Place, stage: &mut Stage, heard: &[String], all: &[String]) -> Seen {
    let appended: Vec<_> =
        all.iter().filter(|line| line.ends_with(" 2") && !line.contains(':')).cloned().collect();
    stage.note("probe", &appended);
    let of = |lines: &[String], what: &str| {
        lines.iter().find(|line| line.starts_with(&format!("{what}: "))).cloned()
    };
    let mut seen = Seen { place: place.name, late: BTreeSet::new(), hung: BTreeSet::new() };
    seen.late.extend(of(all, "open"));
    for (what, _) in CALLS.iter().filter(|_| seen.late.is_empty()) {
        let outcome = of(all, what);
        if of(heard, what).is_none() {
            seen.hung.insert((*what).to_owned());
        }
        assert!(outcome.is_some(), "{what} never ended at {}", place.name);
    }
    let late = all.iter().filter(|line| line.contains(": ") && !line.ends_with(": ok"));
    seen.late.extend(late.cloned());
    seen
}

/// Stops one at each of the places, several directories at a time.
fn stop_at_all(places: &[Place]) -> Vec<Seen> {
    let seed = seed();
    let left = Mutex::new(places.to_vec());
    let all = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for number in 0..8 {
            let (left, all) = (&left, &all);
            let mut dice = Dice::new(seed + number);
            scope.spawn(move || {
                while let Some(place) = { left.lock().unwrap().pop() } {
                    let found = (0..8).find_map(|_| stop_at(&place, dice.roll()));
                    let found = found.unwrap_or_else(|| panic!("nobody comes to {}", place.name));
                    all.lock().unwrap().push(found);
                }
            });
        }
    });
    all.into_inner().unwrap()
}

fn report(seen: &[Seen]) {
    for Seen { place, late, hung } in seen {
        println!("{place}: {} late {late:?}, {} hung {hung:?}", late.len(), hung.len());
    }
}

/// One for each lock that a process may hold.
const LOCKS: [&str; 10] = [
    "append.written",
    "roll.created",
    "sync.synced",
    "recovery.walked",
    "open.surveyed",
    "close.settled",
    "topics.written",
    "commit.locked",
    "group.written",
    "swap.renaming",
];

#[test]
fn whoever_is_stopped_with_a_lock_holds_up_nobody_for_ever() {
    let places: Vec<_> = LOCKS.into_iter().map(crate::places::named).collect();

    let seen = stop_at_all(&places);

    report(&seen);
    assert!(seen.iter().all(|seen| seen.hung.is_empty()));
}

#[test]
#[ignore = "takes minutes: `make torture`"]
fn torture_whoever_is_stopped_at_whatever_point_holds_up_nobody_for_ever() {
    let wanted: Option<String> = crate::given("PLACE");
    let is_wanted = |place: &&Place| wanted.as_ref().is_none_or(|name| place.name == name);
    let places: Vec<_> = PLACES.iter().filter(is_wanted).copied().collect();

    let seen = stop_at_all(&places);

    report(&seen);
    assert!(seen.iter().all(|seen| seen.hung.is_empty()));
}
