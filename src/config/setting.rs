//! What a setting is: its name, type, default, range, what it is for, and how it is changed and
//! described. The tables are in [`topic`](super::topic) and [`directory`](super::directory).

use std::collections::BTreeMap;
use std::str::FromStr;

use crate::config::names::nearest;
use crate::error::{Error, Result};

/// Kafka's type of a setting; the value is its number in Kafka's protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// `true` or `false`.
    Boolean = 1,
    /// Text.
    String = 2,
    /// A whole number of 32 bits.
    Int = 3,
    /// A whole number of 64 bits.
    Long = 5,
    /// A number.
    Double = 6,
    /// Texts with commas between.
    List = 7,
}

impl Kind {
    /// Kafka's name: `BOOLEAN`, `STRING`, `INT`, `LONG`, `DOUBLE`, `LIST`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Boolean => "BOOLEAN",
            Self::String => "STRING",
            Self::Int => "INT",
            Self::Long => "LONG",
            Self::Double => "DOUBLE",
            Self::List => "LIST",
        }
    }
}

/// Which values of its type a setting may have.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Valid {
    /// All.
    Any,
    /// Whole numbers from here on.
    From(i64),
    /// Whole numbers from the one to the other.
    Between(i64, i64),
    /// gzip's levels: 1 to 9, and -1 for the codec's own default.
    GzipLevel,
    /// Whole numbers from 1 on, and -1 for no limit. 0 is refused where it counts, which only who
    /// knows the other settings can tell.
    Limit,
    /// Numbers from 0 to 1.
    Ratio,
    /// These texts, each alone or (of a list) several.
    OneOf(&'static [&'static str]),
    /// `partition:broker` pairs, or `*`.
    Replicas,
}

impl Valid {
    /// The same as Kafka's documentation writes it.
    pub fn text(self) -> String {
        match self {
            Self::Any => String::new(),
            Self::From(least) => format!("[{least},...]"),
            Self::Between(least, most) => format!("[{least},...,{most}]"),
            Self::GzipLevel => "[1,...,9] or -1".to_owned(),
            Self::Limit => "[1,...] or -1".to_owned(),
            Self::Ratio => "[0,...,1]".to_owned(),
            Self::OneOf(texts) => format!("[{}]", texts.join(", ")),
            Self::Replicas => "[partitionId]:[brokerId],[partitionId]:[brokerId],...".to_owned(),
        }
    }

    /// Of whole numbers, the least and the greatest.
    fn bounds(self, kind: Kind) -> (i64, i64) {
        let (least, most) = match kind {
            Kind::Int => (i32::MIN.into(), i32::MAX.into()),
            _ => (i64::MIN, i64::MAX),
        };
        match self {
            Self::From(least) => (least, most),
            Self::Between(least, most) => (least, most),
            Self::Limit => (-1, most),
            _ => (least, most),
        }
    }
}

/// A value that was checked.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Boolean(bool),
    Text(String),
    Whole(i64),
    Number(f64),
    List(Vec<String>),
}

impl Value {
    pub(crate) fn is_true(&self) -> bool {
        matches!(self, Self::Boolean(true))
    }

    pub(crate) fn text(&self) -> &str {
        if let Self::Text(text) = self { text } else { "" }
    }

    pub(crate) fn has(&self, part: &str) -> bool {
        matches!(self, Self::List(parts) if parts.iter().any(|one| one == part))
    }

    pub(crate) fn number(&self) -> f64 {
        if let Self::Number(number) = self { *number } else { 0.0 }
    }

    pub(crate) fn whole(&self) -> i64 {
        if let Self::Whole(number) = self { *number } else { 0 }
    }

    /// For what is in the range of the type.
    pub(crate) fn int(&self) -> i32 {
        i32::try_from(self.whole()).unwrap_or(i32::MAX)
    }

    /// The same, of what is never negative.
    pub(crate) fn unsigned(&self) -> u32 {
        u32::try_from(self.whole()).unwrap_or(0)
    }

    pub(crate) fn size(&self) -> usize {
        usize::try_from(self.whole()).unwrap_or(usize::MAX)
    }
}

