//! What must hold, whatever happened. Each rule gives its violations, as text.
//!
//! - An owner's time begins when it knows of it, and ends when it is told to give the partition up,
//!   or with its last commit that succeeded: after that it may have been taken for dead. Such times
//!   of one partition do not overlap, so no commit of anybody else succeeds meanwhile.
//! - In one generation a partition is assigned to one member; a static member may be started anew.
//! - In the log of commits, offsets never go back, and each tenure's commits stand together.
//! - A commit that was acknowledged is in the log, and one that was refused is not.
//! - A tenure begins to read where the commits before it end, and leaves nothing out.
//! - Every record was read.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use brokerless::TopicPartition;

use crate::commits::{Commit, Log};
use crate::consumer::UNKNOWN;
use crate::history::What;
use crate::tenure::{self, Outcome, Story, Tenure};

/// All there is to know about a run.
pub(crate) struct Evidence {
    pub(crate) stories: Vec<Story>,
    pub(crate) log: Log,
    /// Where the log of each partition ends.
    pub(crate) ends: BTreeMap<TopicPartition, i64>,
}

/// What a run came to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Findings {
    pub(crate) generations: usize,
    pub(crate) tenures: usize,
    /// Commits of one partition each that were acknowledged.
    pub(crate) commits: usize,
    pub(crate) refused: usize,
    /// Commits by members of what was not theirs.
    pub(crate) strays: usize,
    pub(crate) records: i64,
    pub(crate) violations: Vec<String>,
}

pub(crate) fn check(evidence: &Evidence) -> Findings {
    let mut findings = Findings::default();
    let mut by_partition: BTreeMap<TopicPartition, Vec<Tenure>> = BTreeMap::new();
    for story in &evidence.stories {
        let (tenures, wrong) = tenure::of(story);
        findings.violations.extend(wrong);
        for tenure in tenures {
            by_partition.entry(tenure.partition.clone()).or_default().push(tenure);
        }
    }
    for (partition, end) in &evidence.ends {
        let tenures = by_partition.remove(partition).unwrap_or_default();
        let commits = evidence.log.get(partition).map_or(&[][..], Vec::as_slice);
        let case = Case { tenures, commits, end: *end };
        findings.violations.extend(case.check().map(|what| format!("{partition}: {what}")));
        findings.count(&case);
    }
    let events = evidence.stories.iter().flat_map(|story| &story.events);
    findings.strays = events.filter(|event| matches!(event.what, What::Stray(_))).count();
    findings.generations = generations(&evidence.stories);
    findings
}

fn generations(stories: &[Story]) -> usize {
    let tenures = stories.iter().flat_map(|story| tenure::of(story).0);
    tenures.map(|tenure| tenure.generation).collect::<HashSet<_>>().len()
}

impl Findings {
    fn count(&mut self, case: &Case<'_>) {
        let tries = || case.tenures.iter().flat_map(|tenure| &tenure.tries);
        let count = |outcome| tries().filter(|tried| tried.outcome == outcome).count();
        self.tenures += case.tenures.len();
        self.commits += count(Outcome::Acknowledged);
        self.refused += count(Outcome::Refused);
        self.records += case.end;
    }
}

/// One partition.
struct Case<'a> {
    tenures: Vec<Tenure>,
    commits: &'a [Commit],
    end: i64,
}

