//! `discover` in a network of the test's own: a real NUT server on this host, a neighbour that serves video. What it prints
//! goes into a site's file as it stands, and the agent that takes it watches the supply.

use std::{net::TcpListener, process::Command};

use upheld_tests::{
    Agent, Collector, binary, book,
    namespace::{self, Own, sh},
    nut::{self, Nut},
    program,
};

use super::{check_now, look};

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
        assert_eq!(propose.code, 69, "{propose:?}");
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
