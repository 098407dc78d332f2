//! A storm: the members of a group are killed, stopped and continued, they come and they leave, and
//! what they wrote down is checked.
//!
//! `STORM_SEED` decides what happens; `STORM_SECONDS` and `STORM_MEMBERS` are for the long one.

#![allow(clippy::unwrap_used)]

mod bare;
mod checker;
mod client;
mod commits;
mod conductor;
mod consumer;
mod history;
mod member;
mod plan;
#[path = "../support/mod.rs"]
mod support;
mod tenure;
mod verdicts;

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::{Duration, Instant};

use brokerless::client::directory;
use brokerless::engine::OpenOptions;
use brokerless::env::random;

use checker::{Evidence, Findings};
use conductor::{Conductor, Deeds};
use member::{cleaner, feeder, member};
use plan::{Plan, STRATEGIES};
use tenure::Story;

support::roles!(member, feeder, cleaner);

/// One run, and what it came to.
struct Run {
    plan: Plan,
    deeds: Deeds,
    settled: Duration,
    findings: Findings,
}

impl Run {
    fn new(plan: Plan) -> Self {
        let mut conductor = Conductor::new(&plan);
        conductor.storm();
        let settled = conductor.settle();
        conductor.end();
        let mut findings = checker::check(&evidence(&conductor, &plan));
        findings.violations.append(&mut conductor.complaints);
        Self { plan, deeds: conductor.deeds, settled, findings }
    }

    fn report(&self) {
        let Self { plan, deeds, findings, settled } = self;
        println!(
            "{} ({}{}), {} members at most: {} starts, {} kills, {} stops ({} long), {} leaves, \
             {} restarts; {} generations, {} tenures, {} records, {} commits, {} refused, \
             {} strays; settled after {} ms; {} violations",
            plan.strategy,
            plan.kind,
            if plan.cleaned { ", compacted" } else { "" },
            plan.members,
            deeds.starts,
            deeds.kills,
            deeds.stops,
            deeds.long_stops,
            deeds.leaves,
            deeds.restarts,
            findings.generations,
            findings.tenures,
            findings.records,
            findings.commits,
            findings.refused,
            findings.strays,
            settled.as_millis(),
            findings.violations.len(),
        );
    }
}

fn evidence(conductor: &Conductor, plan: &Plan) -> Evidence {
    let data = conductor.dir.path().join("data");
    let engine = directory::open(&data, OpenOptions::default()).unwrap();
    let story = |(name, instance): (String, String)| {
        let events = history::read(&conductor.history(&name));
        Story { name, instance, events }
    };
    let end = |id| {
        let end = engine.partition(&id).unwrap().ends().unwrap().log_end_offset;
        (id, end)
    };
    Evidence {
        stories: conductor.everybody().map(story).collect(),
        log: commits::read(&engine),
        ends: plan.partitions().into_iter().map(end).collect::<BTreeMap<_, _>>(),
    }
}

fn given<T: FromStr>(name: &str) -> Option<T> {
    std::env::var(name).ok()?.parse().ok()
}

/// Runs one after another, until each strategy had its turn and the time is over; none is begun
/// after a violation.
fn storm(lasts: Duration, each: Duration, most_members: usize, cleaned: fn(usize) -> bool) {
    let seed = given("STORM_SEED").unwrap_or_else(|| random::u128() as u64);
    println!("STORM_SEED={seed}");
    let end = Instant::now() + lasts;
    let mut slowest = Duration::ZERO;
    for number in 0.. {
        if number >= STRATEGIES.len() && Instant::now() >= end {
            break;
        }
        let plan = Plan::new(seed, number, each, most_members);
        let run = Run::new(Plan { cleaned: cleaned(number), ..plan });
        run.report();
        let violations = &run.findings.violations;
        let first: Vec<_> = violations.iter().take(20).map(String::as_str).collect();
        assert!(first.is_empty(), "STORM_SEED={seed}, run {number}:\n{}", first.join("\n"));
        slowest = slowest.max(run.settled);
    }
    // Most of it is the session timeout of a static member that is gone.
    println!("settled after {} ms at most", slowest.as_millis());
}

#[test]
fn a_short_storm_breaks_nothing() {
    storm(Duration::ZERO, Duration::from_secs(4), 12, |_| false);
}

#[test]
#[ignore = "takes minutes: `make storm`"]
fn a_long_storm_breaks_nothing() {
    let seconds = given("STORM_SECONDS").unwrap_or(180);
    let members = given("STORM_MEMBERS").unwrap_or(16);
    // Each strategy and each kind of topic in turn.
    let cleaned = |number: usize| (number + number / STRATEGIES.len()).is_multiple_of(2);
    storm(Duration::from_secs(seconds), Duration::from_secs(20), members, cleaned);
}
