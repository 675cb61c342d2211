//! Where things lie on this machine: the checkout, Cargo's target folder, the scratch folder of a
//! run.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

/// The folder of this crate.
#[must_use]
pub fn crate_dir() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Cargo's target folder, as Cargo itself finds it (without a configuration file).
#[must_use]
pub fn target_dir() -> PathBuf {
    let root = crate_dir().parent().unwrap_or(crate_dir());
    match env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => root.join(dir),
        None => root.join("target"),
    }
}

/// A folder for everything that one run writes. It is removed at the end of a run that went well
/// and kept after one that did not; the next run clears what dead runs have left.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// Makes the folder for a run with this name.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn create(name: &str) -> Result<Self> {
        let parent = target_dir().join("integration-tests");
        fs::create_dir_all(&parent)?;
        remove_leftovers(&parent);
        let path = parent.join(format!("{name}-{}", std::process::id()));
        fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self { path })
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes the folder. Failing to is no reason to fail a run.
    pub fn remove(self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Removes the folders of runs whose process has ended.
fn remove_leftovers(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some((_, pid)) = name.rsplit_once('-') else {
            continue;
        };
        if pid.parse::<u32>().is_ok() && !Path::new("/proc").join(pid).exists() {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
