//! The meshes under `fixtures/`.

use std::path::{Path, PathBuf};

/// All of them.
pub const FIXTURES: [&str; 6] = [
    "ambient-two-networks",
    "broken",
    "external-control-plane",
    "one-cluster-three-zones",
    "primary-remote",
    "two-primaries",
];

/// Name and text of each file of one, by name.
pub fn files(fixture: &str) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(fixture);
    let found = walkdir::WalkDir::new(&root).sort_by_file_name().into_iter();
    let paths = found.map(|e| e.unwrap().into_path());
    let yaml = paths.filter(|p| p.extension().is_some_and(|e| e == "yaml"));
    let read = |path: PathBuf| {
        let name = path.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
        (name, std::fs::read_to_string(path).unwrap())
    };
    yaml.map(read).collect()
}