/// Where a setting counts for a topic that has none of its own, and in which unit: the value there
/// times the number is the topic's.
pub(crate) type Synonym = (&'static str, i64);

/// One setting of a `C`.
#[derive(Clone, Copy, Debug)]
pub struct Setting<C> {
    /// Kafka's name.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// Its default as text; `None` where Kafka has none.
    pub default: Option<&'static str>,
    /// What it may be.
    pub valid: Valid,
    /// What it is for.
    pub documentation: &'static str,
    /// The directory's settings that count where a topic has none, the first one that is given.
    pub(crate) synonyms: &'static [Synonym],
    pub(crate) set: fn(&mut C, Value),
}

impl<C> Setting<C> {
    /// Of a topic's setting: the directory's that count where the topic has none, the first that is
    /// given.
    pub fn in_directory(&self) -> impl Iterator<Item = &'static str> + use<C> {
        self.synonyms.iter().map(|(name, _)| *name)
    }

    /// Reads a value as Kafka does; the error says what is due.
    pub(crate) fn read(&self, text: &str) -> Result<Value, String> {
        let text = text.trim();
        match self.kind {
            Kind::Boolean => boolean(text),
            Kind::String => self.text(text),
            Kind::Int | Kind::Long => self.whole(text),
            Kind::Double => self.number(text),
            Kind::List => self.list(text),
        }
    }

    fn text(&self, text: &str) -> Result<Value, String> {
        match self.valid {
            Valid::OneOf(known) if !known.contains(&text) => {
                Err(format!("one of {} is due", known.join(", ")))
            }
            _ => Ok(Value::Text(text.to_owned())),
        }
    }

    fn whole(&self, text: &str) -> Result<Value, String> {
        let (least, most) = self.valid.bounds(self.kind);
        let number = i64::from_str(text).ok().filter(|number| match self.valid {
            Valid::GzipLevel => *number == -1 || (1..=9).contains(number),
            _ => (least..=most).contains(number),
        });
        let due = || match self.valid {
            Valid::GzipLevel => "a whole number from 1 to 9, or -1, is due".to_owned(),
            Valid::Limit => format!("a whole number from 1 to {most}, or -1, is due"),
            _ => format!("a whole number from {least} to {most} is due"),
        };
        number.map(Value::Whole).ok_or_else(due)
    }

    fn number(&self, text: &str) -> Result<Value, String> {
        let number = f64::from_str(text).ok().filter(|number| number.is_finite());
        match self.valid {
            Valid::Ratio => number
                .filter(|number| (0.0..=1.0).contains(number))
                .map(Value::Number)
                .ok_or_else(|| "a number from 0 to 1 is due".to_owned()),
            _ => number.map(Value::Number).ok_or_else(|| "a number is due".to_owned()),
        }
    }

    fn list(&self, text: &str) -> Result<Value, String> {
        let parts = parts(text);
        let is_valid = match self.valid {
            Valid::OneOf(known) => parts.iter().all(|part| known.contains(&part.as_str())),
            Valid::Replicas => text == "*" || parts.iter().all(|part| is_replica(part)),
            _ => true,
        };
        let due = || match self.valid {
            Valid::OneOf(known) => {
                format!("{} are due, with commas between", known.join(" and "))
            }
            _ => "pairs of a partition and a broker (0:1,1:1) or * are due".to_owned(),
        };
        if is_valid { Ok(Value::List(parts)) } else { Err(due()) }
    }

    /// The same value without white space.
    pub(crate) fn canonical(&self, text: &str) -> String {
        match self.kind {
            Kind::List => parts(text).join(","),
            _ => text.trim().to_owned(),
        }
    }

    pub(crate) fn invalid(&self, value: &str, why: impl Into<String>) -> Error {
        invalid(self.name, value, why)
    }
}

/// As Kafka's type `BOOLEAN` has it.
fn boolean(text: &str) -> Result<Value, String> {
    match text {
        text if text.eq_ignore_ascii_case("true") => Ok(Value::Boolean(true)),
        text if text.eq_ignore_ascii_case("false") => Ok(Value::Boolean(false)),
        _ => Err("true or false is due".to_owned()),
    }
}

fn is_replica(text: &str) -> bool {
    let number = |text: &str| text.parse::<u32>().is_ok();
    text.split_once(':').is_some_and(|(partition, broker)| number(partition) && number(broker))
}

/// The parts of a list; an empty text has none.
fn parts(text: &str) -> Vec<String> {
    let text = text.trim();
    if text.is_empty() {
        return Vec::new();
    }
    text.split(',').map(|part| part.trim().to_owned()).collect()
}

