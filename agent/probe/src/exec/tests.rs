//! Real programs: what they get, how they end, and what is left of them.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    time::{Duration, Instant},
};

use tempfile::TempDir;
use upheld_model::{CheckSpec, Outcome, ProbeSpec, UnknownReason};

use crate::{
    ProbeResult,
    testing::{self, evidence, number},
};

/// A site whose allow.toml spells out one command, `plugin`, which runs a script.
struct Site {
    folder: TempDir,
}

impl Site {
    fn with(script: &str) -> Self {
        let folder = TempDir::new().unwrap();
        // For `nobody` too, whom root hands over to.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let site = Self { folder };
        fs::write(site.path("script"), format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(site.path("script"), fs::Permissions::from_mode(0o755)).unwrap();
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn allow(&self) -> String {
        // By the shell's own name, so that no test starts a file that another one is just writing.
        format!("[commands]\nplugin = [\"/bin/sh\", \"{}\", \"one two\", \"$HOME;*\"]", self.path("script").display())
    }

    async fn run(&self, timeout_ms: u64) -> ProbeResult {
        testing::prober(&self.allow()).run(&testing::spec(plugin("plugin"), timeout_ms)).await
    }
}

fn plugin(name: &str) -> CheckSpec {
    testing::check(ProbeSpec::ExecNagios { command: name.to_owned() })
}

/// Runs a script as a plugin.
async fn ran(script: &str) -> ProbeResult {
    Site::with(script).run(20_000).await
}

#[tokio::test]
async fn the_exit_status_is_the_judgement_and_all_else_is_unknown() {
    let cannot = Outcome::unknown(UnknownReason::CannotProbe);
    for (script, outcome, part) in [
        ("echo 'RAID OK | disks=4'; exit 0", Outcome::Ok, "plugin: RAID OK"),
        ("echo 'RAID WARNING'; exit 1", Outcome::Warn, "plugin: RAID WARNING"),
        ("echo 'RAID CRITICAL: sdb failed'; echo 'rebuild it'; exit 2", Outcome::Bad, "sdb failed; rebuild it"),
        ("echo 'no controller'; exit 3", cannot.clone(), "says that it cannot tell: no controller"),
        ("exit 127", cannot.clone(), "ended with status 127, which says nothing (0 to 3 do): it printed nothing"),
        ("echo 'Traceback: x' >&2; exit 1", Outcome::Warn, "it printed nothing but: Traceback: x"),
        ("kill -9 $$", Outcome::unknown(UnknownReason::Local), "was ended by signal 9"),
    ] {
        let result = ran(script).await;
        assert_eq!(result.outcome, outcome, "{script}: {result:?}");
        assert!(evidence(&result).contains(part), "{script}: {result:?}");
    }
}

#[tokio::test]
async fn what_it_measures_becomes_values_and_counters() {
    let result = ran("echo \"OK | time=0.25s;1;2 '/srv x'=81%;90 in=17c\"; exit 1").await;
    assert_eq!((number(&result, "perf_s time"), number(&result, "perf_percent /srv x")), (0.25, 81.0));
    assert_eq!(result.counters["perf in"].1, 17);
    assert!(ran("echo 'x | time=1s'; exit 3").await.values.is_empty(), "what cannot tell measures nothing");
}

#[tokio::test]
async fn it_gets_its_arguments_as_they_are_written_and_nothing_of_the_agents() {
    let result = ran("echo \"$#:$1:$2\"; env | sort; pwd; cat; id -u; id -G; umask > /dev/null").await;
    let said = evidence(&result).strip_prefix("plugin: 2:one two:$HOME;*; ").expect("no shell reads them");
    let lines = || said.split("; ");
    // PWD, OLDPWD, SHLVL and _ are the shell's own.
    let own =
        |line: &&str| line.contains('=') && !["PWD", "OLDPWD", "SHLVL", "_"].contains(&line.split('=').next().unwrap());
    let environment: Vec<&str> = lines().filter(own).collect();
    assert_eq!(environment, ["LANG=C", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"]);
    let rest: Vec<&str> = lines().filter(|line| !line.contains('=')).collect();
    assert_eq!(rest[0], "/");
    if rustix::process::geteuid().is_root() {
        assert_eq!(rest[1..], ["65534", "65534"], "root hands over to nobody, without root's groups");
    }
}

#[test]
fn it_has_none_of_the_services_rights_and_no_way_to_any() {
    let name = "exec::tests::it_has_none_of_the_services_rights_and_no_way_to_any";
    testing::in_namespace_as_the_service(name, "true", async || {
        let own = fs::read_to_string("/proc/thread-self/status").unwrap();
        assert!(own.contains("CapAmb:\t0000000000002000"), "as the package's unit runs it: {own}");
        let result = ran("grep -E '^(CapEff|CapPrm|CapAmb|NoNewPrivs)' /proc/self/status; id -u").await;
        let none = "0000000000000000";
        let said = format!("plugin: CapPrm: {none}; CapEff: {none}; CapAmb: {none}; NoNewPrivs: 1; 65534");
        assert_eq!(evidence(&result), said);
    });
}

#[tokio::test]
async fn one_that_does_not_end_is_ended_in_time_with_all_that_it_started() {
    let site =
        Site::with("cd \"$(dirname \"$0\")\"; (sleep 300 & echo $! > grandchild; wait) & echo waiting; sleep 300");
    let begun = Instant::now();
    let result = site.run(1_500).await;
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert_eq!(result.outcome, Outcome::unknown(UnknownReason::Local), "{result:?}");
    assert!(evidence(&result).contains("did not end in time: it was ended"), "{result:?}");
    assert_is_gone(&site);
}

#[tokio::test]
async fn what_it_leaves_behind_holds_nothing_up_and_is_ended_too() {
    let site = Site::with("cd \"$(dirname \"$0\")\"; sleep 300 & echo $! > grandchild; echo 'OK'; exit 0");
    let begun = Instant::now();
    let result = site.run(60_000).await;
    assert!(begun.elapsed() < Duration::from_secs(30), "the one it left holds its output open");
    assert_eq!((&result.outcome, evidence(&result)), (&Outcome::Ok, "plugin: OK"));
    assert_is_gone(&site);
}

/// The process whose number the script wrote is ended, or a zombie that waits for its parent.
fn assert_is_gone(site: &Site) {
    let number = fs::read_to_string(site.path("grandchild")).unwrap();
    let status = PathBuf::from(format!("/proc/{}/stat", number.trim()));
    let begun = Instant::now();
    loop {
        let state = fs::read_to_string(&status).unwrap_or_default();
        if state.is_empty() || state.contains(") Z ") {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "still there: {state}");
        std::thread::yield_now();
    }
}

#[tokio::test]
async fn a_flood_is_read_to_its_end_and_kept_to_8_kib() {
    let result = ran("yes 'a long line of a plugin' | head -c 3000000; exit 2").await;
    assert_eq!(result.outcome, Outcome::Bad, "it is not held up by a full pipe: {result:?}");
    assert!(evidence(&result).len() <= upheld_model::sample::EVIDENCE_BYTES_MAX);
    let endless = Site::with("exec yes").run(1_000).await;
    assert!(evidence(&endless).contains("did not end in time"), "{endless:?}");
}

#[tokio::test]
async fn a_name_that_the_site_does_not_spell_out_starts_nothing() {
    let site = Site::with("touch \"$(dirname \"$0\")\"/ran");
    let refused = testing::prober(&site.allow()).run(&plugin("other")).await;
    assert_eq!(refused.outcome, Outcome::unknown(UnknownReason::NotAllowed));
    assert!(evidence(&refused).contains("[commands] other = "), "{refused:?}");
    assert!(!site.path("ran").exists());
    site.run(20_000).await;
    assert!(site.path("ran").exists(), "the other one would have");
}

#[tokio::test]
async fn a_program_that_is_not_there_or_may_not_be_run_is_unknown() {
    let site = Site::with("exit 0");
    fs::set_permissions(site.path("script"), fs::Permissions::from_mode(0o644)).unwrap();
    let direct = format!("[commands]\nplugin = [\"{}\"]", site.path("script").display());
    let forbidden = testing::prober(&direct).run(&plugin("plugin")).await;
    assert_eq!(forbidden.outcome, Outcome::unknown(UnknownReason::CannotProbe));
    assert!(evidence(&forbidden).contains("may not run its program"), "{forbidden:?}");
    fs::remove_file(site.path("script")).unwrap();
    let missing = testing::prober(&direct).run(&plugin("plugin")).await;
    assert!(evidence(&missing).contains("its program is not on this host"), "{missing:?}");
}

#[test]
fn a_file_that_everybody_may_write_spells_out_no_command() {
    let site = Site::with("exit 0");
    let path = site.path("allow.toml");
    fs::write(&path, site.allow()).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    let refused = crate::AllowList::read(&path).unwrap_err().to_string();
    assert!(refused.contains("chmod o-w"), "{refused}");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(
        crate::AllowList::read(&path).unwrap().describe().iter().any(|line| line.starts_with("the command plugin"))
    );
}

#[test]
fn windows_is_asked_to_start_programs_only_and_never_what_a_shell_reads() {
    for program in ["C:/plugins/check_raid.exe", "d:\\Nagios\\CHECK.EXE"] {
        assert!(super::is_windows_program(program), "{program}");
    }
    for program in [
        "C:/plugins/check.bat",
        "C:/plugins/check.cmd",
        "C:/plugins/check.exe.bat",
        "C:/plugins/check.bat:x.exe",
        "C:/plugins/check.exe.",
        "C:/plugins/check",
        "check.exe",
        "\\\\server\\share\\check.exe",
        "//server/share/check.exe",
        "/usr/lib/check.exe",
        "",
    ] {
        assert!(!super::is_windows_program(program), "{program}");
    }
}
