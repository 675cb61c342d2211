//! How much memory the process's cgroup may have: a container's limit.

use std::fs;
use std::path::Path;

/// Where Linux mounts the file systems of cgroups.
const ROOT: &str = "/sys/fs/cgroup";

/// The part of a cgroup's limit that clients and brokers may make Remora hold. The rest is for
/// Remora itself, and for freed memory that the allocator keeps.
const PART: (usize, usize) = (4, 5);

/// The limit of memory that a cgroup of this process has, in bytes, if there is one: the lowest
/// from its own up to the root.
pub(crate) fn memory_limit() -> Option<u64> {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    limit_of(Path::new(ROOT), &own)
}

/// What may be held of `wanted` bytes where the cgroup has that limit.
pub(crate) fn within(wanted: usize, limit: Option<u64>) -> usize {
    let limit = limit.and_then(|limit| usize::try_from(limit).ok());
    let (part, whole) = PART;
    limit.map_or(wanted, |limit| wanted.min(limit / whole * part))
}

/// The lowest limit of those cgroups that `own`, a text like `/proc/self/cgroup`, names. In version
/// 2 a line is `0::PATH`, and in version 1 the one of memory is `NUMBER:memory:PATH` (cgroups(7)).
fn limit_of(root: &Path, own: &str) -> Option<u64> {
    let groups = own.lines().filter_map(|line| {
        let (_, line) = line.split_once(':')?;
        let (controllers, path) = line.split_once(':')?;
        if controllers.is_empty() {
            return Some((root.to_owned(), path, "memory.max"));
        }
        let is_memory = controllers.split(',').any(|one| one == "memory");
        is_memory.then(|| (root.join("memory"), path, "memory.limit_in_bytes"))
    });
    groups
        .flat_map(|(mount, path, file)| {
            // In a container, the path may be the host's, which is not there: then the mount is the
            // container's own.
            let below = Path::new(path.trim_start_matches('/')).ancestors();
            below
                .filter_map(|group| fs::read_to_string(mount.join(group).join(file)).ok())
                // One without a limit says "max" in version 2, and a number that no machine has in
                // version 1.
                .filter_map(|text| text.trim().parse().ok())
                .collect::<Vec<u64>>()
        })
        .min()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(root: &Path, group: &str, file: &str, text: &str) {
        let folder = root.join(group);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(file), text).unwrap();
    }

    #[test]
    fn the_lowest_limit_counts() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        assert_eq!(limit_of(root, "0::/\n"), None);
        write(root, "pod/own", "memory.max", "max\n");
        assert_eq!(limit_of(root, "0::/pod/own\n"), None);
        write(root, "pod", "memory.max", "1073741824\n");
        assert_eq!(limit_of(root, "0::/pod/own\n"), Some(1 << 30));
        write(root, "pod/own", "memory.max", "536870912\n");
        assert_eq!(limit_of(root, "0::/pod/own\n"), Some(1 << 29));
        // As it is within a container.
        write(root, "", "memory.max", "268435456\n");
        assert_eq!(limit_of(root, "0::/\n"), Some(1 << 28));
        assert_eq!(limit_of(root, "0::/not/there\n"), Some(1 << 28));
    }

    #[test]
    fn the_older_version_is_read_as_well() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        let own = "12:cpu,cpuacct:/other\n9:memory:/docker/abc\n0::/\n";
        assert_eq!(limit_of(root, own), None);
        let unlimited = "9223372036854771712\n";
        write(root, "memory", "memory.limit_in_bytes", unlimited);
        assert_eq!(limit_of(root, own), Some(9_223_372_036_854_771_712));
        write(
            root,
            "memory/docker/abc",
            "memory.limit_in_bytes",
            "1048576\n",
        );
        assert_eq!(limit_of(root, own), Some(1 << 20));
    }

    #[test]
    fn a_part_of_it_may_be_held() {
        assert_eq!(within(1000, None), 1000);
        assert_eq!(within(1000, Some(1250)), 1000);
        assert_eq!(within(1000, Some(1000)), 800);
        assert_eq!(within(1000, Some(u64::MAX)), 1000);
    }
}
