//! From nothing to the first host with two commands, on a machine with the real systemd: `init --serve`, then the line
//! that it prints. And what the line refuses.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use serde_json::Value;
use upheld_tests::{binary, machine::Machine, peer, program, wait_for};

const DATA: &str = "/srv/upheld";
const SOON: Duration = Duration::from_secs(60);

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[test]
fn the_install_script_is_sound_posix_shell_and_runs_nothing_when_it_is_cut_short() {
    let script = root().join("collector/server/src/install.sh");
    let (code, out, err) = program::run(Command::new(peer("shellcheck")).args(["--shell=sh"]).arg(&script));
    assert_eq!(code, Some(0), "{out}\n{err}");
    let text = std::fs::read_to_string(&script).expect("the script");
    let folder = tempfile::tempdir().expect("a folder");
    let cut = folder.path().join("cut.sh");
    let lines: Vec<&str> = text.lines().collect();
    for kept in 0..lines.len() {
        program::write(&cut, &lines[..kept].join("\n"));
        // Whatever it ran would say so: it is given no link.
        let (_, out, err) = program::run(Command::new("/bin/sh").arg(&cut).env_clear().env("PATH", "/nowhere"));
        assert!(out.is_empty() && !err.contains("Error:"), "cut at line {kept} of {}: {out}\n{err}", lines.len());
    }
}

