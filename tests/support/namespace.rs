//! Tests that need a network or a file system of their own: the test starts itself once more in namespaces that end
//! with it, so that nothing of it is ever seen on this machine.

use std::{
    path::Path,
    process::{Command, Stdio},
};

/// What a test has for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Own {
    /// Its mounts.
    Mounts,
    /// Its network: nothing but a loopback interface, and that is up.
    Network,
    /// Both.
    NetworkAndMounts,
}

/// Set, to the test's name, in the process that runs inside.
const INSIDE: &str = "UPHELD_TEST_INSIDE";
/// What the inner process prints when the body has run to its end: a test that was not found would succeed too.
const SEEN: &str = "the body ran to its end";

/// Runs `body` with namespaces of its own. `test` is the test's full name. Needs root; without it the test says that
/// it was not made, and `tests/run` fails.
pub fn inside(own: Own, test: &str, body: impl FnOnce()) {
    if std::env::var(INSIDE).as_deref() == Ok(test) {
        body();
        println!("{SEEN}");
        return;
    }
    if !rustix::process::geteuid().is_root() {
        println!("NOT TESTED: {test} needs root (namespaces)");
        return;
    }
    let (kinds, setup): (&[&str], _) = match own {
        Own::Mounts => (&["--mount"], "true"),
        Own::Network => (&["--net"], "ip link set lo up"),
        Own::NetworkAndMounts => (&["--net", "--mount"], "ip link set lo up"),
    };
    let output = Command::new("unshare")
        .args(kinds)
        .args(["sh", "-ec", &format!("{setup}\nexec \"$@\""), "sh"])
        .arg(std::env::current_exe().expect("the test's own file"))
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(INSIDE, test)
        .stdin(Stdio::null())
        .output()
        .expect("unshare runs");
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.contains(SEEN), "{said}");
    println!("{said}");
}

/// A file system in memory of so many MiB on `folder`, seen by this namespace only.
pub fn mount_small(folder: &Path, mib: u32) {
    std::fs::create_dir_all(folder).expect("the folder");
    sh("mount -t tmpfs -o size=$1m,mode=700 upheld-test \"$2\"", &[&mib.to_string(), &folder.display().to_string()]);
}

/// Writes zeros to `file` until its file system takes no more, however often it is called.
pub fn fill_up(file: &Path) {
    use std::io::Write as _;
    let mut file = std::fs::File::options().create(true).append(true).open(file).expect("the filler");
    // From large to small: the last byte of the last page is taken too.
    for size in [1 << 20, 4096, 1] {
        let zeros = vec![0; size];
        loop {
            match file.write(&zeros) {
                Ok(written) if written > 0 => {}
                Ok(_) => break,
                Err(error) if error.kind() == std::io::ErrorKind::StorageFull => break,
                Err(error) => panic!("filling up: {error}"),
            }
        }
    }
}

/// Runs a line of shell that must succeed.
pub fn sh(script: &str, arguments: &[&str]) {
    let output = Command::new("sh").args(["-ec", script, "sh"]).args(arguments).output().expect("sh runs");
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
}
