//! Java's `.properties` format, as `java.util.Properties.load` reads it.
//!
//! ```text
//! # a comment, as is what begins with !
//! name=value          ':' or white space in place of '=' will do
//! long = first, \
//!        second       a backslash at the end joins the next line, without what indents it
//! ```
//!
//! Bytes are Latin-1; `\t`, `\n`, `\r`, `\f` and `\uXXXX` stand for other characters, and a
//! backslash before any other is left out.

use std::fmt::Write as _;

/// One setting of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Property {
    /// The line it begins in, from 1.
    pub(crate) line: usize,
    /// The line behind its last.
    pub(crate) end: usize,
    pub(crate) name: String,
    pub(crate) value: String,
}

/// Reads a file's settings in their order; one that stands twice is given twice. The error is the
/// line with a `\u` that is not followed by four hexadecimal digits.
pub(crate) fn parse(bytes: &[u8]) -> Result<Vec<Property>, usize> {
    // Some editors begin a file with this (BOM).
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text: String = bytes.iter().map(|byte| char::from(*byte)).collect();
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let mut lines = (1..).zip(text.split('\n'));
    let mut properties = Vec::new();
    while let Some((line, first)) = lines.next() {
        let mut logical = first.trim_start_matches(is_space).to_owned();
        if logical.is_empty() || logical.starts_with(['#', '!']) {
            continue;
        }
        let mut end = line + 1;
        while goes_on(&logical) {
            logical.pop();
            let Some((_, next)) = lines.next() else { break };
            end += 1;
            logical.push_str(next.trim_start_matches(is_space));
        }
        let (name, value) = split(&logical);
        let unescape = |text| unescape(text).ok_or(line);
        let (name, value) = (unescape(name)?, unescape(value)?);
        properties.push(Property { line, end, name, value });
    }
    Ok(properties)
}

/// The file with that setting, where its last line was or at the end; without it for `None`. All
/// other lines stay as they are. A file that cannot be read stays as it is.
pub(crate) fn rewrite(bytes: &[u8], name: &str, value: Option<&str>) -> Vec<u8> {
    let mut lines = physical(bytes);
    let properties = parse(bytes).unwrap_or_default();
    let own: Vec<_> = properties.iter().filter(|property| property.name == name).collect();
    let written = value.map(|value| format!("{}={}\n", escape(name), escape(value)).into_bytes());
    for (index, property) in own.iter().enumerate() {
        let is_last = index + 1 == own.len();
        lines[property.line - 1..property.end - 1].fill(Vec::new());
        if let Some(written) = written.as_ref().filter(|_| is_last) {
            lines[property.line - 1].clone_from(written);
        }
    }
    let mut bytes = lines.concat();
    if let Some(written) = written.filter(|_| own.is_empty()) {
        end_line(&mut bytes);
        bytes.extend(written);
    }
    bytes
}

/// Sees to it that what comes next is a line of its own.
fn end_line(bytes: &mut Vec<u8>) {
    if bytes.last().is_some_and(|last| !matches!(last, b'\n' | b'\r')) {
        bytes.push(b'\n');
    }
    let text = bytes.trim_ascii_end();
    let backslashes = text.iter().rev().take_while(|byte| **byte == b'\\').count();
    if backslashes % 2 == 1 {
        bytes.push(b'\n');
    }
}

/// The lines of a file with their ends, counted as [`parse`] does.
fn physical(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut lines = vec![Vec::new()];
    let mut bytes = bytes.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        lines.last_mut().expect("there is one").push(byte);
        let inside = byte == b'\r' && bytes.peek() == Some(&b'\n');
        if matches!(byte, b'\n' | b'\r') && !inside {
            lines.push(Vec::new());
        }
    }
    lines
}

/// Text as it stands in a file; names and values of settings have neither spaces nor separators,
/// but in front of a value.
fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for letter in text.chars() {
        match letter {
            '\\' => escaped.push_str("\\\\"),
            ' '..='~' => escaped.push(letter),
            other => {
                for unit in other.encode_utf16(&mut [0; 2]) {
                    write!(escaped, "\\u{unit:04x}").expect("a string takes any text");
                }
            }
        }
    }
    escaped
}

fn is_space(letter: char) -> bool {
    matches!(letter, ' ' | '\t' | '\x0c')
}

/// An even number of backslashes at the end stands for backslashes.
fn goes_on(line: &str) -> bool {
    (line.len() - line.trim_end_matches('\\').len()) % 2 == 1
}

/// The name ends at the first separator that no backslash stands before.
fn split(line: &str) -> (&str, &str) {
    let mut escaped = false;
    let end = line.find(|letter| {
        let ends = !escaped && (is_space(letter) || matches!(letter, '=' | ':'));
        escaped = letter == '\\' && !escaped;
        ends
    });
    let (name, rest) = line.split_at(end.unwrap_or(line.len()));
    let rest = rest.trim_start_matches(is_space);
    let rest = rest.strip_prefix(['=', ':']).unwrap_or(rest);
    (name, rest.trim_start_matches(is_space))
}

