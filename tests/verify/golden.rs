//! Directories of real brokers.

use std::path::Path;

use crate::support::{damage, line, verify};

#[test]
fn nothing_is_wrong_with_a_directory_of_a_broker() {
    for directory in ["clean", "killed", "old"] {
        let report =
            verify(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/kafka").join(directory));

        for finding in &report.findings {
            println!("{directory}: {}", line(finding));
        }
        assert_eq!(damage(&report), [""; 0], "{directory}");
        assert!(report.counts.records > 200, "{directory}: {:?}", report.counts);
    }
}
