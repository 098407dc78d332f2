//! The checker sees what it is there for: stories with one thing wrong.

use std::collections::BTreeMap;
use std::time::Duration;

use brokerless::TopicPartition;

use crate::checker::{Evidence, check};
use crate::commits::{Commit, Log};
use crate::history::{Event, What};
use crate::tenure::Story;

fn tp() -> TopicPartition {
    TopicPartition::new("a", 0)
}

fn assigned(generation: i32) -> What {
    What::Assigned { generation, partitions: vec![tp()] }
}

fn polled(from: i64, to: i64) -> What {
    What::Polled { partition: tp(), from, to }
}

fn commit(number: u64, offset: i64) -> What {
    What::Commit { number, offsets: vec![(tp(), offset)] }
}

fn revoked() -> What {
    What::Revoked(vec![tp()])
}

fn released() -> What {
    What::Released(vec![tp()])
}

fn refused(number: u64) -> What {
    What::Refused { number, why: "why".to_owned() }
}

fn story(name: &str, events: Vec<(u64, What)>) -> Story {
    let event = |(at, what)| Event { at: Duration::from_millis(at), what };
    Story {
        name: name.to_owned(),
        instance: String::new(),
        events: events.into_iter().map(event).collect(),
    }
}

/// Two members, one after the other, and what they committed.
struct Tale {
    stories: Vec<Story>,
    log: Vec<(&'static str, u64, i64)>,
    end: i64,
}

impl Tale {
    /// One that is right.
    fn new() -> Self {
        let first = vec![
            (10, assigned(1)),
            (11, polled(0, 5)),
            (12, commit(1, 5)),
            (13, What::Committed(1)),
            (14, revoked()),
            (15, released()),
        ];
        let second = vec![
            (20, assigned(2)),
            (21, polled(5, 9)),
            (22, commit(1, 9)),
            (23, What::Committed(1)),
            (24, revoked()),
            (25, released()),
        ];
        Self {
            stories: vec![story("first", first), story("second", second)],
            log: vec![("first", 1, 5), ("second", 1, 9)],
            end: 9,
        }
    }

    fn verdict(self) -> String {
        let commits = self.log.into_iter().map(|(member, number, offset)| Commit {
            offset,
            member: member.to_owned(),
            number,
        });
        let evidence = Evidence {
            stories: self.stories,
            log: Log::from([(tp(), commits.collect())]),
            ends: BTreeMap::from([(tp(), self.end)]),
        };
        check(&evidence).violations.join("\n")
    }

    fn event(&mut self, story: usize, place: usize) -> &mut Event {
        &mut self.stories[story].events[place]
    }
}

#[test]
fn a_story_that_is_right_has_no_violation() {
    assert_eq!(Tale::new().verdict(), "");
}

#[test]
fn two_owners_at_a_time_are_seen() {
    let mut tale = Tale::new();
    tale.event(0, 4).at = Duration::from_millis(25);

    assert!(tale.verdict().contains("two owners at a time"));
}

#[test]
fn a_zombie_may_believe_what_it_wants() {
    let mut tale = Tale::new();
    tale.stories[0].events.remove(4);
    *tale.event(0, 4) = Event { at: Duration::from_millis(25), what: What::Lost(vec![tp()]) };

    assert_eq!(tale.verdict(), "");
}

#[test]
fn a_zombie_may_come_late_to_write_that_it_was_assigned_something() {
    let mut tale = Tale::new();
    let late = vec![(22, assigned(-1)), (26, What::Lost(vec![tp()]))];
    tale.stories.push(story("late", late));

    assert_eq!(tale.verdict(), "");
}

#[test]
fn a_commit_of_a_zombie_that_succeeds_is_seen() {
    let mut tale = Tale::new();
    let events = &mut tale.stories[0].events;
    events.truncate(4);
    for (at, what) in [(30, commit(2, 5)), (31, What::Committed(2)), (32, What::Lost(vec![tp()]))] {
        events.push(Event { at: Duration::from_millis(at), what });
    }
    tale.log.push(("first", 2, 5));

    let verdict = tale.verdict();

    assert!(verdict.contains("two owners at a time"), "{verdict}");
    assert!(verdict.contains("commits go back"), "{verdict}");
    assert!(verdict.contains("comes after another owner's"), "{verdict}");
}

#[test]
fn two_owners_in_one_generation_are_seen_unless_they_are_one_static_member() {
    let mut tale = Tale::new();
    tale.event(1, 0).what = assigned(1);
    assert!(tale.verdict().contains("two owners in generation 1"));

    let mut tale = Tale::new();
    tale.event(1, 0).what = assigned(1);
    tale.stories.iter_mut().for_each(|story| story.instance = "i".to_owned());
    assert_eq!(tale.verdict(), "");
}

#[test]
fn a_refused_commit_in_the_log_is_seen() {
    let mut tale = Tale::new();
    tale.event(1, 3).what = refused(1);

    assert!(tale.verdict().contains("was refused and is in the log"));
}

#[test]
fn a_commit_that_is_not_in_the_log_is_seen_unless_nobody_acknowledged_it() {
    let mut tale = Tale::new();
    tale.log.pop();
    assert!(tale.verdict().contains("was acknowledged and is not in the log"));

    let mut tale = Tale::new();
    tale.log.pop();
    tale.stories[1].events.truncate(3);
    assert_eq!(tale.verdict(), "");
}

#[test]
fn a_start_at_an_offset_that_was_not_the_last_committed_is_seen() {
    let mut tale = Tale::new();
    tale.event(1, 1).what = polled(4, 9);

    assert!(tale.verdict().contains("starts at 4"));
}

#[test]
fn records_that_nobody_read_are_seen() {
    let mut tale = Tale::new();
    tale.end = 10;

    assert!(tale.verdict().contains("records from 9 to 10 were not read"));
}

#[test]
fn a_gap_in_what_one_member_reads_is_seen() {
    let mut tale = Tale::new();
    let gap = Event { at: Duration::from_millis(21), what: polled(12, 15) };
    tale.stories[1].events.insert(2, gap);

    assert!(tale.verdict().contains("was due"));
}

#[test]
fn a_commit_of_what_was_not_read_is_seen() {
    let mut tale = Tale::new();
    tale.event(1, 2).what = commit(1, 10);

    assert!(tale.verdict().contains("which it has not read"));
}

#[test]
fn a_commit_that_nobody_made_is_seen() {
    let mut tale = Tale::new();
    tale.log.push(("third", 1, 9));

    assert!(tale.verdict().contains("a commit that nobody made"));
}

#[test]
fn a_commit_of_what_was_not_owned_is_seen_when_it_succeeds() {
    let stray = |outcome| {
        let mut tale = Tale::new();
        for what in [What::Stray(2), outcome] {
            tale.stories[0].events.push(Event { at: Duration::from_millis(30), what });
        }
        tale.verdict()
    };

    assert_eq!(stray(refused(2)), "");
    assert!(stray(What::Committed(2)).contains("of what it did not own, succeeded"));
}