pub(crate) fn invalid(name: &str, value: &str, why: impl Into<String>) -> Error {
    Error::InvalidConfig { name: name.to_owned(), value: value.to_owned(), why: why.into() }
}

/// The setting of that name.
pub(crate) fn find<'a, C>(table: &'a [Setting<C>], name: &str) -> Option<&'a Setting<C>> {
    table.iter().find(|setting| setting.name == name)
}

/// Where all settings of topics are shown.
const WHERE_LISTED: &str = "`brokerless topics describe --all-configs` lists them";

/// What to say of a name that is in no table.
pub(crate) fn unknown<C>(table: &[Setting<C>], of: &str, name: &str) -> String {
    match nearest(name, table.iter().map(|setting| setting.name)) {
        Some(meant) => format!("no {of} setting has this name; did you mean {meant}?"),
        None if of == "topic" => format!("no {of} setting has this name; {WHERE_LISTED}"),
        None => format!("no {of} setting has this name"),
    }
}

/// What is to happen with a setting (KIP-339).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It gets this value.
    Set(String),
    /// It is as if it had never been given.
    Delete,
    /// These are added to the list that it is, unless they are in it.
    Append(String),
    /// These are taken out of the list that it is.
    Subtract(String),
}

impl Change {
    fn refused(&self, name: &str, why: impl Into<String>) -> Error {
        match self {
            Self::Delete => Error::InvalidChange { name: name.to_owned(), why: why.into() },
            Self::Set(value) | Self::Append(value) | Self::Subtract(value) => {
                invalid(name, value, why)
            }
        }
    }
}

/// The values to give and those to take away, by name.
pub(crate) type Changed = BTreeMap<String, Option<String>>;

/// What changes come to; `current` is a setting's value as it counts now.
pub(crate) fn resolve<C>(
    table: &[Setting<C>],
    of: &str,
    changes: &[(String, Change)],
    current: impl Fn(&Setting<C>) -> Option<String>,
) -> Result<Changed> {
    let mut results = Changed::new();
    for (name, change) in changes {
        let setting = find(table, name);
        let setting = setting.ok_or_else(|| change.refused(name, unknown(table, of, name)))?;
        let value = setting.after(change, || current(setting))?;
        if results.insert(name.clone(), value).is_some() {
            return Err(change.refused(name, "it is changed twice in one call"));
        }
    }
    Ok(results)
}

impl<C> Setting<C> {
    fn after(
        &self,
        change: &Change,
        current: impl Fn() -> Option<String>,
    ) -> Result<Option<String>> {
        let value = match change {
            Change::Delete => return Ok(None),
            Change::Set(value) => value.clone(),
            Change::Append(value) | Change::Subtract(value) if self.kind != Kind::List => {
                return Err(self.invalid(value, "only a list can be added to or taken from"));
            }
            Change::Append(value) => {
                let mut list = parts(&current().unwrap_or_default());
                let more = parts(value).into_iter().filter(|part| !list.contains(part));
                let more: Vec<String> = more.collect();
                list.extend(more);
                list.join(",")
            }
            Change::Subtract(value) => {
                let less = parts(value);
                let mut list = parts(&current().unwrap_or_default());
                list.retain(|part| !less.contains(part));
                list.join(",")
            }
        };
        self.read(&value).map_err(|due| self.invalid(&value, due))?;
        Ok(Some(self.canonical(&value)))
    }
}

/// Who says what a setting is; the value is its number in Kafka's protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Source {
    /// The topic.
    DynamicTopic = 1,
    /// The directory: its file, which the administration writes too.
    DynamicBroker = 2,
    /// The default of a cluster's brokers, which a directory does not have.
    DynamicDefaultBroker = 3,
    /// A broker's file that cannot be written while it runs, which a directory does not have.
    StaticBroker = 4,
    /// Nobody: it is the default.
    Default = 5,
}

impl Source {
    /// Kafka's name of it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::DynamicTopic => "DYNAMIC_TOPIC_CONFIG",
            Self::DynamicBroker => "DYNAMIC_BROKER_CONFIG",
            Self::DynamicDefaultBroker => "DYNAMIC_DEFAULT_BROKER_CONFIG",
            Self::StaticBroker => "STATIC_BROKER_CONFIG",
            Self::Default => "DEFAULT_CONFIG",
        }
    }
}

