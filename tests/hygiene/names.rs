//! Names of topics and groups are the user's words, and become names of files.

use std::collections::BTreeSet;

use brokerless::TopicPartition;
use brokerless::engine::{Engine, OpenOptions};
use brokerless::env::{Env, random};
use brokerless::types::{OffsetAndMetadata, valid_topic_name};

use crate::busy;

/// Parts that a path is made of, and what else may confuse.
const PARTS: [&str; 24] = [
    "..",
    ".",
    "/",
    "\\",
    "\0",
    "-",
    "0",
    "-0",
    "~",
    "a",
    "A",
    " ",
    "\n",
    "%2e",
    "$HOME",
    "*",
    "é",
    "\u{202e}",
    "etc",
    "passwd",
    ".lock",
    ".brokerless-control",
    "tmp",
    ":",
];

fn names(seed: u64) -> impl Iterator<Item = String> {
    let mut state = seed;
    let mut dice = move |sides: usize| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % sides
    };
    let mut name = move || (0..=dice(4)).map(|_| PARTS[dice(PARTS.len())]).collect::<String>();
    let long = ["a".repeat(249), "a".repeat(250), "../".repeat(90), String::new()];
    PARTS.map(str::to_owned).into_iter().chain(long).chain(std::iter::from_fn(move || Some(name())))
}

#[test]
fn no_name_leads_out_of_the_directory() {
    let seed = std::env::var("SEED").map_or_else(|_| random::u128() as u64, |s| s.parse().unwrap());
    println!("SEED={seed}");
    let outer = tempfile::tempdir().unwrap();
    let dir = outer.path().join("x/data");
    let engine = Engine::open(&dir, OpenOptions::default(), Env::system()).unwrap();
    let mut made = BTreeSet::new();

    for name in names(seed).take(300) {
        let topic = engine.topic_or_create(&name);
        assert_eq!(topic.is_ok(), valid_topic_name(&name), "{name:?}: {topic:?}; SEED={seed}");
        if topic.is_ok() {
            made.insert(format!("{name}-0"));
            engine.partition(&TopicPartition::new(name.clone(), 0)).unwrap().ends().unwrap();
        }
        // A group takes any name.
        let offset = OffsetAndMetadata { offset: 0, metadata: String::new(), leader_epoch: -1 };
        let position = (TopicPartition::new("t", 0), offset);
        let _ = engine.commit_offsets(&name, &[position]);
        let _ = engine.group(&name);
    }

    let beside: Vec<_> = busy::walk(outer.path())
        .into_keys()
        .filter(|path| !path.starts_with("x/data") && path != std::path::Path::new("x"))
        .collect();
    assert!(beside.is_empty(), "{beside:?}; SEED={seed}");
    let folders: BTreeSet<_> = busy::walk(&dir)
        .into_iter()
        .filter(|(_, metadata)| metadata.is_dir())
        .map(|(path, _)| path.to_str().unwrap().to_owned())
        .filter(|name| !name.starts_with("__consumer_offsets-"))
        .collect();
    assert_eq!(folders, made, "SEED={seed}");
}
