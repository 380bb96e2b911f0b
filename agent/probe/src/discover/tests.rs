use std::{
    io::{BufRead, BufReader, Write},
    net::TcpListener,
};

use super::*;
use crate::testing;

fn networks(text: &str) -> Vec<Network> {
    vec![text.parse().unwrap()]
}

/// A listener at this address that answers each line as a NUT server answers `LIST UPS`.
fn nut_server(address: &str) {
    let listener = TcpListener::bind(address).unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut line = String::new();
            let asked = BufReader::new(stream.try_clone().unwrap()).read_line(&mut line);
            if asked.is_ok() && line.trim() == "LIST UPS" {
                // Whoever only tries the port is gone by now.
                let _ =
                    stream.write_all(b"BEGIN LIST UPS\nUPS cellar \"in the cellar\"\nUPS roof \"\"\nEND LIST UPS\n");
            }
        }
    });
}

#[test]
fn who_answers_in_the_network_towards_the_gateway_is_seen_with_what_he_serves() {
    // Addresses of the network that are local are this host's to answer, and on no port of it: neighbours.
    let setup = "mount -t sysfs sysfs /sys
        ip link set lo up
        ip link add d0 type veth peer name d1
        ip link set d1 up
        ip addr add 10.40.0.1/29 dev d0
        ip link set d0 up
        ip route add default via 10.40.0.6 dev d0
        ip route add local 10.40.0.2 dev lo
        ip route add local 10.40.0.3 dev lo";
    testing::in_namespaces(
        "discover::tests::who_answers_in_the_network_towards_the_gateway_is_seen_with_what_he_serves",
        &["--net", "--mount"],
        setup,
        async || {
            let camera = TcpListener::bind("10.40.0.2:554").unwrap();
            nut_server("10.40.0.3:3493");
            let seen = testing::prober("").discover(&[], |_, _| ()).await.unwrap();
            assert_eq!(seen.own.gateway, "10.40.0.6".parse().ok());
            assert_eq!((seen.own.interface.as_deref(), seen.networks), (Some("d0"), networks("10.40.0.0/29")));
            let hosts: Vec<_> = seen
                .hosts
                .iter()
                .map(|host| {
                    (host.address.to_string(), host.ports.iter().copied().collect::<Vec<_>>(), host.supplies.join(","))
                })
                .collect();
            let expected =
                [("10.40.0.2", vec![554], ""), ("10.40.0.3", vec![3493], "cellar,roof"), ("127.0.0.1", vec![], "")];
            assert_eq!(
                hosts,
                expected.map(|(address, ports, supplies)| (address.to_owned(), ports, supplies.to_owned()))
            );
            assert_eq!((seen.asked, seen.forbidden), (6, 0), "five neighbours and this host");
            camera.set_nonblocking(true).unwrap();
            let (mut heard, _) = camera.accept().unwrap();
            heard.set_nonblocking(false).unwrap();
            assert_eq!(std::io::Read::read(&mut heard, &mut [0; 64]).unwrap(), 0, "nothing is said to a port");
        },
    );
}

#[test]
fn what_the_site_forbids_is_not_asked() {
    let setup = "ip link set lo up\nip route add local 10.40.0.0/29 dev lo";
    testing::in_namespace("discover::tests::what_the_site_forbids_is_not_asked", setup, async || {
        let camera = TcpListener::bind("10.40.0.2:554").unwrap();
        let prober = testing::prober("private_subnets = [\"10.40.0.4/31\"]");
        let seen = prober.discover(&networks("10.40.0.0/29"), |_, _| ()).await.unwrap();
        assert_eq!((seen.asked, seen.forbidden), (3, 4), "two that are allowed, and this host");
        let hosts: Vec<String> = seen.hosts.iter().map(|host| host.address.to_string()).collect();
        assert_eq!(hosts, ["10.40.0.4", "10.40.0.5", "127.0.0.1"]);
        camera.set_nonblocking(true).unwrap();
        assert_eq!(camera.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock, "it was touched");
    });
}

#[tokio::test]
async fn a_network_that_is_too_large_is_refused_before_anything_is_sent() {
    let prober = testing::prober("");
    for (text, says) in [("10.0.0.0/8", "16777214 addresses"), ("fd00::/64", "at most 1024"), ("10.40.0.0/21", "2046")]
    {
        let refused = prober.discover(&networks(text), |_, _| ()).await.unwrap_err().to_string();
        assert!(refused.contains(text) && refused.contains(says), "{refused}");
    }
}
