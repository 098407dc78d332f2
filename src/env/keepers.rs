//! Who has a file locked: no call of the system tells it of such locks, but Linux lists them in
//! `/proc`, of the processes of this user.

use std::fs;
use std::path::Path;

/// The processes that have locked the file for themselves alone; none where that is not told.
pub(crate) fn keepers(path: &Path) -> Vec<u32> {
    let Ok(path) = path.canonicalize() else { return Vec::new() };
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    ids.filter(|id| keeps(*id, &path)).collect()
}

fn keeps(id: u32, path: &Path) -> bool {
    let entries = fs::read_dir(format!("/proc/{id}/fd")).into_iter().flatten().flatten();
    let mut open = entries.filter(|entry| fs::read_link(entry.path()).is_ok_and(|to| to == path));
    open.any(|entry| {
        let number = entry.file_name();
        let told = fs::read_to_string(format!("/proc/{id}/fdinfo/{}", number.display()));
        told.is_ok_and(|told| told.lines().any(is_exclusive))
    })
}

/// Whether a line is of an exclusive lock of an open file description.
fn is_exclusive(line: &str) -> bool {
    let words: Vec<&str> = line.split_whitespace().collect();
    words.first() == Some(&"lock:") && words.contains(&"OFDLCK") && words.contains(&"WRITE")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::{Env, Mode};

    #[test]
    fn who_has_a_file_locked_alone_is_named_and_who_shares_it_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(".lock");
        let lock = Env::system().storage.lock_record(&path).unwrap();
        assert!(lock.try_acquire(Mode::Exclusive).unwrap());
        let alone = keepers(&path);
        assert!(lock.try_acquire(Mode::Shared).unwrap());

        assert_eq!(alone, [std::process::id()]);
        assert_eq!(keepers(&path), [0; 0]);
    }
}