impl Case<'_> {
    fn check(&self) -> impl Iterator<Item = String> {
        let log = self.owners_in_the_log();
        self.overlaps()
            .into_iter()
            .chain(self.generations_with_two_owners())
            .chain(self.offsets_that_go_back())
            .chain(self.wrong_outcomes())
            .chain(self.commits_of_others(&log))
            .chain(self.wrong_starts(&log))
            .chain(self.records_left_out())
    }

    fn overlaps(&self) -> Vec<String> {
        // One that was taken for dead before it could write that it owns something owned nothing then.
        let sure = self.tenures.iter().filter(|tenure| tenure.until > tenure.from);
        let mut sorted: Vec<_> = sure.collect();
        sorted.sort_by_key(|tenure| tenure.from);
        let mut wrong = Vec::new();
        for (place, later) in sorted.iter().enumerate() {
            for earlier in &sorted[..place] {
                if earlier.until > later.from {
                    wrong.push(format!(
                        "two owners at a time, {} and {}",
                        show(earlier),
                        show(later)
                    ));
                }
            }
        }
        wrong
    }

    fn generations_with_two_owners(&self) -> Vec<String> {
        let mut owners: HashMap<i32, &Tenure> = HashMap::new();
        let mut wrong = Vec::new();
        for tenure in self.tenures.iter().filter(|tenure| tenure.generation != UNKNOWN) {
            let Some(other) = owners.insert(tenure.generation, tenure) else { continue };
            let anew = !tenure.instance.is_empty() && tenure.instance == other.instance;
            if !anew {
                let (one, two) = (show(other), show(tenure));
                wrong.push(format!(
                    "two owners in generation {}, {one} and {two}",
                    tenure.generation
                ));
            }
        }
        wrong
    }

    fn offsets_that_go_back(&self) -> Vec<String> {
        let pairs = self.commits.windows(2).filter(|pair| pair[1].offset < pair[0].offset);
        pairs.map(|pair| format!("commits go back, {:?} to {:?}", pair[0], pair[1])).collect()
    }

    /// For each commit in the log the tenure that made it, by its place.
    fn owners_in_the_log(&self) -> Vec<Option<usize>> {
        let mut makers = HashMap::new();
        for (place, tenure) in self.tenures.iter().enumerate() {
            for tried in &tenure.tries {
                makers.insert((tenure.member.as_str(), tried.number, tried.offset), place);
            }
        }
        let maker = |c: &Commit| makers.get(&(c.member.as_str(), c.number, c.offset)).copied();
        self.commits.iter().map(maker).collect()
    }

    fn wrong_outcomes(&self) -> Vec<String> {
        let log = self.commits.iter().map(|commit| (commit.member.as_str(), commit.number));
        let log: HashSet<_> = log.collect();
        let verdict = |tenure: &Tenure, number, outcome| match (
            outcome,
            log.contains(&(tenure.member.as_str(), number)),
        ) {
            (Outcome::Acknowledged, false) => Some("was acknowledged and is not in the log"),
            (Outcome::Refused, true) => Some("was refused and is in the log"),
            _ => None,
        };
        let tries = self.tenures.iter().flat_map(|t| t.tries.iter().map(move |tried| (t, tried)));
        tries
            .filter_map(|(tenure, tried)| {
                let what = verdict(tenure, tried.number, tried.outcome)?;
                Some(format!("commit {} of {} {what}", tried.number, tenure.member))
            })
            .collect()
    }

    /// Commits of nobody, and those after another owner's.
    fn commits_of_others(&self, log: &[Option<usize>]) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut seen: Vec<usize> = Vec::new();
        for (commit, maker) in self.commits.iter().zip(log) {
            let Some(maker) = maker else {
                wrong.push(format!("a commit that nobody made, {commit:?}"));
                continue;
            };
            if seen.last() == Some(maker) {
                continue;
            }
            if seen.contains(maker) {
                let owner = show(&self.tenures[*maker]);
                wrong.push(format!("{commit:?} of {owner} comes after another owner's"));
            }
            seen.push(*maker);
        }
        wrong
    }

    /// A tenure starts where the last commit before its own first one ends; one without a commit
    /// of its own where any commit ends.
    fn wrong_starts(&self, log: &[Option<usize>]) -> Vec<String> {
        let mut wrong = Vec::new();
        for (place, tenure) in self.tenures.iter().enumerate() {
            let Some(start) = tenure.start() else { continue };
            let first = log.iter().position(|maker| *maker == Some(place));
            let right = match first {
                Some(first) => {
                    start == first.checked_sub(1).map_or(0, |at| self.commits[at].offset)
                }
                None => start == 0 || self.commits.iter().any(|commit| commit.offset == start),
            };
            if !right {
                wrong.push(format!("{} starts at {start}, which was not committed", show(tenure)));
            }
        }
        wrong
    }

    fn records_left_out(&self) -> Option<String> {
        let mut ranges: Vec<_> =
            self.tenures.iter().flat_map(|t| t.polled.iter().copied()).collect();
        ranges.sort_unstable();
        let read = ranges
            .iter()
            .fold(0, |read, (from, to)| if *from <= read { read.max(*to) } else { read });
        (read != self.end).then(|| format!("records from {read} to {} were not read", self.end))
    }
}

fn show(tenure: &Tenure) -> String {
    let Tenure { member, generation, from, until, .. } = tenure;
    format!("{member} (generation {generation}, {} to {})", millis(*from), millis(*until))
}

fn millis(time: Duration) -> String {
    format!("{:.3} ms", time.as_secs_f64() * 1e3)
}
