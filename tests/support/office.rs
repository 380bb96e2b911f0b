//! An office and its way out, in network namespaces of the test's own: this host on a switch with one neighbour, the
//! gateway, the internet provider's first router, and a host far away that takes connections and answers names.
//!
//! ```text
//! this host ─ sw ─┬─ nas        10.213.5.0/24
//!                 └─ gw ─ isp   100.64.5.0/24
//!                          └─ far   198.51.100.0/24
//! ```
//! Every end is ours; nothing of it is seen on this machine. The namespaces end with the mount namespace that names them.

use std::{
    io,
    net::{TcpListener, UdpSocket},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread,
};

use rustix::{
    fd::AsFd,
    thread::{LinkNameSpaceType, move_into_link_name_space},
};

use crate::namespace::sh;

/// The gateway.
pub const GATEWAY: &str = "10.213.5.1";
/// The neighbour on the same switch; it takes connections to port 80.
pub const NAS: &str = "10.213.5.9";
/// The provider's first router.
pub const HOP: &str = "100.64.5.1";
/// Two hosts far away; both take connections to port 443, the first to port 80 too.
pub const FAR: [&str; 2] = ["198.51.100.7", "198.51.100.8"];
/// The resolver.
const RESOLVER: &str = "198.51.100.9";

/// The office.
pub struct Office {
    does_resolve: Arc<AtomicBool>,
}

impl Office {
    /// Builds it, in a network and mount namespace of the test's own; `folder` is the test's.
    pub fn new(folder: &Path) -> Self {
        sh(
            "mount -t sysfs sysfs /sys
             mkdir -p /run/netns; mount -t tmpfs upheld-test /run/netns
             for n in sw nas gw isp far; do ip netns add $n; ip -n $n link set lo up; done
             ip -n sw link add br0 type bridge
             ip link add eth0 type veth peer name p1 netns sw
             ip -n sw link add p2 type veth peer name eth0 netns nas
             ip -n sw link add p3 type veth peer name lan netns gw
             for p in p1 p2 p3; do ip -n sw link set $p master br0 up; done
             ip -n sw link set br0 up
             ip addr add 10.213.5.10/24 dev eth0; ip link set eth0 up; ip route add default via 10.213.5.1
             ip -n nas addr add 10.213.5.9/24 dev eth0; ip -n nas link set eth0 up; ip -n nas route add default via 10.213.5.1
             ip -n gw addr add 10.213.5.1/24 dev lan; ip -n gw link set lan up
             ip -n gw link add wan type veth peer name gw netns isp
             ip -n gw addr add 100.64.5.2/24 dev wan; ip -n gw link set wan up
             ip -n isp addr add 100.64.5.1/24 dev gw; ip -n isp link set gw up
             ip -n isp link add core type veth peer name eth0 netns far
             ip -n isp addr add 198.51.100.1/24 dev core; ip -n isp link set core up
             for a in 7 8 9; do ip -n far addr add 198.51.100.$a/24 dev eth0; done
             ip -n far link set eth0 up; ip -n far route add default via 198.51.100.1
             ip -n gw route add default via 100.64.5.1; ip -n isp route add 10.213.5.0/24 via 100.64.5.2
             for n in gw isp; do ip netns exec $n sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward'; done
             echo \"nameserver $2\" > \"$1/resolv.conf\"; mount --bind \"$1/resolv.conf\" /etc/resolv.conf",
            &[&folder.display().to_string(), RESOLVER],
        );
        serve("nas", &format!("{NAS}:80"));
        serve("far", &format!("{}:80", FAR[0]));
        FAR.iter().for_each(|far| serve("far", &format!("{far}:443")));
        let does_resolve = Arc::new(AtomicBool::new(true));
        resolve(Arc::clone(&does_resolve));
        Self { does_resolve }
    }

    /// The gateway's port at the switch goes away; the switch stays.
    pub fn lose_gateway(&self) {
        sh("ip -n gw link set lan down", &[]);
    }

    /// The line between the gateway and the provider goes away.
    pub fn lose_line(&self) {
        sh("ip -n isp link set gw down", &[]);
    }

    /// The line is back, with the route over it.
    pub fn restore_line(&self) {
        sh("ip -n isp link set gw up; ip -n isp route replace 10.213.5.0/24 via 100.64.5.2", &[]);
    }

    /// Whether the resolver answers from here on.
    pub fn resolves(&self, does: bool) {
        self.does_resolve.store(does, SeqCst);
    }

    /// The switch's port of this host goes down, or comes up.
    pub fn port(&self, is_up: bool) {
        sh("ip -n sw link set p1 $1", &[if is_up { "up" } else { "down" }]);
    }
}

/// Takes every connection, until the test ends.
fn serve(namespace: &str, at: &str) {
    let listener = within(namespace, || TcpListener::bind(at)).unwrap_or_else(|error| panic!("{at}: {error}"));
    thread::spawn(move || listener.incoming().for_each(drop));
}

/// Answers every question with "no such name", while it does.
fn resolve(does: Arc<AtomicBool>) {
    let socket = within("far", || UdpSocket::bind((RESOLVER, 53))).expect("the resolver's port");
    thread::spawn(move || {
        let mut question = [0; 512];
        while let Ok((read, from)) = socket.recv_from(&mut question) {
            if read < 12 || !does.load(SeqCst) {
                continue;
            }
            (question[2], question[3]) = (0x81, 0x83);
            // Who asked may have no way back.
            let _ = socket.send_to(&question[..read], from);
        }
    });
}

/// Opens a socket in a namespace: it stays there, whoever uses it.
fn within<T: Send>(namespace: &str, open: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    let there = std::fs::File::open(Path::new("/run/netns").join(namespace))?;
    // The thread ends with its namespace; the others stay in theirs.
    thread::scope(|scope| {
        let opened = scope.spawn(|| {
            move_into_link_name_space(there.as_fd(), Some(LinkNameSpaceType::Network))?;
            open()
        });
        opened.join().expect("a thread that opens a socket")
    })
}
