use std::{
    io::{BufRead, BufReader, Write},
    net::TcpListener,
};

use super::*;
use crate::testing;

/// Nobody is asked by SNMP.
fn within(networks: &[Network]) -> Look<'_> {
    static NOTHING: Communities = Communities { secrets: Vec::new(), public: false };
    Look { networks, communities: &NOTHING }
}

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
            let seen = testing::prober("").discover(within(&[]), |_, _| ()).await.unwrap();
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
        let seen = prober.discover(within(&networks("10.40.0.0/29")), |_, _| ()).await.unwrap();
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
    for (text, says) in [("10.0.0.0/8", "16777214 addresses"), ("10.40.0.0/21", "2046")] {
        let refused = prober.discover(within(&networks(text)), |_, _| ()).await.unwrap_err().to_string();
        assert!(refused.contains(text) && refused.contains(says), "{refused}");
    }
}

/// A device of the test's own that answers as cameras do: no real peer that runs here says it is one.
fn camera(address: &str, own: &str, answer: impl Fn(&str) -> Vec<String> + Send + 'static) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None).unwrap();
    socket.set_reuse_address(true).unwrap();
    socket.bind(&"239.255.255.250:3702".parse::<std::net::SocketAddr>().unwrap().into()).unwrap();
    socket.join_multicast_v4(&"239.255.255.250".parse().unwrap(), &own.parse().unwrap()).unwrap();
    let (listens, speaks) = (std::net::UdpSocket::from(socket), std::net::UdpSocket::bind((address, 3702)).unwrap());
    std::thread::spawn(move || {
        let mut buffer = [0; 4_096];
        while let Ok((length, from)) = listens.recv_from(&mut buffer) {
            let asked = String::from_utf8_lossy(&buffer[..length]).into_owned();
            let id = asked.split("<w:MessageID>").nth(1).and_then(|rest| rest.split('<').next()).unwrap().to_owned();
            for said in answer(&id) {
                let _ = speaks.send_to(said.as_bytes(), from);
            }
        }
    });
}

fn match_of(id: &str, name: &str) -> String {
    format!(
        "<e:Envelope xmlns:e=\"x\"><e:Header><a:RelatesTo>{id}</a:RelatesTo></e:Header><e:Body><d:ProbeMatches><d:ProbeMatch>\
         <d:Types>dn:NetworkVideoTransmitter</d:Types><d:Scopes>onvif://www.onvif.org/name/{name}</d:Scopes>\
         </d:ProbeMatch></d:ProbeMatches></e:Body></e:Envelope>"
    )
}

#[test]
fn who_says_that_he_is_a_camera_is_seen_once_whatever_else_is_said() {
    let setup = "mount -t sysfs sysfs /sys
        ip link set lo up
        ip link add d0 type veth peer name d1
        ip link set d1 up
        ip addr add 10.40.0.1/28 dev d0
        ip link set d0 up
        ip route add default via 10.40.0.6 dev d0
        ip route add local 10.40.0.2 dev lo
        ip route add local 10.40.0.3 dev lo
        ip route add local 10.40.0.9 dev lo
        ip route add local 192.168.9.9 dev lo";
    testing::in_namespaces(
        "discover::tests::who_says_that_he_is_a_camera_is_seen_once_whatever_else_is_said",
        &["--net", "--mount"],
        setup,
        async || {
            camera("10.40.0.2", "10.40.0.1", |id| vec![match_of(id, "Yard%20gate"), match_of(id, "Yard%20gate")]);
            // Garbage, too long, another's question, an entity, and no end of it.
            camera("10.40.0.3", "10.40.0.1", |id| {
                let bad = [
                    "<".repeat(100),
                    match_of(id, &"x".repeat(40_000)),
                    match_of("urn:uuid:other", "x"),
                    match_of(id, "&lol;"),
                ];
                bad.into_iter().cycle().take(400).collect()
            });
            // Where the site forbids to ask, and from where nobody was asked.
            camera("10.40.0.9", "10.40.0.1", |id| vec![match_of(id, "forbidden")]);
            camera("192.168.9.9", "10.40.0.1", |id| vec![match_of(id, "stranger")]);
            let started = std::time::Instant::now();
            let prober = testing::prober("private_subnets = [\"10.40.0.0/29\"]");
            let seen = prober.discover(within(&[]), |_, _| ()).await.unwrap();
            assert!(started.elapsed() < Duration::from_secs(60), "{:?}", started.elapsed());
            let cameras: Vec<_> =
                seen.hosts.iter().filter_map(|host| Some((host.address, host.camera.clone()?))).collect();
            let named = Camera { name: Some(DeviceText::new("Yard gate")), hardware: None };
            assert_eq!(cameras, [("10.40.0.2".parse().unwrap(), named)]);
        },
    );
}

#[test]
fn by_ipv6_those_are_looked_at_whom_this_host_knows_and_no_device_twice() {
    let setup = "mount -t sysfs sysfs /sys
        ip link set lo up
        ip link add d0 type veth peer name d1
        ip link set d1 up
        ip addr add 10.40.0.1/29 dev d0
        ip addr add fd00:40::1/64 dev d0 nodad
        ip link set d0 up
        ip route add default via 10.40.0.6 dev d0
        ip route add local 10.40.0.2 dev lo
        ip -6 route add local fd00:40::2 dev lo
        ip -6 route add local fd00:40::3 dev lo
        ip neigh add 10.40.0.2 lladdr 02:00:00:00:00:02 dev d0
        ip -6 neigh add fd00:40::2 lladdr 02:00:00:00:00:02 dev d0
        ip -6 neigh add fd00:40::3 lladdr 02:00:00:00:00:03 dev d0
        ip -6 neigh add fd00:40::4 lladdr 02:00:00:00:00:03 dev d0
        ip -6 neigh add fd00:41::5 lladdr 02:00:00:00:00:05 dev d0";
    testing::in_namespaces(
        "discover::tests::by_ipv6_those_are_looked_at_whom_this_host_knows_and_no_device_twice",
        &["--net", "--mount"],
        setup,
        async || {
            let _cameras = TcpListener::bind("[::]:554").unwrap();
            let seen = testing::prober("").discover(within(&[]), |_, _| ()).await.unwrap();
            assert_eq!(seen.networks, ["10.40.0.0/29", "fd00:40::/64"].map(|text| text.parse().unwrap()));
            let found: Vec<_> = seen.hosts.iter().map(|host| (host.address.to_string(), host.ports.len())).collect();
            let expected = [("10.40.0.2", 1), ("127.0.0.1", 0), ("fd00:40::3", 1)];
            assert_eq!(found, expected.map(|(address, ports)| (address.to_owned(), ports)));
        },
    );
}
