//! Faults that are planted to see whether the tests notice them. Only a build with
//! `--cfg brokerless_mutation` has them, and there the environment names one: `make mutants`.

/// Whether this fault is planted.
#[cfg(not(brokerless_mutation))]
pub(crate) const fn planted(_fault: &str) -> bool {
    false
}

/// Whether this fault is planted.
#[cfg(brokerless_mutation)]
pub(crate) fn planted(fault: &str) -> bool {
    std::env::var("BROKERLESS_FAULT").is_ok_and(|planted| planted == fault)
}