/// A setting as `describe_configs` gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// Its name.
    pub name: &'static str,
    /// What counts; `None` where nothing was given and Kafka has no default.
    pub value: Option<String>,
    /// Who says so.
    pub source: Source,
    /// Its type.
    pub kind: Kind,
    /// All that say something of it, the first of which counts.
    pub synonyms: Vec<(&'static str, String, Source)>,
    /// What it is for.
    pub documentation: &'static str,
    /// Whether it cannot be altered.
    pub read_only: bool,
    /// Whether its value is a secret.
    pub sensitive: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting(kind: Kind, valid: Valid) -> Setting<()> {
        let (name, default, documentation) = ("a.b", Some("a"), "");
        Setting { name, kind, default, valid, documentation, synonyms: &[], set: |(), _| {} }
    }

    #[track_caller]
    fn after(valid: Valid, change: &Change) -> Result<Option<String>> {
        let setting = setting(Kind::List, valid);
        setting.after(change, || setting.default.map(str::to_owned))
    }

    #[test]
    fn a_list_is_added_to_and_taken_from() {
        let known = Valid::OneOf(&["a", "b", "c"]);
        for (change, expected) in [
            (Change::Append("b".into()), Some("a,b")),
            (Change::Append("a, c".into()), Some("a,c")),
            (Change::Subtract("a,b".into()), Some("")),
            (Change::Subtract("b".into()), Some("a")),
            (Change::Set(" c ,b ".into()), Some("c,b")),
            (Change::Delete, None),
        ] {
            let value = after(known, &change).unwrap();

            assert_eq!(value.as_deref(), expected, "{change:?}");
        }
        assert!(after(known, &Change::Append("d".into())).is_err());
    }

    #[test]
    fn what_is_no_list_is_not_added_to() {
        let setting = setting(Kind::Int, Valid::Any);

        for change in [Change::Append("1".into()), Change::Subtract("1".into())] {
            assert!(setting.after(&change, || None).is_err(), "{change:?}");
        }
    }

    #[test]
    fn a_whole_number_keeps_within_its_type_and_range() {
        let cases = [
            (Kind::Int, Valid::Any, "2147483648", false),
            (Kind::Long, Valid::Any, "2147483648", true),
            (Kind::Int, Valid::From(3), "2", false),
            (Kind::Int, Valid::Between(-2, 3), "-2", true),
            (Kind::Int, Valid::Between(-2, 3), "4", false),
            (Kind::Int, Valid::GzipLevel, "0", false),
            (Kind::Int, Valid::GzipLevel, "-1", true),
            (Kind::Int, Valid::GzipLevel, "10", false),
            (Kind::Long, Valid::Any, "1.5", false),
            (Kind::Double, Valid::Any, "1.5", true),
            (Kind::Double, Valid::Ratio, "1.5", false),
            (Kind::Double, Valid::Any, "NaN", false),
            (Kind::Boolean, Valid::Any, "TRUE", true),
            (Kind::Boolean, Valid::Any, "1", false),
            (Kind::List, Valid::Replicas, "0:1, 1:2", true),
            (Kind::List, Valid::Replicas, "*", true),
            (Kind::List, Valid::Replicas, "0", false),
        ];
        for (kind, valid, text, is_read) in cases {
            let read = setting(kind, valid).read(text);

            assert_eq!(read.is_ok(), is_read, "{kind:?} {valid:?} {text}: {read:?}");
        }
    }

    #[test]
    fn one_name_is_changed_once_in_a_call() {
        let table = [setting(Kind::String, Valid::Any)];
        let twice = [("a.b".to_owned(), Change::Delete), ("a.b".to_owned(), Change::Delete)];

        assert!(resolve(&table, "topic", &twice, |_| None).is_err());
        assert!(resolve(&table, "topic", &twice[..1], |_| None).is_ok());
    }

    #[test]
    fn a_change_of_what_there_is_not_says_what_was_given_and_what_there_is() {
        let table = [setting(Kind::String, Valid::Any)];
        for (name, change, said) in [
            (
                "a.c",
                Change::Set("2".into()),
                "a.c=2: no topic setting has this name; did you mean a.b?",
            ),
            ("a.c", Change::Delete, "a.c: no topic setting has this name; did you mean a.b?"),
            (
                "port",
                Change::Append("1".into()),
                "port=1: no topic setting has this name; `brokerless ",
            ),
        ] {
            let changes = [(name.to_owned(), change)];

            let error = resolve(&table, "topic", &changes, |_| None).unwrap_err().to_string();

            assert!(error.starts_with(said), "{error}");
        }
    }
}
