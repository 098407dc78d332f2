//! The checker itself: it finds each kind of violation, and nothing else.

use std::path::PathBuf;

/// What is wrong with `text` as the file at `path`.
fn wrong(path: &str, text: &str) -> Vec<String> {
    wrong_in(&[(path, text)])
}

fn wrong_in(files: &[(&str, &str)]) -> Vec<String> {
    let files: Vec<_> =
        files.iter().map(|(path, text)| (PathBuf::from(path), (*text).to_owned())).collect();
    super::check(&files)
}

#[track_caller]
fn refused(path: &str, text: &str) {
    assert_eq!(wrong(path, text).len(), 1, "{path}: {text}: {:?}", wrong(path, text));
}

#[track_caller]
fn fine(path: &str, text: &str) {
    assert_eq!(wrong(path, text), [""; 0], "{path}: {text}");
}

#[test]
fn a_layer_may_name_what_lies_below_it() {
    fine("error.rs", "use crate::types::TopicPartition;");
    fine("env/disk.rs", "use crate::types::Timestamp; use crate::env::File;");
    fine("log/segment.rs", "use crate::{env::{File, Storage}, record, error::Result};");
    fine("engine/append.rs", "use crate::log::segment; use crate::coord::offsets;");
    fine("client/producer.rs", "use crate::engine::Engine; fn f() { crate::record::stamp() }");
    fine("python/producer.rs", "use crate::client::Producer; use crate::types::Compression;");
}

#[test]
fn a_layer_may_not_name_what_lies_above_or_beside_it() {
    refused("error.rs", "use crate::env::Env;");
    refused("types.rs", "use crate::record::Batch;");
    refused("config/mod.rs", "use crate::log::segment;");
    refused("env/disk.rs", "use crate::record::Batch;");
    refused("record/batch.rs", "use crate::env::File;");
    refused("coord/group.rs", "use crate::log::segment;");
    refused("log/segment.rs", "use crate::engine::Engine;");
    refused("log/segment.rs", "use crate::coord::offsets;");
    refused("engine/append.rs", "use crate::client::Producer;");
    refused("client/producer.rs", "use crate::log::segment;");
    refused("python/producer.rs", "use crate::engine::Engine;");
}

#[test]
fn a_name_inside_a_group_is_seen() {
    refused("log/a.rs", "use crate::{env, engine};");
    refused("log/a.rs", "use crate::{env::{File, Map}, engine::{Engine as E}};");
    refused("log/a.rs", "use crate::{\n    env,\n    // not that: client\n    engine::*,\n};");
    refused("log/a.rs", "pub(crate) use {crate::engine, crate::env};");
}

#[test]
fn a_name_in_the_code_is_seen() {
    refused("log/a.rs", "fn f() -> crate::engine::Engine { panic!() }");
    refused("log/a.rs", "fn f() { g::<crate::engine::Engine>() }");
    refused("log/a.rs", "fn f() { g!(crate::engine::Engine) }");
    refused("log/a.rs", "#[cfg(test)] mod tests { use crate::engine::Engine; }");
}

#[test]
fn a_way_through_super_is_seen() {
    refused("log/segment.rs", "use super::super::engine;");
    refused("log/segment.rs", "mod tests { use super::super::super::engine::Engine; }");
    refused("log/mod.rs", "use super::engine::Engine;");
    refused("log/mod.rs", "use super::{env, engine};");
    fine("log/segment.rs", "use super::engine; mod tests { use super::super::engine; }");
    fine("log/segment.rs", "mod tests { fn f() {} } use super::index;");
}

#[test]
fn a_name_at_the_root_counts_as_what_it_stands_for() {
    let lib =
        "pub mod error;\npub use engine::{Engine, topics::Topic as T};\npub use error::Error;";

    let below = wrong_in(&[("lib.rs", lib), ("log/a.rs", "use crate::{Error, Engine};")]);
    let above = wrong_in(&[("lib.rs", lib), ("client/a.rs", "use crate::{Error, Engine};")]);

    assert_eq!(below, ["src/log/a.rs:1: `crate::Engine` is not for log::a"]);
    assert_eq!(above, [""; 0]);
}

#[test]
fn a_module_without_a_place_in_the_table_is_refused() {
    refused("extra/mod.rs", "");
    refused("log/a.rs", "use crate::extra;");
}

#[test]
fn only_the_binding_knows_python() {
    refused("client/producer.rs", "use pyo3::prelude::*;");
    refused("client/producer.rs", "#[cfg_attr(feature = \"python\", pyo3::pyclass)] struct S;");
    refused("env/disk.rs", "#[cfg(test)] mod tests { use pyo3::Python; }");
    fine("python/producer.rs", "use pyo3::prelude::*;");
}

