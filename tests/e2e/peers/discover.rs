//! `discover` in a network of the test's own: a real NUT server on this host, a neighbour that serves video. What it prints
//! goes into a site's file as it stands, and the agent that takes it watches the supply.

use std::{net::TcpListener, process::Command, time::Duration};

use upheld_tests::{
    Agent, Collector, binary, book,
    namespace::{self, Own, sh},
    nut::{self, Nut},
    program,
    snmp::{Snmpd, UPS},
    wait_for,
};

use super::{check_now, look, snmp::SWITCH};

#[test]
fn what_discover_prints_is_taken_by_the_book_and_watched() {
    namespace::inside(Own::NetworkAndMounts, "discover::what_discover_prints_is_taken_by_the_book_and_watched", || {
        // An address of the network that is local, and on no port, answers as a neighbour would.
        sh(
            "mount -t sysfs sysfs /sys
            ip link add eth0 type veth peer name far; ip link set eth0 up; ip link set far up
            ip addr add 10.40.0.1/29 dev eth0; ip route add default via 10.40.0.6 dev eth0
            ip route add local 10.40.0.2 dev lo",
            &[],
        );
        let _supply = Nut::start_at(3493);
        let camera = TcpListener::bind("10.40.0.2:554").expect("a neighbour");
        let folder = tempfile::tempdir().expect("a folder");
        let discover = |arguments: &[&str]| {
            let mut command = Command::new(binary("upheld-agent"));
            command.arg("--state").arg(folder.path().join("nothing")).arg("discover").args(arguments);
            command
        };
        let (code, printed, said) = program::run(&mut discover(&[]));
        println!("{printed}");
        assert_eq!((code, said.as_str()), (Some(0), ""), "no terminal, so no count of addresses");
        assert!(printed.contains("10.40.0.0/29") && printed.contains("a camera, or a recorder"), "{printed}");
        let report = program::json(&mut discover(&["--json"]));
        assert_eq!(report["hosts"][0]["address"], "10.40.0.2", "{report}");
        let propose = program::refused(|| discover(&["--propose"]));
        assert!(propose.code == 10 && propose.text.contains("not enrolled"), "{propose:?}");
        let too_many = program::refused(|| discover(&["--network", "10.0.0.0/8"]));
        assert!(too_many.code == 1 && too_many.text.contains("16777214 addresses"), "{too_many:?}");

        let mut collector = Collector::new();
        let written = collector.folder().join("book");
        book::write_book(&written, &printed, None);
        collector.apply(&written);
        collector.serve();
        let agent = Agent::enroll(&collector.link(collector.port), "");
        let seen = look(&mut check_now(&agent));
        let is = |name: &str| seen.iter().find(|check| check.name == name).map(|check| check.is.as_str());
        assert_eq!(is(&format!("{}/ups.nut", nut::UPS)), Some("ok"), "{seen:?}");
        assert_eq!(is("camera-10-40-0-2/net.tcp"), Some("ok"), "{seen:?}");

        // Enrolled, it proposes only what nobody watches.
        let (_, printed, _) = program::run(&mut agent.command(&["discover"]));
        println!("{printed}");
        assert!(!printed.contains("[[asset]]") && printed.contains("Nothing new to watch"), "{printed}");
        drop(camera);
    });
}

