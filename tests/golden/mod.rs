//! The batches in `tests/data/record`.

use std::path::{Path, PathBuf};

use brokerless::record::BatchInfo;
use bytes::Bytes;

/// Where they lie.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/record")
}

/// The names of the files, without their extension.
pub(crate) fn names() -> Vec<String> {
    let entries = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let bins = entries.filter(|path| path.extension().is_some_and(|end| end == "bin"));
    let mut names: Vec<_> =
        bins.map(|path| path.file_stem().unwrap().to_string_lossy().into_owned()).collect();
    names.sort();
    assert_eq!(names.len(), 13, "a file for each magic and codec: {names:?}");
    names
}

/// The batches in the file of that name.
pub(crate) fn batches(name: &str) -> Vec<Bytes> {
    let mut data = Bytes::from(std::fs::read(folder().join(format!("{name}.bin"))).unwrap());
    let mut batches = Vec::new();
    while !data.is_empty() {
        let info = BatchInfo::parse(&data[..data.len().min(BatchInfo::MAX_PREFIX)]).unwrap();
        batches.push(data.split_to(info.size));
    }
    batches
}