#[test]
fn only_env_knows_files_and_clocks() {
    for text in [
        "use std::fs;",
        "use std::{fs, io};",
        "use std::fs::File;",
        "use std::{fs::{self as f}};",
        "fn f() { std::fs::read(p) }",
        "use std::time::SystemTime;",
        "use std::time::{Duration, Instant};",
        "use std::{io, time::{Duration, Instant}};",
        "use std::time; fn f() { time::Instant::now() }",
        "use std::time::*;",
        "fn f() { thread::sleep(d) }",
        "use std::thread::sleep;",
        "use std::{thread::{sleep}};",
        "use std::thread::*;",
        "use memmap2::MmapRaw;",
        "use rustix::fs::statfs;",
        "fn f() { libc::getpid() }",
    ] {
        refused("engine/a.rs", text);
        fine("env/a.rs", text);
    }
    fine("engine/a.rs", "use std::{io, sync::Arc, thread, time::Duration};");
}

#[test]
fn only_the_client_starts_threads() {
    refused("engine/a.rs", "fn f() { std::thread::spawn(g) }");
    refused("env/a.rs", "fn f() { thread::Builder::new() }");
    fine("client/producer.rs", "fn f() { std::thread::spawn(g); thread::Builder::new(); }");
}

#[test]
fn unsafe_code_lies_in_two_files() {
    refused("engine/a.rs", "fn f() { unsafe { g() } }");
    refused("env/disk.rs", "unsafe impl Send for S {}");
    refused("env/disk.rs", "#[cfg(test)] mod tests { unsafe fn f() {} }");
    refused("env/mapping.rs", "unsafe fn f() {}");
    fine("env/map.rs", "unsafe fn f() {}");
    fine("env/syscall.rs", "unsafe fn f() {}");
    fine("engine/a.rs", "#![forbid(unsafe_code)]");
}

#[test]
fn tests_may_use_files_and_clocks() {
    fine("log/a.rs", "#[cfg(test)] mod tests { use std::fs; fn f() { thread::sleep(d) } }");
    fine("log/a.rs", "#[cfg(test)]\n#[allow(x)]\nfn f(a: [u8; 2]) { std::fs::read(p) }");
    fine("log/a.rs", "#[cfg(all(test, unix))] use std::time::Instant;");
    fine("log/a.rs", "#![cfg(test)] use std::fs;");
    refused("log/a.rs", "#[cfg(test)] mod tests {} use std::fs;");
    refused("log/a.rs", "#[cfg(test)] use std::fs; fn f() { std::fs::read(p) }");
    refused("log/a.rs", "#[cfg(not(test))] use std::fs;");
    refused("log/a.rs", "use tempfile::tempdir;");
}

#[test]
fn a_test_module_in_a_file_of_its_own_is_a_test() {
    let declared = ("log/mod.rs", "#[cfg(test)]\nmod tests;\nmod other;");
    let text = "use std::fs;";

    for path in ["log/tests.rs", "log/tests/mod.rs", "log/tests/deep.rs"] {
        assert_eq!(wrong_in(&[declared, (path, text)]), [""; 0], "{path}");
    }
    assert_eq!(wrong_in(&[declared, ("log/other.rs", text)]).len(), 1);
    assert_eq!(wrong_in(&[("log/tests.rs", text)]).len(), 1);
    assert_eq!(wrong_in(&[declared, ("log/tests.rs", "use crate::engine;")]).len(), 1);
}

#[test]
fn comments_and_literals_name_nothing() {
    fine("log/a.rs", "//! [`Engine`](crate::engine::Engine)\n/// unsafe std::fs");
    fine("log/a.rs", "/* std::fs /* unsafe */ crate::engine */");
    fine("log/a.rs", r#"const A: &str = "crate::engine \" unsafe"; const B: u8 = b'\'';"#);
    fine("log/a.rs", r##"const A: &str = r#"unsafe " std::fs"#; const B: &[u8] = br"unsafe";"##);
    refused("log/a.rs", r#"const A: &str = "\\"; unsafe fn f<'a>(x: &'a str) {}"#);
    refused("log/a.rs", "fn f<'a>(x: &'a str) -> char { '\\'' } use std::fs;");
    refused("log/a.rs", "const A: char = '\"'; use std::fs; const B: char = '\"';");
}

#[test]
fn a_violation_names_its_line() {
    let text = "//! Text.\n\nconst A: &str = \"two\nlines\";\nuse crate::engine;\n";

    assert_eq!(wrong("log/a.rs", text), ["src/log/a.rs:5: `crate::engine` is not for log::a"]);
}
