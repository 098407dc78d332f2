//! The assignors beside Kafka's: `tests/data/groups/assignments.txt.gz` is what its Java clients
//! answered, written by `tests/interop/Assignments.java`, which also says what is in it.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs::File;
use std::io::{BufRead, BufReader};

use brokerless::TopicPartition;
use brokerless::client::{Builtin, Subscriber, assign, hold_back};
use flate2::read::GzDecoder;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/groups/assignments.txt.gz");

#[test]
fn every_assignment_is_kafkas() {
    let mut group = Group::default();
    let mut checked = 0;
    for line in BufReader::new(GzDecoder::new(File::open(GOLDEN).unwrap())).lines() {
        let line = line.unwrap();
        let (word, rest) = line.split_once(' ').unwrap();
        match word {
            "group" => group.name = line,
            "topics" => group = Group::of(group.name, rest),
            "member" => group.join(rest),
            strategy => {
                group.check(Builtin::from_name(strategy).unwrap(), rest);
                checked += 1;
            }
        }
    }
    assert!(checked > 15_000, "{checked} checked");
}

#[derive(Default)]
struct Group {
    name: String,
    topics: Vec<String>,
    partitions: BTreeMap<String, i32>,
    members: Vec<Subscriber>,
}

impl Group {
    fn of(name: String, topics: &str) -> Self {
        let topics = topics.split(' ').map(|topic| topic.split_once('=').unwrap());
        let partitions: BTreeMap<String, i32> =
            topics.map(|(topic, count)| (topic.to_owned(), count.parse().unwrap())).collect();
        Self { name, topics: partitions.keys().cloned().collect(), partitions, members: vec![] }
    }

    fn join(&mut self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        let topics = words[2].split(',').filter(|&letter| letter != "-");
        self.members.push(Subscriber {
            member_id: words[0].to_owned(),
            instance_id: Some(words[1].to_owned()).filter(|instance| instance != "-"),
            topics: topics.map(|letter| self.topic(letter)).collect(),
            owned: vec![],
            generation: -1,
        });
    }

    /// The topic of a letter; longer names are of topics that do not exist.
    fn topic(&self, letter: &str) -> String {
        let place = usize::from(letter.as_bytes()[0] - b'a');
        if letter.len() == 1 { self.topics[place].clone() } else { letter.to_owned() }
    }

    fn check(&self, strategy: Builtin, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        let mut members = self.members.clone();
        if words.len() > 1 {
            for (member, had) in members.iter_mut().zip(words[0].split(';')) {
                let (generation, owned) = had.split_once(':').unwrap();
                member.generation = generation.parse().unwrap();
                member.owned = self.partitions(owned);
            }
        }
        let target = words[words.len().min(2) - 1];
        let first = words.get(2).map(|&first| if first == "=" { target } else { first });

        let given = self.shown(&assign(strategy, &self.partitions, &members));
        let held = first.map(|_| self.shown(&hold_back(&self.partitions, &members)));

        assert_eq!(given, target, "{} {strategy:?} {members:#?}", self.name);
        assert_eq!(held.as_deref(), first, "{} {members:#?}", self.name);
    }

    fn partitions(&self, list: &str) -> Vec<TopicPartition> {
        let runs = list.split(',').filter(|&run| run != "-");
        let runs = runs.flat_map(|run| {
            let (topic, numbers) = run.split_at(1);
            let (low, high) = numbers.split_once('-').unwrap_or((numbers, numbers));
            let numbers = low.parse::<i32>().unwrap()..=high.parse().unwrap();
            numbers.map(|number| TopicPartition::new(self.topic(topic), number))
        });
        runs.collect()
    }

    fn shown(&self, lists: &BTreeMap<String, Vec<TopicPartition>>) -> String {
        let lists = self.members.iter().map(|member| self.list(&lists[&member.member_id]));
        lists.collect::<Vec<_>>().join(";")
    }

    fn list(&self, partitions: &[TopicPartition]) -> String {
        let follows = |a: &TopicPartition, b: &TopicPartition| {
            a.topic == b.topic && a.partition + 1 == b.partition
        };
        let mut shown = String::new();
        for run in partitions.chunk_by(follows) {
            let place = self.topics.iter().position(|topic| **topic == *run[0].topic).unwrap();
            let letter = char::from(b'a' + place as u8);
            let comma = if shown.is_empty() { "" } else { "," };
            write!(shown, "{comma}{letter}{}", run[0].partition).unwrap();
            if run.len() > 1 {
                write!(shown, "-{}", run[run.len() - 1].partition).unwrap();
            }
        }
        if shown.is_empty() { "-".to_owned() } else { shown }
    }
}
