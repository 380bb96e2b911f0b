//! Against processes of this host.

use std::process::{Child, Command, Stdio};

use upheld_model::{Outcome, ProbeSpec, check::ProcessSpec};

use crate::testing::{check, evidence, number, prober};

/// A program that is called as the test likes, and ends with it.
struct Started {
    child: Child,
    folder: tempfile::TempDir,
}

impl Started {
    fn named(name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::copy("/bin/sleep", folder.path().join(name)).unwrap();
        let child = Self::start(&folder, name);
        Self { child, folder }
    }

    fn start(folder: &tempfile::TempDir, name: &str) -> Child {
        let mut command = Command::new(folder.path().join(name));
        command.arg("600").stdin(Stdio::null()).spawn().unwrap()
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spec(process: &str) -> ProcessSpec {
    ProcessSpec {
        process: process.to_owned(),
        argument: None,
        user: None,
        at_least: 1,
        at_most: None,
        memory_max: None,
        cpu_max_percent: None,
    }
}

#[tokio::test]
async fn a_program_is_found_by_its_whole_name_its_argument_and_its_user() {
    let name = format!("recorder-of-test-{}", std::process::id());
    let started = Started::named(&name);
    let prober = prober("");
    let me = rustix::process::geteuid().as_raw().to_string();
    for (spec, outcome) in [
        (spec(&name), Outcome::Ok),
        (ProcessSpec { user: Some(me), argument: Some("600".to_owned()), ..spec(&name) }, Outcome::Ok),
        (spec(&name[..15]), Outcome::Ok),
        (spec(&name[..name.len() - 1]), Outcome::Bad),
        (ProcessSpec { argument: Some("60".to_owned()), ..spec(&name) }, Outcome::Bad),
        (ProcessSpec { user: Some("4294967294".to_owned()), ..spec(&name) }, Outcome::Bad),
        (ProcessSpec { at_least: 0, at_most: Some(0), ..spec(&name) }, Outcome::Bad),
    ] {
        let result = prober.run(&check(ProbeSpec::Process(spec.clone()))).await;
        println!("{}", evidence(&result));
        // The kernel's own short name is a name too.
        let is_short = spec.process.len() == 15;
        assert!(result.outcome == outcome || is_short, "{spec:?}: {result:?}");
        assert!(!evidence(&result).contains(started.folder.path().to_str().unwrap()), "no command line");
    }
    let stranger = ProcessSpec { user: Some("nobody-of-this-name".to_owned()), ..spec(&name) };
    let result = prober.run(&check(ProbeSpec::Process(stranger))).await;
    assert!(evidence(&result).contains("no user nobody-of-this-name"), "{result:?}");
    assert!(matches!(result.outcome, Outcome::Unknown { .. }), "{result:?}");
}

#[tokio::test]
async fn a_program_that_ends_is_bad_and_one_that_comes_back_is_counted() {
    let name = format!("door-of-test-{}", std::process::id());
    let mut started = Started::named(&name);
    let prober = prober("");
    let check = check(ProbeSpec::Process(spec(&name)));
    let first = prober.run(&check).await;
    assert_eq!(number(&first, "processes"), 1.0, "{first:?}");
    assert_eq!(first.outcome, Outcome::Ok);
    started.child.kill().unwrap();
    // Not waited for: it has ended, and its parent has not asked yet.
    let ended = loop {
        let result = prober.run(&check).await;
        if result.outcome == Outcome::Bad {
            break result;
        }
    };
    assert!(
        evidence(&ended).contains("does not run (1 ended, not yet cleared away); it was seen last at"),
        "{ended:?}"
    );
    started.child.wait().unwrap();
    started.child = Started::start(&started.folder, &name);
    let again = prober.run(&check).await;
    assert_eq!(again.outcome, Outcome::Ok, "{again:?}");
    assert_eq!(again.counters["restarts"].1, 1);
    // Another life of the agent knows that it was there.
    let next = crate::testing::prober("");
    next.recall(prober.memory());
    drop(started);
    assert!(evidence(&next.run(&check).await).contains("seen last at"), "remembered");
}
