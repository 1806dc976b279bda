//! Files on the disk.

use std::fs;
use std::path::Path;

/// Writes a file, and makes the folders it stands in.
pub fn put(folder: impl AsRef<Path>, name: &str, text: &str) {
    let path = folder.as_ref().join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}