#[test]
fn what_a_host_proposes_is_taken_by_a_person_into_the_book_and_watched() {
    namespace::inside(
        Own::NetworkAndMounts,
        "discover::what_a_host_proposes_is_taken_by_a_person_into_the_book_and_watched",
        || {
            sh(
                "mount -t sysfs sysfs /sys
            ip link add eth0 type veth peer name far; ip link set eth0 up; ip link set far up
            ip addr add 10.40.0.1/29 dev eth0; ip route add default via 10.40.0.6 dev eth0
            ip route add local 10.40.0.2 dev lo; ip route add local 10.40.0.3 dev lo",
                &[],
            );
            let _cameras = ["10.40.0.2:554", "10.40.0.3:554"].map(|at| TcpListener::bind(at).expect("a neighbour"));
            let mut collector = Collector::new();
            let book = collector.folder().join("book");
            let site = "\n[[asset]]\nid = \"srv-1\"            # the host itself\nclass = \"server\"\nchecks = [{ kind = \"host\" }]\n";
            book::write_book(&book, site, None);
            collector.apply(&book);
            collector.serve();
            let place = "northgate/plant-2";
            assert_eq!(collector.cli_json(&["proposals", "list"])["proposals"], serde_json::json!([]));
            let mut agent = Agent::enroll(&collector.link(collector.port), "");
            agent.run();
            let propose = || program::run(&mut agent.command(&["discover", "--propose"]));
            let (code, printed, said) = propose();
            println!("{printed}{said}");
            assert!(
                code == Some(0) && printed.contains("Proposed to the provider for northgate/plant-2"),
                "{printed}{said}"
            );

            // A person reads it; one camera is not his.
            let (_, shown, _) = program::run(&mut collector.command(&["proposals", "show", place]));
            println!("{shown}");
            assert!(
                shown.contains("+id = \"camera-10-40-0-3\"")
                    && shown.contains("+++ b/clients/northgate/sites/plant-2.toml")
            );
            collector.cli_json(&["proposals", "dismiss", place, "camera-10-40-0-3"]);
            let nobody = program::refused(|| collector.command(&["proposals", "accept", place, "camera-10-40-0-9"]));
            assert!(nobody.code == 1 && nobody.text.contains("there is: "), "{nobody:?}");
            let early = program::refused(|| collector.command(&["proposals", "show", place, "--patch"]));
            assert!(early.text.contains("proposals accept northgate/plant-2"), "{early:?}");

            // The book is his own, so it becomes a patch, which git takes.
            let taken = collector.cli_json(&["proposals", "accept", place]);
            assert_eq!(
                (&taken["taken"]["way"]["is"], &taken["taken"]["version"]),
                (&"patch".into(), &serde_json::Value::Null)
            );
            let (_, patch, _) = program::run(&mut collector.command(&["proposals", "show", place, "--patch"]));
            let file = collector.folder().join("new.patch");
            std::fs::write(&file, patch).expect("the patch is written");
            done(Command::new("git").args(["apply", "--verbose"]).arg(&file).current_dir(&book));
            collector.apply(&book);
            is_watched(&agent, "srv-1/net.link");
            let names = is_watched(&agent, "camera-10-40-0-2/net.tcp");
            assert!(!names.iter().any(|name| name.contains("10-40-0-3")), "{names:?}");
            let (_, printed, _) = propose();
            assert!(printed.contains("1 dismissed before") && !printed.contains("to decide"), "{printed}");

            // The same book in the folder beside the data is the collector's to write.
            done(Command::new("cp").arg("-r").arg(&book).arg(collector.data().join("book")));
            let taken = collector.cli_json(&["proposals", "accept", place, "camera-10-40-0-3"]);
            assert_eq!(taken["taken"]["way"]["is"], "applied", "{taken}");
            let taken = collector.cli_json(&["proposals", "accept", place, "camera-10-40-0-3:routed_via:router"]);
            assert_eq!(taken["taken"]["way"]["is"], "applied", "{taken}");
            let written = std::fs::read_to_string(collector.data().join("book/clients/northgate/sites/plant-2.toml"))
                .expect("the file");
            assert!(written.contains("# the host itself") && written.contains("routed_via = \"router\""), "{written}");
            is_watched(&agent, "camera-10-40-0-3/net.tcp");
            assert_eq!((collector.audited("proposal.sent"), collector.audited("proposal.taken")), (2, 3));
            assert_eq!(collector.audited("proposal.dismissed"), 1);
            agent.program().stop();
            collector.program().assert_no_errors();
        },
    );
}

