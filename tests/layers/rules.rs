//! What a layer may name.

use crate::source::{Name, Source};

/// Each layer, and the layers it may name. `error`, `types`, `config` and `planted` may be named by all.
const LAYERS: [(&str, &[&str]); 10] = [
    ("", COMMON),
    ("env", &[]),
    ("record", &[]),
    ("coord", &[]),
    ("log", &["env", "record"]),
    ("engine", &["log", "coord", "env", "record"]),
    ("verify", &["engine", "log", "coord", "env", "record"]),
    ("client", &["engine", "coord", "record", "env"]),
    ("fuzz", &["engine", "log", "coord", "record", "env"]),
    ("python", &["client", "verify"]),
];

const COMMON: &[&str] = &["error", "types", "config", "planted"];

/// What only some files may name, and where: a path, the places, whether tests may too.
const RESERVED: [(&[&str], &[&str], bool); 22] = [
    (&["std", "fs"], &["env"], true),
    (&["std", "*"], &[], false),
    (&["File", "open"], &["env"], true),
    (&["time", "SystemTime"], &["env"], true),
    (&["time", "Instant"], &["env"], true),
    (&["time", "*"], &["env"], true),
    (&["SystemTime"], &["env"], true),
    (&["Instant"], &["env"], true),
    (&["thread", "sleep"], &["env"], true),
    (&["thread", "sleep_until"], &["env"], true),
    (&["thread", "park_timeout"], &["env"], true),
    (&["thread", "*"], &["env"], true),
    // The engine is a passive library.
    (&["thread", "spawn"], &["client"], true),
    (&["thread", "Builder"], &["client"], true),
    (&["thread", "scope"], &["client"], true),
    (&["memmap2"], &["env"], false),
    (&["rustix"], &["env"], false),
    (&["libc"], &["env"], false),
    (&["pyo3"], &["python"], false),
    (&["unsafe"], &["env/map", "env/syscall"], false),
    (&["tempfile"], &[], true),
    (&["proptest"], &[], true),
];

/// What a file breaks, as `line: what`. `module` is where it stands; `re_exports` are names at the
/// crate's root and the modules they come from.
pub(crate) fn violations(
    source: &Source,
    module: &[&str],
    is_test: bool,
    re_exports: &[(String, String)],
) -> Vec<String> {
    source
        .names
        .iter()
        .filter_map(|name| {
            let wrong = wrong_layer(name, module, re_exports)
                .or_else(|| reserved(name, module, is_test || name.in_test))?;
            Some(format!("{}: {wrong}", name.line))
        })
        .collect()
}

fn wrong_layer(name: &Name, module: &[&str], re_exports: &[(String, String)]) -> Option<String> {
    let [root, first, ..] = &name.path[..] else { return None };
    let layer = module.first().filter(|_| root == "crate")?;
    let layer = if COMMON.contains(layer) { "" } else { layer };
    let (_, may_name) = LAYERS.iter().find(|(known, _)| *known == layer)?;
    let named = re_exports.iter().find(|(known, _)| known == first).map_or(first, |(_, from)| from);
    let allowed = named == layer || COMMON.contains(&&**named) || may_name.contains(&&**named);
    (!allowed).then(|| format!("`{}` is not for {}", name.path.join("::"), module.join("::")))
}

fn reserved(name: &Name, module: &[&str], in_test: bool) -> Option<String> {
    let place = module.join("/");
    let inside = |allowed: &str| place == allowed || place.starts_with(&format!("{allowed}/"));
    let (path, ..) = RESERVED.iter().find(|(path, places, tests_too)| {
        matches(&name.path, path)
            && !places.iter().any(|allowed| inside(allowed))
            && !(in_test && *tests_too)
    })?;
    Some(format!("`{}` is not for {}", path.join("::"), module.join("::")))
}

/// Whether the path has those parts in a row. A single one stands at the beginning: the name of a
/// crate, a type or a keyword.
fn matches(path: &[String], parts: &[&str]) -> bool {
    match parts {
        [single] => path[0] == **single,
        parts => path.windows(parts.len()).any(|window| window == parts),
    }
}

/// The names that a `lib.rs` gives to what its modules hold.
pub(crate) fn re_exports(lib: &str) -> Vec<(String, String)> {
    let exports: String = lib
        .split_inclusive(';')
        .filter_map(|item| item.find("pub use ").map(|at| &item[at..]))
        .collect();
    Source::parse(&exports, &[])
        .names
        .into_iter()
        .filter(|name| name.path.len() > 1)
        .map(|mut name| (name.path.pop().unwrap_or_default(), name.path.swap_remove(0)))
        .collect()
}

/// Whether each module of the crate's root has a place in the table.
pub(crate) fn unknown_modules<'a>(modules: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    modules
        .filter(|module| !COMMON.contains(module))
        .filter(|module| LAYERS.iter().all(|(known, _)| known != module))
        .collect()
}
