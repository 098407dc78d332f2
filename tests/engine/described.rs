//! Our tables of settings beside what a real broker says of its own (`tests/data/settings`).
//!
//! `differences.tsv` lists where they differ, and why: the table (or `described`), the setting, what
//! of it, what it is here, and the reason. One that is no more is an error too.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use brokerless::config::setting::{Change, Described, Kind, Setting};
use brokerless::config::{TopicConfig, directory, topic};

use crate::support::{ORDERS, open};

/// The columns of a line of one of the files.
type Line = Vec<String>;

fn lines(file: &str) -> Vec<Line> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/settings").join(file);
    let text = std::fs::read_to_string(path).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.split('\t').map(str::to_owned).collect()).collect()
}

/// What Kafka says, by name: the columns after it.
fn kafka(table: &str) -> BTreeMap<String, Line> {
    let rows = lines("kafka.tsv").into_iter().filter(|line| line[0] == table);
    rows.map(|line| (line[1].clone(), line[2..].to_vec())).collect()
}

/// Asserts that what is found to differ is what is listed.
#[track_caller]
fn assert_listed(table: &str, found: &BTreeSet<String>) {
    let listed: BTreeSet<String> = lines("differences.tsv")
        .into_iter()
        .filter(|line| line[0] == table)
        .map(|line| {
            assert!(line.len() == 5 && !line[4].is_empty(), "no reason: {line:?}");
            line[1..4].join("\t")
        })
        .collect();
    let mut wrong = String::new();
    for line in found.difference(&listed) {
        writeln!(wrong, "not listed: {line}").unwrap();
    }
    for line in listed.difference(found) {
        writeln!(wrong, "not so: {line}").unwrap();
    }
    assert!(wrong.is_empty(), "{table}:\n{wrong}");
}

/// Notes what of a setting is not Kafka's.
fn differ(found: &mut BTreeSet<String>, name: &str, kafka: &Line, ours: &[(&str, String)]) {
    for (index, (what, ours)) in ours.iter().enumerate() {
        let kafka = kafka.get(index).map_or("", String::as_str);
        if kafka != ours {
            found.insert(format!("{name}\t{what}\t{ours}"));
        }
    }
}

