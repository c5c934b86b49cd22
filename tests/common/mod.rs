//! Shared by the integration tests.

pub mod desk;
pub mod keeper;
pub mod liar;
pub mod line;
pub mod tls;

use std::path::PathBuf;

/// A folder of the recordings, which are third-party data and not part of the project: `ORION_FIXTURES`, else
/// `../shared/fixtures`. Where it is missing the test says that it was skipped; in CI it must be there.
#[allow(dead_code, reason = "not every test file reads recordings")]
pub fn fixtures(folder: &str) -> Option<PathBuf> {
    let root = std::env::var_os("ORION_FIXTURES").map_or_else(|| PathBuf::from("../shared/fixtures"), PathBuf::from);
    let path = root.join(folder);
    if path.is_dir() {
        return Some(path);
    }
    assert!(std::env::var_os("CI").is_none(), "{} is missing, and CI needs it", path.display());
    eprintln!("skipped: no recordings in {}", path.display());
    None
}