/// That it is a bridge, and that its ports have sockets.
const BRIDGE: &str =
    ".1.3.6.1.2.1.17.1.2.0 integer 24\n.1.3.6.1.2.1.2.2.1.3.10107 integer 6\n.1.3.6.1.2.1.2.2.1.3.10152 integer 6\n";

#[test]
fn what_tells_by_snmp_is_proposed_where_a_person_says_with_which_community() {
    namespace::inside(
        Own::Network,
        "discover::what_tells_by_snmp_is_proposed_where_a_person_says_with_which_community",
        || {
            let mut collector = Collector::new();
            let book = collector.folder().join("book");
            book::write_book(
                &book,
                "\n[[asset]]\nid = \"srv-1\"\nclass = \"server\"\nchecks = [{ kind = \"host\" }]\n",
                None,
            );
            collector.apply(&book);
            collector.serve();
            let agent = Agent::enroll(&collector.link(collector.port), "loopback_ports = [161]\n");
            let discover = |more: &[&str]| {
                let arguments = [&["discover", "--network", "127.0.0.1/32"], more].concat();
                let (code, printed, said) = program::run(&mut agent.command(&arguments));
                assert_eq!(code, Some(0), "{printed}{said}");
                printed
            };
            let card = Snmpd::start_at(161, UPS, "");
            assert!(!discover(&[]).contains("snmp"), "nobody is asked by itself");
            let supply = discover(&["--snmp-public"]);
            println!("{supply}");
            assert!(supply.contains("checks = [{ kind = \"ups.snmp\", target = \"127.0.0.1\" }]"), "{supply}");
            let unknown = program::refused(|| agent.command(&["discover", "--snmp", "nobody"]));
            assert!(unknown.text.contains("secret set nobody"), "{unknown:?}");
            card.stop();

            let _switch = Snmpd::start_at(161, &format!("{SWITCH}{BRIDGE}"), "");
            let mut set = agent.command(&["secret", "set", "switches"]);
            let file = collector.folder().join("word");
            std::fs::write(&file, "upheld").expect("the file");
            let (code, _, said) = program::run_given(&mut set, std::fs::File::open(&file).expect("the file"));
            assert_eq!(code, Some(0), "{said}");
            let switch = discover(&["--snmp", "switches"]);
            println!("{switch}");
            let port = "{ kind = \"snmp\", target = \"127.0.0.1\", community_secret = \"switches\", port = \"Gi0/7\" }";
            assert!(switch.contains("class = \"switch\"") && switch.contains(port), "{switch}");
            assert!(!switch.contains("Gi0/52"), "a port without a link is not watched: {switch}");

            // What it prints is taken as it stands, and proposed it becomes the same.
            book::write_book(&book, &switch, None);
            collector.cli_json(&["book", "check", &book.to_string_lossy()]);
            let (_, printed, _) = program::run(&mut agent.command(&[
                "discover",
                "--network",
                "127.0.0.1/32",
                "--snmp",
                "switches",
                "--propose",
            ]));
            assert!(printed.contains("for a person to decide") && !printed.contains("Not taken"), "{printed}");
            let shown = collector.cli_json(&["proposals", "show", "northgate/plant-2"]);
            assert!(shown["proposal"]["patch"].as_str().is_some_and(|patch| patch.contains(port)), "{shown}");
            collector.program().assert_no_errors();
        },
    );
}

/// Waits until the running agent has found the check ok; all the checks that it has.
fn is_watched(agent: &Agent, check: &str) -> Vec<String> {
    wait_for(check, Duration::from_secs(120), || {
        let status = agent.status()?;
        let checks = status["checks"].as_array()?;
        let is_ok = checks.iter().any(|one| one["check"] == check && one["state"] == "ok");
        let names = checks.iter().filter_map(|one| Some(one["check"].as_str()?.to_owned())).collect();
        is_ok.then_some(names)
    })
}

fn done(command: &mut Command) {
    let (code, out, err) = program::run(command);
    assert_eq!(code, Some(0), "{command:?}: {out}{err}");
}
