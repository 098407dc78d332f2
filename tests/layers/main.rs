//! The layers of the crate, held by a test that reads its sources.

#![allow(clippy::unwrap_used)] // this is a test

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

mod rules;
mod source;
mod tests;

use source::Source;

#[test]
fn every_source_keeps_to_its_layer() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files: Vec<(PathBuf, String)> = sources(&root)
        .into_iter()
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            (path.strip_prefix(&root).unwrap().to_owned(), text)
        })
        .collect();

    let violations = check(&files);

    assert!(files.len() > 10, "the sources were not found");
    assert!(violations.is_empty(), "\n{}\n", violations.join("\n"));
}

/// Every violation in these files (paths from the folder of `lib.rs` on, and texts).
fn check(files: &[(PathBuf, String)]) -> Vec<String> {
    let lib = files.iter().find(|(path, _)| path == Path::new("lib.rs"));
    let re_exports = lib.map_or_else(Vec::new, |(_, text)| rules::re_exports(text));
    let parsed: Vec<_> = files
        .iter()
        .map(|(path, text)| {
            let module = module(path);
            let source = Source::parse(text, &parts(&module));
            (path, module, source)
        })
        .collect();
    let tests: BTreeSet<String> = parsed
        .iter()
        .flat_map(|(_, module, source)| {
            source.test_modules.iter().map(move |test| format!("{module}/{test}"))
        })
        .collect();

    let roots =
        parsed.iter().filter_map(|(_, module, _)| module.split('/').find(|p| !p.is_empty()));
    let mut all: Vec<String> = rules::unknown_modules(roots)
        .into_iter()
        .map(|module| format!("src/{module}: this module has no place in the table of layers"))
        .collect();
    for (path, module, source) in &parsed {
        let is_test =
            tests.iter().any(|test| module == test || module.starts_with(&format!("{test}/")));
        for wrong in rules::violations(source, &parts(module), is_test, &re_exports) {
            all.push(format!("src/{}:{wrong}", path.display()));
        }
    }
    all
}

/// `log/segment.rs` and `log/segment/mod.rs` are `/log/segment`, `lib.rs` is nothing.
fn module(path: &Path) -> String {
    let path = path.with_extension("");
    let names = path.iter().map(|name| name.to_string_lossy());
    let names: Vec<_> = names.filter(|name| name != "mod" && name != "lib").collect();
    if names.is_empty() { String::new() } else { format!("/{}", names.join("/")) }
}

fn parts(module: &str) -> Vec<&str> {
    module.split('/').filter(|part| !part.is_empty()).collect()
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}
