//! The text of the list of topics, `.brokerless-topics`: a line a topic, and a checksum.
//!
//! ```text
//! brokerless-topics 2
//! orders ASNFZ4mrze_-3LqYdlQyEA 0,1,2 retention.ms=86400000
//! !old dGhpcyBpcyBhIHRvcGlj 3
//! crc32c 9f1d3b07
//! ```
//!
//! The numbers are the partitions' pages. A `!` marks a topic whose deletion is not over. The
//! checksum is that of the lines before it. A list of version 1 has none.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use crate::config::TopicConfig;
use crate::engine::topics::id::Id;
use crate::engine::topics::{Topic, is_internal};
use crate::error::Error;
use crate::types::valid_topic_name;

pub(crate) const FILE: &str = ".brokerless-topics";
const HEADER: &str = "brokerless-topics 2";
const WITHOUT_CHECKSUM: &str = "brokerless-topics 1";
const CHECKSUM: &str = "crc32c ";

const BAD_HEADER: &str = "it does not begin as it should";
const BAD_CHECKSUM: &str = "its checksum is not that of its lines";

/// A topic of the list, and whether it was deleted.
pub(crate) type Listed = (Topic, bool);

/// The text that lists these topics.
pub(crate) fn encode<'a>(topics: impl IntoIterator<Item = (&'a Topic, bool)>) -> String {
    sealed(topics.into_iter().map(|(topic, is_deleted)| {
        let mark = if is_deleted { "!" } else { "" };
        format!("{mark}{}", line(topic))
    }))
}

/// The text with these lines.
fn sealed(lines: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let mut text = format!("{HEADER}\n");
    for line in lines {
        text.extend([line.as_ref(), "\n"]);
    }
    let sum = crc32c::crc32c(text.as_bytes());
    format!("{text}{CHECKSUM}{sum:08x}\n")
}

fn line(topic: &Topic) -> String {
    let slots: Vec<String> = topic.slots.iter().map(u32::to_string).collect();
    let mut line = format!("{} {} {}", topic.name, topic.id, slots.join(","));
    for (name, value) in &topic.config.given {
        write!(line, " {name}={value}").expect("a string takes any text");
    }
    line
}

/// The topics that a text lists; `None` if it is damaged.
pub(crate) fn decode(bytes: &[u8]) -> Option<Vec<Listed>> {
    let text = str::from_utf8(bytes).ok()?;
    body(without_mark(text)).ok()?.lines().map(parse).collect()
}

/// What is wrong with a list, and the text that keeps what can be read of it.
pub(crate) fn examine(bytes: &[u8]) -> Result<(), (String, String)> {
    let text = String::from_utf8_lossy(bytes);
    let text = without_mark(&text);
    let found = body(text);
    let lines = found.unwrap_or_else(|_| text.split_once('\n').map_or("", |(_, rest)| rest));
    let (good, mut bad): (Vec<&str>, Vec<&str>) =
        lines.lines().partition(|line| parse(line).is_some());
    bad.retain(|line| !line.starts_with(CHECKSUM));
    let what = match (bad.first(), found) {
        (None, Ok(_)) => return Ok(()),
        (Some(line), _) => format!("a line of it describes no topic: {line:?}"),
        (None, Err(what)) => what.to_owned(),
    };
    Err((what, sealed(good)))
}

/// The lines of the topics.
fn body(text: &str) -> Result<&str, &'static str> {
    let (header, rest) = text.split_once('\n').unwrap_or((text, ""));
    match header.trim_end_matches('\r') {
        WITHOUT_CHECKSUM => Ok(rest),
        HEADER => {
            let at = rest.trim_end_matches('\n').rfind('\n').map_or(0, |at| at + 1);
            let (lines, last) = rest.split_at(at);
            let sum = last.trim_end_matches('\n').strip_prefix(CHECKSUM).ok_or(BAD_CHECKSUM)?;
            let whole = &text[..text.len() - last.len()];
            let is_right = sum == format!("{:08x}", crc32c::crc32c(whole.as_bytes()));
            if is_right { Ok(lines) } else { Err(BAD_CHECKSUM) }
        }
        _ => Err(BAD_HEADER),
    }
}