fn columns<C>(setting: &Setting<C>) -> [(&'static str, String); 3] {
    let default = setting.default.unwrap_or("null").to_owned();
    let kind = setting.kind.name().to_owned();
    [("type", kind), ("default", default), ("range", setting.valid.text())]
}

#[test]
fn a_topic_has_kafkas_settings_with_kafkas_types_defaults_and_ranges() {
    let kafka = kafka("topic");
    let described = TopicConfig::default().describe(&directory::DirectoryConfig::default());
    let mut found = BTreeSet::new();

    let ours: BTreeSet<_> = described.iter().map(|one| one.name).collect();
    assert_eq!(ours, kafka.keys().map(String::as_str).collect());
    for (setting, described) in topic::SETTINGS.iter().zip(&described) {
        let synonym = setting.in_directory().next().unwrap_or_default();
        let [kind, default, valid] = columns(setting);
        let shown = described.value.clone().unwrap();
        assert_eq!(shown, default.1, "{}", setting.name);
        let ours = [kind, default, valid, ("synonym", synonym.to_owned())];
        differ(&mut found, setting.name, &kafka[setting.name], &ours);
    }

    assert_listed("topic", &found);
}

#[test]
fn a_directorys_settings_are_those_of_a_broker_with_its_types_defaults_and_ranges() {
    let kafka = kafka("broker");
    let mut found = BTreeSet::new();

    for setting in &directory::SETTINGS {
        match kafka.get(setting.name) {
            Some(kafka) => differ(&mut found, setting.name, kafka, &columns(setting)),
            None => {
                found.insert(format!("{}\tname\tthere is none", setting.name));
            }
        }
    }

    assert_listed("broker", &found);
}

#[test]
fn every_name_that_kafkas_brokers_have_for_a_topics_setting_is_one_of_the_directory() {
    for (name, columns) in kafka("topic") {
        let synonym = columns.get(3).filter(|synonym| !synonym.is_empty());
        let is_there = |synonym| directory::SETTINGS.iter().any(|one| one.name == synonym);
        assert!(synonym.is_none_or(is_there), "{synonym:?} for {name}");
    }
}

#[test]
fn a_topic_is_described_as_by_a_broker_with_the_same_settings() {
    let dir = tempfile::tempdir().unwrap();
    let said = |place| {
        let rows = kafka(place).into_iter();
        rows.map(|(name, value)| (name, value[0].clone())).collect::<Vec<_>>()
    };
    let file: Vec<_> =
        said("file").iter().map(|(name, value)| format!("{name}={value}\n")).collect();
    std::fs::write(dir.path().join("brokerless.properties"), file.concat()).unwrap();
    let engine = open(dir.path());
    let dynamic = said("dynamic").into_iter().map(|(name, value)| (name, Change::Set(value)));
    engine.alter_directory(&dynamic.collect::<Vec<_>>(), false).unwrap();
    let topic = engine.create_topic(ORDERS, None, &said("given")).unwrap();
    let kafka = kafka("described");
    let mut found = BTreeSet::new();

    for described in topic.config.describe(&engine.config()) {
        let ours = [
            ("value", described.value.clone().unwrap()),
            ("source", described.source.name().to_owned()),
            ("synonyms", synonyms(&described)),
        ];
        let kafka = &kafka[described.name];
        let kafka = [&kafka[..2], &[kafka[2..].join(", ")]].concat();
        differ(&mut found, described.name, &kafka, &ours);
    }

    assert_listed("described", &found);
}

fn synonyms(described: &Described) -> String {
    let synonyms = described.synonyms.iter();
    let said = synonyms.map(|(name, value, source)| format!("{name}={value} {}", source.name()));
    said.collect::<Vec<_>>().join(", ")
}

#[test]
fn every_setting_says_what_it_is_for_in_one_sentence() {
    let topic = topic::SETTINGS.iter().map(|one| (one.name, one.documentation));
    let directory = directory::SETTINGS.iter().map(|one| (one.name, one.documentation));

    for (name, sentence) in topic.chain(directory) {
        assert!(sentence.ends_with('.') && sentence.len() > 20, "{name}: {sentence}");
    }
}

/// Whether a range takes a whole number, as who reads it would say.
fn takes(range: &str, number: i64) -> bool {
    let (edges, other) = range.split_once(" or ").unwrap_or((range, ""));
    let mut edges = edges.trim_matches(['[', ']']).split(',').map(str::parse::<i64>);
    let least = edges.next().unwrap().unwrap_or(i64::MIN);
    let most = edges.next_back().and_then(Result::ok).unwrap_or(i64::MAX);
    (least..=most).contains(&number) || other.parse() == Ok(number)
}

#[test]
fn what_a_range_says_is_what_a_directory_takes() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());

    let whole = directory::SETTINGS.iter().filter(|one| matches!(one.kind, Kind::Int | Kind::Long));
    for (setting, number) in whole.flat_map(|one| [-3, -2, -1, 0, 1, 2].map(|it| (one, it))) {
        let change = (setting.name.to_owned(), Change::Set(number.to_string()));
        let is_taken = engine.alter_directory(&[change], true).is_ok();
        let range = setting.valid.text();

        assert_eq!(is_taken, takes(&range, number), "{}: {range}: {number}", setting.name);
    }
}

/// A table of a page: every setting with its type, default, range and what it is for.
fn page<C>(settings: &[Setting<C>]) -> String {
    let mut text = "| name | type | default | values | |\n|---|---|---|---|---|\n".to_owned();
    for setting in settings {
        let names: Vec<_> = setting.in_directory().collect();
        let names = if names.is_empty() {
            String::new()
        } else {
            format!(" Directory: `{}`.", names.join("`, `"))
        };
        let default = match setting.default {
            None => "none".to_owned(),
            Some("") => "empty".to_owned(),
            Some("9223372036854775807") => "without end".to_owned(),
            Some(default) => format!("`{default}`"),
        };
        let (name, kind, valid) = (setting.name, setting.kind.name(), setting.valid.text());
        let what = setting.documentation;
        writeln!(text, "| `{name}` | {kind} | {default} | {valid} | {what}{names} |").unwrap();
    }
    text
}

#[test]
fn the_page_of_settings_says_what_the_tables_say() {
    let (topics, directories) = (page(&topic::SETTINGS), page(&directory::SETTINGS));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/settings.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let parts: Vec<&str> = text.split("\n\n").collect();
    let is_table = |part: &&&str| part.starts_with("| name | type |");
    let mut tables = parts.iter().filter(is_table).map(|part| part.trim_end());

    // To write it anew: put in place of the tables what this prints.
    assert_eq!(tables.next(), Some(topics.trim_end()), "\n{topics}");
    assert_eq!(tables.next(), Some(directories.trim_end()), "\n{directories}");
}
