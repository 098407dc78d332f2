//! What is found of segments whose file somebody has given another name.

use std::path::Path;

pub(crate) use crate::log::recovery::names::{Place, places};
use crate::verify::finding::Finding;
use crate::verify::fix::Fix;

pub(crate) fn misnamed(path: &Path, place: Place) -> Finding {
    let Place { name, base } = place;
    let what = format!(
        "its first batch begins at offset {base}: the file was given the name of offset {name}"
    );
    Finding::error("misnamed-segment", path, what).of(base).fix(Fix::Rename(place)).remedy(
        "give the file its name back, with its indexes; or run verify with --repair, which does that",
    )
}
