#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| brokerless_fuzz::run("snappy", bytes));
