//! What a check has to say, in plain words.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::verify::fix::Fix;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Good to know; nothing is wrong, or opening the directory puts it right.
    Note,
    /// Something is not as it should be, and no record is out of reach for it.
    Warning,
    /// Records are lost or out of reach, or the directory cannot be opened.
    Error,
}

impl Severity {
    /// `error`, `warning` or `note`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What kind of thing it is: a short name that stays the same.
    pub code: &'static str,
    /// The file or folder, from the data directory on.
    pub path: PathBuf,
    /// Where in the file, in bytes.
    pub position: Option<u64>,
    /// Which offset of the partition it is about.
    pub offset: Option<i64>,
    /// What is wrong.
    pub message: String,
    /// What to do about it; empty if there is nothing to do.
    pub remedy: String,
    /// What a repair does about it.
    pub(crate) fix: Option<Fix>,
}

impl Finding {
    pub(crate) fn new(
        severity: Severity,
        code: &'static str,
        path: impl AsRef<Path>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            severity,
            code,
            path: path.as_ref().to_owned(),
            position: None,
            offset: None,
            message: message.into(),
            remedy: String::new(),
            fix: None,
        }
    }

    pub(crate) fn error(code: &'static str, path: &Path, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, code, path, message)
    }

    pub(crate) fn warning(code: &'static str, path: &Path, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, code, path, message)
    }

    pub(crate) fn note(code: &'static str, path: &Path, message: impl Into<String>) -> Self {
        Self::new(Severity::Note, code, path, message)
    }

    pub(crate) fn at(self, position: u64) -> Self {
        Self { position: Some(position), ..self }
    }

    pub(crate) fn of(self, offset: i64) -> Self {
        Self { offset: Some(offset), ..self }
    }

    pub(crate) fn remedy(self, remedy: &str) -> Self {
        Self { remedy: remedy.to_owned(), ..self }
    }

    pub(crate) fn fix(self, fix: Fix) -> Self {
        Self { fix: Some(fix), ..self }
    }

    /// Whether something is wrong.
    pub fn is_damage(&self) -> bool {
        self.severity > Severity::Note
    }
}

/// Findings as they come. Of one kind in one file only so many are kept: a broken file may have
/// millions.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    list: Vec<Finding>,
    seen: HashMap<(PathBuf, &'static str), u64>,
}

const MOST_OF_A_KIND: u64 = 20;

impl Findings {
    pub(crate) fn add(&mut self, finding: Finding) {
        let seen = self.seen.entry((finding.path.clone(), finding.code)).or_default();
        *seen += 1;
        if *seen <= MOST_OF_A_KIND {
            self.list.push(finding);
        }
    }

    pub(crate) fn extend(&mut self, findings: impl IntoIterator<Item = Finding>) {
        findings.into_iter().for_each(|finding| self.add(finding));
    }

    /// Whether there is one of that kind.
    pub(crate) fn has(&self, code: &str) -> bool {
        self.list.iter().any(|it| it.code == code)
    }

    /// Adds it, unless there is one of its kind for the file.
    pub(crate) fn add_once(&mut self, finding: Finding) {
        if !self.seen.contains_key(&(finding.path.clone(), finding.code)) {
            self.add(finding);
        }
    }

    /// Lets no repair do anything about them.
    pub(crate) fn leave_alone(&mut self) {
        self.list.iter_mut().for_each(|it| it.fix = None);
    }

    /// All of them, with a last word on those that were not kept.
    pub(crate) fn into_list(mut self) -> Vec<Finding> {
        let more = self.seen.into_iter().filter(|(_, seen)| *seen > MOST_OF_A_KIND);
        let mut more: Vec<_> = more.collect();
        more.sort();
        for ((path, code), seen) in more {
            let known = self.list.iter().find(|it| it.path == path && it.code == code);
            let severity = known.map_or(Severity::Note, |known| known.severity);
            let message = format!("{} more of this kind", seen - MOST_OF_A_KIND);
            self.list.push(Finding::new(severity, code, path, message));
        }
        self.list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_kind_that_comes_a_thousand_times_only_some_are_kept() {
        let mut findings = Findings::default();
        for at in 0..1000 {
            findings.add(Finding::error("damaged-batch", Path::new("a"), "bad").at(at));
        }

        let list = findings.into_list();

        assert_eq!(list.len(), 21);
        assert_eq!(list[20].message, "980 more of this kind");
    }
}
