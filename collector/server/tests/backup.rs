//! Backup and restore with the real binary: whole or absent, refused when a bit is wrong, in recovery afterwards.

#[path = "support/run.rs"]
mod run;

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use run::{collector, command, text};
use tempfile::TempDir;

struct Made {
    folder: TempDir,
    data: String,
}

impl Made {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let data = text(&folder.path().join("data"));
        let run = collector(&["init", "--listen", "127.0.0.1:7443", "--data", &data]);
        assert_eq!(run.code, 0, "{run:?}");
        Self { folder, data }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn backup(&self, name: &str) -> PathBuf {
        let file = self.path(name);
        let run = collector(&["backup", "--out", &text(&file), "--data", &self.data]);
        assert_eq!(run.code, 0, "{run:?}");
        assert!(run.stdout.contains("keys and secrets"), "{run:?}");
        file
    }

    fn restore(&self, file: &Path, into: &str) -> run::Run {
        collector(&["restore", &text(file), "--into", &text(&self.path(into))])
    }
}

#[test]
fn security_37_a_backup_is_private_whole_and_restores_into_recovery() {
    let made = Made::new();
    fs::write(made.path("data/secrets.toml"), "desk-webhook = \"whsec_c2VjcmV0\"\n").unwrap();
    let file = made.backup("b1");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let verified = collector(&["backup", "verify", &text(&file), "--json"]);
    let parts = verified.last_json()["manifest"]["parts"].to_string();
    for part in ["collector.toml", "secrets.toml", "pki/root.pem", "upheld.db"] {
        assert!(parts.contains(part), "{parts}");
    }
    let again = collector(&["backup", "--out", &text(&file), "--data", &made.data]);
    assert_eq!(again.code, 1, "a backup replaces none: {again:?}");

    let restored = made.restore(&file, "new");
    assert_eq!(restored.code, 0, "{restored:?}");
    for name in ["collector.toml", "secrets.toml", "pki/root.pem"] {
        assert_eq!(fs::read(made.path("data").join(name)).unwrap(), fs::read(made.path("new").join(name)).unwrap());
        assert_eq!(fs::metadata(made.path("new").join(name)).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let new = text(&made.path("new"));
    let show = collector(&["recovery", "show", "--data", &new]);
    assert!(show.stdout.contains("Facts that may be missing: from "), "{show:?}");
    assert_eq!(collector(&["recovery", "accept", "--by", " ", "--data", &new]).code, 2);
    let accepted = collector(&["recovery", "accept", "--by", "Ana Example", "--data", &new]);
    assert!(accepted.stdout.contains("Accepted by Ana Example"), "{accepted:?}");
    let show = collector(&["recovery", "show", "--data", &new]);
    assert!(show.stdout.contains("not in recovery"), "{show:?}");
    let refused = made.restore(&file, "new");
    assert!(refused.code == 1 && refused.stderr.contains("is not empty"), "{refused:?}");
}

#[test]
fn packages_that_hosts_install_come_back_and_one_that_is_too_large_is_named() {
    let made = Made::new();
    let packages = made.path("data/packages");
    fs::create_dir(&packages).unwrap();
    fs::write(packages.join("release.key"), "AAAA\n").unwrap();
    for (arch, length) in [("amd64", 1_000), ("arm64", 65 << 20)] {
        let file = |end: &str| packages.join(format!("upheld-agent_{arch}.{end}"));
        fs::File::create(file("deb")).unwrap().set_len(length).unwrap();
        fs::write(file("sig"), "c2ln").unwrap();
        let manifest = format!("upheld-package/1 upheld-agent {arch} 0.1.0\nsha256 {}\n", "0".repeat(64));
        fs::write(file("manifest"), manifest).unwrap();
    }
    let file = made.path("b1");
    let run = collector(&["backup", "--out", &text(&file), "--data", &made.data]);
    let said = "64 MiB of packages at most: upheld-agent_arm64.deb";
    assert!(run.code == 0 && run.stdout.contains(said), "{run:?}");
    assert!(fs::metadata(&file).unwrap().len() < 8 << 20);
    let restored = made.restore(&file, "new");
    assert!(restored.code == 0 && restored.stdout.contains(said), "{restored:?}");
    let mut names: Vec<_> =
        fs::read_dir(made.path("new/packages")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(
        names,
        ["release.key", "upheld-agent_amd64.deb", "upheld-agent_amd64.manifest", "upheld-agent_amd64.sig"]
    );
}

#[test]
fn a_flipped_bit_anywhere_is_refused_with_what_is_damaged_and_nothing_is_restored() {
    let made = Made::new();
    let file = made.backup("b1");
    let whole = fs::read(&file).unwrap();
    let mut parts = 0;
    // Every place in small steps would take minutes: strides that meet header, content and padding of all parts.
    for at in (0..whole.len()).step_by(whole.len() / 60 + 1).chain(whole.len() - 1_100..whole.len() - 1_095) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        let broken = made.path("broken");
        fs::write(&broken, &bytes).unwrap();
        let run = made.restore(&broken, "new");
        assert!(run.code == 1 && run.stderr.contains("is damaged"), "byte {at}: {run:?}");
        assert!(!made.path("new").exists() && !made.path("new.restoring").exists(), "byte {at}");
        parts += usize::from(run.stderr.contains("upheld.db is not what the manifest says"));
    }
    assert!(parts > 20, "{parts} flips in the database's part are called that");
    let short = made.path("short");
    fs::write(&short, &whole[..whole.len() / 2]).unwrap();
    assert!(made.restore(&short, "new").stderr.contains("is damaged"));
}

#[test]
fn a_backup_killed_at_any_point_leaves_no_file_of_its_name_or_a_whole_one() {
    let made = Made::new();
    let (mut absent, mut whole) = (0, 0);
    for round in 0..30_u64 {
        let file = made.path(&format!("k{round}"));
        let mut child = command(&["backup", "--out", &text(&file), "--data", &made.data]).spawn().unwrap();
        // Nothing is waited for: this is where the kill falls.
        std::thread::sleep(Duration::from_millis(round * 4));
        child.kill().unwrap();
        child.wait().unwrap();
        if file.exists() {
            let verified = collector(&["backup", "verify", &text(&file)]);
            assert_eq!(verified.code, 0, "round {round}: {verified:?}");
            whole += 1;
        } else {
            absent += 1;
            assert_eq!(
                collector(&["backup", "--out", &text(&file), "--data", &made.data]).code,
                0,
                "the next one works"
            );
        }
    }
    println!("killed: {absent} absent, {whole} whole");
    assert!(absent > 0, "no kill came in time");
}

#[test]
fn a_database_of_a_newer_version_is_refused_by_name() {
    let made = Made::new();
    let database = made.path("data/upheld.db");
    rusqlite::Connection::open(&database).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let run = collector(&["backup", "--out", &text(&made.path("b")), "--data", &made.data]);
    assert!(run.code == 78 && run.stderr.contains("newer version"), "{run:?}");
}
