//! Which process this is.

/// The id of this process, in its own namespace of ids.
pub fn id() -> u32 {
    std::process::id()
}

/// Names the namespace in which [`id`] is this process's id; 0 where the system does not tell.
pub fn namespace() -> u64 {
    use std::os::unix::fs::MetadataExt as _;

    std::fs::metadata("/proc/self/ns/pid").map_or(0, |namespace| namespace.ino())
}
