//! A Debian machine with the real systemd, booted in namespaces of its own from a tree that ends with the test.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use tempfile::TempDir;

use crate::{peers::peer_folder, program, wait_for};

/// The machine: its tree on this disk, and the running system if it runs.
pub struct Machine {
    system: Option<Child>,
    group: String,
    folder: TempDir,
}

impl Machine {
    /// Unpacks the tree and boots it. Needs root.
    pub fn boot() -> Self {
        let folder = TempDir::new().expect("a folder");
        let tree = folder.path().join("tree");
        fs::create_dir(&tree).expect("the tree's folder");
        let archive = peer_folder("systemd").join("root.tar");
        let mut unpack = Command::new("tar");
        unpack.arg("-xpf").arg(archive).arg("-C").arg(&tree).arg("--exclude=./dev/*");
        let (code, _, err) = program::run(&mut unpack);
        assert_eq!(code, Some(0), "{err}");
        let group = format!("upheld-test-{}", std::process::id());
        let mut machine = Self { system: None, group, folder };
        machine.start();
        machine
    }

    /// A path of the machine as this host sees it.
    pub fn path(&self, inside: &str) -> PathBuf {
        self.folder.path().join("tree").join(inside.trim_start_matches('/'))
    }

    /// Puts a file into the machine.
    pub fn put(&self, from: &Path, inside: &str) {
        fs::copy(from, self.path(inside)).expect("copying into the machine");
    }

    /// Runs a line of shell inside, which must succeed; gives what it printed.
    pub fn sh(&self, script: &str) -> String {
        let (code, out, err) = self.try_sh(script);
        assert_eq!(code, Some(0), "{script}\n{out}\n{err}\n{}", self.log());
        out
    }

    /// The same, however it ends: exit code, standard output, standard error.
    pub fn try_sh(&self, script: &str) -> (Option<i32>, String, String) {
        let init = self.init().expect("the machine runs");
        let mut inside = Command::new("nsenter");
        inside.args(["-t", &init, "-m", "-p", "-u", "-i", "-n", "-C", "-r", "-w", "sh", "-ec", script]);
        program::run(&mut inside)
    }

    /// One property of a unit, as `systemctl show` says it.
    pub fn show(&self, unit: &str, property: &str) -> String {
        self.sh(&format!("systemctl show -p {property} --value {unit}")).trim().to_owned()
    }

    /// Waits until a property of a unit reads so.
    pub fn wait_until(&self, unit: &str, property: &str, value: &str) {
        wait_for(&format!("{unit}: {property}={value}"), Duration::from_secs(30), || {
            (self.show(unit, property) == value).then_some(())
        });
    }

    /// Shuts the machine down as `reboot` does, and boots it again.
    pub fn reboot(&mut self) {
        let _ = self.try_sh("systemctl --no-block reboot");
        let system = self.system.as_mut().expect("the machine runs");
        wait_for("the machine goes down", Duration::from_secs(60), || system.try_wait().expect("its state"));
        self.start();
    }

    /// What the system said on its console.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("console.log")).unwrap_or_default()
    }

    fn start(&mut self) {
        let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("peers/systemd-boot.sh");
        let log = File::options().create(true).append(true).open(self.folder.path().join("console.log"));
        let log = log.expect("the console's log");
        let mut boot = Command::new(script);
        boot.arg(self.folder.path().join("tree")).arg(&self.group);
        boot.stdin(Stdio::null()).stdout(log.try_clone().expect("a second handle")).stderr(log);
        self.system = Some(boot.spawn().expect("the machine starts"));
        wait_for("the machine is up", Duration::from_secs(60), || {
            let init = self.init()?;
            Path::new(&format!("/proc/{init}/root/run/systemd/private")).exists().then_some(())?;
            let (_, state, _) = self.try_sh("systemctl is-system-running || true");
            matches!(state.trim(), "running" | "degraded").then_some(())
        });
        self.sh("ip link set lo up 2>/dev/null || true");
    }

    /// Process 1 of the machine as this host numbers it.
    fn init(&self) -> Option<String> {
        let outer = self.system.as_ref()?.id();
        let children = fs::read_to_string(format!("/proc/{outer}/task/{outer}/children")).ok()?;
        children.split_whitespace().next().map(str::to_owned)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let (_, journal, _) = self.try_sh("journalctl --no-pager -n 60 2>/dev/null || true");
            eprintln!("--- the machine's journal\n{journal}\n--- its console\n{}", self.log());
        }
        if let Some(mut system) = self.system.take() {
            // --kill-child ends everything inside with it.
            let _ = system.kill();
            let _ = system.wait();
        }
        let clear = "root=$(mktemp -d); mount -t cgroup2 cgroup2 \"$root\"
            find \"$root/$1\" -depth -type d -exec rmdir {} + 2>/dev/null; umount \"$root\"; rmdir \"$root\"";
        let _ = program::run(Command::new("sh").args(["-c", clear, "sh", &self.group]));
    }
}