/// The text without the mark (BOM) that some editors put before it.
fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

fn parse(line: &str) -> Option<Listed> {
    let (line, is_deleted) = line.strip_prefix('!').map_or((line, false), |line| (line, true));
    let mut words = line.split(' ');
    let name = words.next().filter(|name| valid_topic_name(name))?;
    let id = Id::parse(words.next()?)?;
    let slots: Option<Vec<u32>> = words.next()?.split(',').map(|slot| slot.parse().ok()).collect();
    let settings: Option<Vec<_>> = words.map(|word| word.split_once('=')).collect();
    let config = TopicConfig::parse(settings?).ok()?;
    let topic = Topic {
        name: name.into(),
        id,
        config: Arc::new(config),
        internal: is_internal(name),
        slots: slots?,
    };
    Some((topic, is_deleted))
}

/// What to do about a list that cannot be read.
pub(crate) fn damaged(path: &Path) -> Error {
    let dir = path.parent().unwrap_or(path).display();
    let remedy = format!(
        "close every process that uses the directory and run `brokerless verify --repair {dir}`; \
         topics whose lines cannot be read are found again by their folders, without their settings"
    );
    Error::Damaged { path: path.to_owned(), remedy }
}

/// What to do about one that somebody has removed.
pub(crate) fn missing(path: &Path) -> Error {
    let dir = path.parent().unwrap_or(path).display();
    let remedy = format!(
        "put it back from a copy; or close every process that uses the directory and run \
         `brokerless verify --repair {dir}`, which makes it anew from the folders, with settings \
         by which every topic keeps all its records"
    );
    Error::Missing { path: path.to_owned(), remedy }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "orders ASNFZ4mrze_-3LqYdlQyEA 4,7 segment.bytes=1000000";

    #[test]
    fn a_line_reads_as_it_was_written() {
        let (topic, is_deleted) = parse(LINE).unwrap();

        assert_eq!(&*topic.name, "orders");
        assert_eq!(topic.slots, [4, 7]);
        assert_eq!(topic.config.segment_bytes, 1_000_000);
        assert!(!is_deleted);
        assert_eq!(line(&topic), LINE);
        assert!(parse("orders ASNFZ4mrze_-3LqYdlQyEA").is_none());
        assert!(parse("../etc ASNFZ4mrze_-3LqYdlQyEA 0").is_none());
    }

    #[test]
    fn every_changed_bit_and_every_cut_of_a_list_is_noticed() {
        let whole = sealed([LINE, "!old ASNFZ4mrze_-3LqYdlQyEA 3"]);
        assert_eq!(decode(whole.as_bytes()).unwrap().len(), 2);

        for bit in 0..whole.len() * 8 {
            let mut bytes = whole.clone().into_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(&bytes).is_none(), "{bit}");
        }
        for len in 0..whole.len() - 1 {
            assert!(decode(&whole.as_bytes()[..len]).is_none(), "{len}");
        }
    }

    #[test]
    fn a_list_of_the_first_version_is_read_without_a_checksum() {
        for end in ["", "\n", "\r\n"] {
            let list = format!("\u{feff}{WITHOUT_CHECKSUM}\n{LINE}{end}");
            assert_eq!(decode(list.as_bytes()).unwrap().len(), 1, "{end:?}");
        }
    }

    #[test]
    fn of_a_damaged_list_the_lines_are_kept_that_can_be_read() {
        let whole = sealed([LINE, "bad line"]);

        let (what, kept) = examine(whole.as_bytes()).unwrap_err();

        assert!(what.contains("bad line"), "{what}");
        assert_eq!(kept, sealed([LINE]));
        assert_eq!(examine(kept.as_bytes()), Ok(()));
    }
}