fn unescape(text: &str) -> Option<String> {
    let mut out = Vec::new();
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => out.push(unescaped(&mut letters)?),
            plain => out.extend(plain.encode_utf16(&mut [0; 2]).iter()),
        }
    }
    // Java's strings are UTF-16: two escapes may make one character.
    Some(String::from_utf16_lossy(&out))
}

fn unescaped(letters: &mut std::str::Chars<'_>) -> Option<u16> {
    Some(match letters.next() {
        Some('t') => u16::from(b'\t'),
        Some('n') => u16::from(b'\n'),
        Some('r') => u16::from(b'\r'),
        Some('f') => 0x0c,
        Some('u') => {
            let digits: String = letters.by_ref().take(4).collect();
            let hexadecimal = digits.len() == 4 && digits.bytes().all(|b| b.is_ascii_hexdigit());
            hexadecimal.then(|| u16::from_str_radix(&digits, 16).ok()).flatten()?
        }
        // The file is Latin-1.
        Some(other) => other as u16,
        None => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        let properties = parse(text.as_bytes()).unwrap();
        properties.into_iter().map(|property| (property.name, property.value)).collect()
    }

    fn pair(name: &str, value: &str) -> Vec<(String, String)> {
        vec![(name.to_owned(), value.to_owned())]
    }

    #[test]
    fn a_name_ends_at_the_first_separator() {
        for line in ["a.b=1", "a.b = 1", "a.b: 1", "a.b 1", "  a.b\t=\t1", "a.b\x0c1"] {
            assert_eq!(pairs(line), pair("a.b", "1"), "{line:?}");
        }
        assert_eq!(pairs("a = = 1 "), pair("a", "= 1 "));
        assert_eq!(pairs("a"), pair("a", ""));
        assert_eq!(pairs(r"a\=b\ c=1"), pair("a=b c", "1"));
    }

    #[test]
    fn the_mark_of_an_editor_before_the_first_name_is_no_part_of_it() {
        assert_eq!(pairs("\u{feff}a=1"), pair("a", "1"));
    }

    #[test]
    fn comments_and_empty_lines_say_nothing() {
        assert_eq!(pairs("# a=1\n\n  ! b=2 \\\r\nc=3\r\r"), pair("c", "3"));
    }

    #[test]
    fn a_backslash_at_the_end_joins_the_next_line() {
        assert_eq!(pairs("a=1,\\\n   2\\\\\nb=3\\"), [pair("a", r"1,2\"), pair("b", "3")].concat());
    }

    #[test]
    fn escapes_stand_for_characters() {
        assert_eq!(pairs(r"a=\t\n\u00e4\ud83d\ude00\q"), pair("a", "\t\n\u{e4}\u{1f600}q"));
        assert_eq!(parse(b"a=\xe4").unwrap()[0].value, "\u{e4}");
        for bad in [&b"\n\na=\\u12"[..], b"\n\na=\\u12g4", b"\n\na=\\u+123"] {
            assert_eq!(parse(bad), Err(3));
        }
    }

    #[test]
    fn a_setting_is_written_where_it_was_or_at_the_end() {
        let rewritten =
            |text: &str, value| String::from_utf8(rewrite(text.as_bytes(), "b", value)).unwrap();
        for (text, value, expected) in [
            ("", Some("1"), "b=1\n"),
            ("a=1", Some("2"), "a=1\nb=2\n"),
            ("#b=1\r\nb=1\r\na=1\r", Some("2"), "#b=1\r\nb=2\na=1\r"),
            ("b=1\na=1\n b : 2\n", Some("3"), "a=1\nb=3\n"),
            ("b=1,\\\n  2\na=1", Some("3"), "b=3\na=1"),
            ("b=1,\\\n  2\na=1\nb", None, "a=1\n"),
            ("b=1\\", Some("2"), "b=2\n"),
            ("a=1\\", Some("2"), "a=1\\\n\nb=2\n"),
            ("a=1\\\n", Some("2"), "a=1\\\n\nb=2\n"),
            ("a=b=1", None, "a=b=1"),
        ] {
            assert_eq!(rewritten(text, value), expected, "{text:?} {value:?}");
        }
    }

    #[test]
    fn what_is_written_is_read_as_it_was() {
        for value in ["", "a\\b", "\u{e4}\u{1f600}\n", "a=b:c #d"] {
            let bytes = rewrite(b"# x\n", "a.b", Some(value));

            assert_eq!(parse(&bytes).unwrap()[0].value, value, "{bytes:?}");
        }
    }

    #[test]
    fn a_setting_knows_the_line_it_begins_in() {
        let properties = parse(b"a=1\\\n2\n\n\nb=3").unwrap();

        assert_eq!(properties.iter().map(|it| it.line).collect::<Vec<_>>(), [1, 5]);
    }
}
