//! Names of settings: which one was meant by one that there is not.

/// The known name that is nearest to `name`, if it is near enough to have been meant.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known.min_by_key(|known| distance(known, name)).filter(|known| distance(known, name) <= 3)
}

/// How many letters must change to turn one name into the other (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut corner = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.bytes().enumerate() {
            let changed = corner + usize::from(x != y);
            corner = row[j + 1];
            row[j + 1] = changed.min(corner + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_name_that_is_near_was_meant() {
        let known = || ["segment.bytes", "segment.ms"].into_iter();

        assert_eq!(nearest("segment.byte", known()), Some("segment.bytes"));
        assert_eq!(nearest("sgment.ms", known()), Some("segment.ms"));
        assert_eq!(nearest("port", known()), None);
    }
}