#[test]
fn two_commands_lead_from_nothing_to_the_first_host_and_what_is_not_signed_is_not_installed() {
    if !upheld_tests::is_root() {
        println!("NOT TESTED: the install line needs root (a machine of its own)");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let (key, other) = (pair(folder.path(), "release"), pair(folder.path(), "other"));
    let package = built(&key.0);
    let machine = Machine::boot();
    machine.put(&binary("upheld-collector"), "usr/local/bin/upheld-collector");
    machine.put(&key.1, "root/release.pub");
    machine.put(&other.1, "root/other.pub");
    for end in ["", ".manifest", ".sig"] {
        machine.put(Path::new(&format!("{}{end}", package.display())), &format!("root/agent.deb{end}"));
    }

    // The first command.
    let first = Instant::now();
    machine.sh(&format!(
        "nohup upheld-collector init --serve --release-key /root/release.pub --package /root/agent.deb --data {DATA} >/root/init.log 2>&1 & \
         until grep -q 'Waiting for the first host' /root/init.log; do sleep 0.1; done"
    ));
    let ready = first.elapsed();
    let said = machine.sh("cat /root/init.log");
    println!("{said}");
    assert!(
        said.contains("Admin link, valid 15 min:") && said.contains("a starter book is in /srv/upheld/book"),
        "{said}"
    );
    assert!(said.contains("Windows:        not offered"), "{said}");

    // What is missing is named, each time with what to do.
    let line = said.lines().find_map(|line| line.strip_prefix("Add a host, Linux:")).expect("the line");
    let line = line.trim().replace("sudo ", "");
    let refused = machine.try_sh(&line);
    assert!(refused.0 == Some(69) && refused.2.contains("apt-get install openssl"), "{refused:?}");
    machine.put(&openssl(), "usr/bin/openssl");
    machine.sh(&format!("mv {DATA}/packages {DATA}/away"));
    let refused = machine.try_sh(&line);
    assert!(refused.0 == Some(13) && refused.2.contains("upheld-collector package add"), "{refused:?}");
    let unsigned = machine.try_sh(&format!("upheld-collector package add /root/agent.deb --data {DATA}"));
    assert!(unsigned.0 == Some(78) && unsigned.2.contains("no release key is set"), "{unsigned:?}");
    let token =
        machine.sh(&format!("upheld-collector agent token --client first-client --site main --json --data {DATA}"));
    assert!(token.contains("\"install_line\":null"), "{token}");
    machine.sh(&format!("mv {DATA}/away {DATA}/packages"));

    // Another key in the line, another package behind it, another collector, nobody's rights: nothing is installed.
    let ours = machine.sh(&format!("upheld-collector package key --data {DATA}")).trim().to_owned();
    machine.sh(&format!("upheld-collector package key /root/other.pub --data {DATA}"));
    let strange = machine.sh(&format!("upheld-collector package key --data {DATA}")).trim().to_owned();
    machine.sh(&format!("upheld-collector package key /root/release.pub --data {DATA}"));
    let refused = machine.try_sh(&line.replace(&ours, &strange));
    assert!(refused.0 == Some(1) && refused.2.contains("not signed by the release key"), "{refused:?}");
    machine
        .sh(&format!("cp {DATA}/packages/upheld-agent_*.deb /root/good.deb; printf x >> $(ls {DATA}/packages/*.deb)"));
    let refused = machine.try_sh(&line);
    assert!(refused.0 == Some(1) && refused.2.contains("not the one that was signed"), "{refused:?}");
    machine.sh(&format!("cp /root/good.deb $(ls {DATA}/packages/*.deb)"));
    let pin = line.split('\'').nth(1).expect("a pin");
    let refused = machine.try_sh(&line.replace(pin, "sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="));
    assert!(refused.2.contains("curl: (90)"), "{refused:?}");
    let refused = machine.try_sh(&line.replace("sh -s", "setpriv --reuid=65534 --clear-groups sh -s"));
    assert!(refused.0 == Some(1) && refused.2.contains("only root may install"), "{refused:?}");
    let nothing = machine.try_sh("dpkg-query -W upheld-agent");
    assert_ne!(nothing.0, Some(0), "{nothing:?}");

    // The second command, as the agents' page shows it.
    let line = line_of_the_page(&machine, &said).replace("sudo ", "");
    assert!(line.contains(pin) && line.contains(&ours), "{line}");
    let second = Instant::now();
    let told = machine.sh(&format!("{line} 2>&1"));
    let installed = second.elapsed();
    println!("{told}");
    assert!(told.contains("signed by") && told.contains("Enrolled"), "{told}");
    wait_for("the first host is seen", SOON, || {
        machine.sh("cat /root/init.log").contains("enrolled after").then_some(())
    });
    let agents = agents(&machine);
    assert_eq!(agents.as_array().map(Vec::len), Some(1), "{agents}");
    wait_for("it reports", SOON, || agents_seen(&machine));
    let seen = second.elapsed();
    println!(
        "first command: ready after {:.1} s; second command: installed, enrolled and checked after {:.1} s, first report seen by {:.1} s",
        ready.as_secs_f64(),
        installed.as_secs_f64(),
        seen.as_secs_f64()
    );
    let log = machine.sh("cat /root/init.log");
    let line_of = log.lines().find(|line| line.contains("enrolled after")).expect("the line");
    println!("{line_of}");
    assert!(line_of.contains("Try there: upheld-agent drill"), "{line_of}");
    let drill = machine.try_sh("upheld-agent drill");
    println!("{}{}", drill.1, drill.2);
    assert_eq!(drill.0, Some(3), "the starter book has no channel yet: {drill:?}");

    // What it proposes is taken on the page, and stands in the starter book.
    machine.sh("ip link add way0 type veth peer name way1; ip link set way1 up; ip link set way0 up
         ip addr add 192.0.2.9/24 dev way0; ip route add default via 192.0.2.1");
    let proposed = machine.sh("upheld-agent discover --network 127.0.0.0/30 --propose 2>&1");
    assert!(proposed.contains("for a person to decide"), "{proposed}");
    let (url, _) = admin_link(&said).split_once("/in/").expect("the portal's address");
    let curl = format!("curl -fsSk -H 'Origin: {url}' -c /root/jar -b /root/jar");
    let page = machine.sh(&format!("{curl} {url}/proposals/first-client/main"));
    assert!(page.contains("net.link") && !page.contains("does not write into them"), "{page}");
    machine.sh(&format!("{curl} -d do=take-all {url}/proposals/first-client/main"));
    let book = machine.sh(&format!("cat {DATA}/book/clients/first-client/sites/main.toml"));
    assert!(book.contains("net.link"), "{book}");

    // Twice: it says so and changes nothing.
    let identity = machine.sh("cat /var/lib/upheld/identity.json");
    let again = machine.sh(&line);
    assert!(again.contains("This host is an agent already; nothing was changed"), "{again}");
    assert_eq!(machine.sh("cat /var/lib/upheld/identity.json"), identity);
    assert!(!log.contains("ERROR"), "{log}");
}

/// The program itself, not what starts it from target/peers.
fn openssl() -> PathBuf {
    let unpacked = peer("openssl").ancestors().nth(2).map(|peers| peers.join("root/usr/bin/openssl"));
    unpacked.filter(|path| path.exists()).unwrap_or_else(|| PathBuf::from("/usr/bin/openssl"))
}

/// A release key: the file that signs, and the one that is given out.
fn pair(folder: &Path, name: &str) -> (PathBuf, PathBuf) {
    let (own, public) = (folder.join(format!("{name}.pem")), folder.join(format!("{name}.pub")));
    let openssl = |arguments: &[&str]| {
        let (code, _, err) = program::run(Command::new(peer("openssl")).args(arguments));
        assert_eq!(code, Some(0), "{err}");
    };
    let path = |path: &Path| path.to_str().expect("UTF-8").to_owned();
    openssl(&["genpkey", "-algorithm", "ed25519", "-out", &path(&own)]);
    openssl(&["pkey", "-in", &path(&own), "-pubout", "-out", &path(&public)]);
    (own, public)
}

/// The agent's package of the programs as they are in target/debug, signed.
fn built(key: &Path) -> PathBuf {
    let mut build = Command::new(root().join("dist/build-deb"));
    build.args(["--debug", "--version", "0.1.0-7", "--only", "agent", "--sign"]).arg(key);
    let (code, out, err) = program::run(&mut build);
    assert_eq!(code, Some(0), "{out}\n{err}");
    root().join(out.lines().last().expect("the package's path"))
}

/// Logs in by the link that `init` printed, and asks the page for a line.
fn admin_link(said: &str) -> &str {
    said.lines().find_map(|line| line.strip_prefix("Admin link, valid 15 min:")).expect("a link").trim()
}

fn line_of_the_page(machine: &Machine, said: &str) -> String {
    let admin = admin_link(said);
    let (url, _) = admin.split_once("/in/").expect("the portal's address");
    let curl = format!("curl -fsSk -H 'Origin: {url}' -c /root/jar -b /root/jar");
    machine.sh(&format!("{curl} -d '' '{admin}'"));
    let page = machine.sh(&format!("{curl} --data-urlencode place=first-client/main {url}/agents"));
    let shown = page.split("<code>").find_map(|part| part.starts_with("curl ").then(|| part.split("</code>").next()));
    let line = shown.flatten().unwrap_or_else(|| panic!("no line on the page:\n{page}"));
    line.replace("&#39;", "'").replace("&#x27;", "'").replace("&#x2F;", "/").replace("&amp;", "&")
}

fn agents(machine: &Machine) -> Value {
    let list = machine.sh(&format!("upheld-collector agent list --json --data {DATA}"));
    let list: Value = serde_json::from_str(&list).expect("JSON");
    list["agents"].clone()
}

fn agents_seen(machine: &Machine) -> Option<()> {
    agents(machine)[0]["last_seen"].is_string().then_some(())
}
