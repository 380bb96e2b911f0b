//! Where the programs are that the tests talk to (`tests/peers/install.sh` puts them there).

use std::path::{Path, PathBuf};

/// A program that `tests/run` put into target/peers, or that the machine has.
pub fn peer(name: &str) -> PathBuf {
    let on_path =
        std::env::var_os("PATH").into_iter().flat_map(|path| std::env::split_paths(&path).collect::<Vec<_>>());
    let system = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    let mut places = unpacked().into_iter().map(|folder| folder.join("bin")).chain(on_path).chain(system);
    places.find_map(|folder| Some(folder.join(name)).filter(|place| place.exists())).unwrap_or_else(|| missing(name))
}

/// A library that is loaded into a program, by its path below the folder of the machine's libraries.
pub fn peer_library(below: &str) -> PathBuf {
    let machine = format!("usr/lib/{}-linux-gnu", std::env::consts::ARCH);
    let roots = unpacked().into_iter().map(|folder| folder.join("root")).chain([PathBuf::from("/")]);
    let mut places = roots.map(|root| root.join(&machine).join(below));
    places.find(|place| place.exists()).unwrap_or_else(|| missing(below))
}

/// The folder in which Python finds a module: Debian's package, unpacked into target/peers or installed.
pub fn peer_module(name: &str) -> PathBuf {
    let below = "usr/lib/python3/dist-packages";
    let roots = unpacked().into_iter().map(|folder| folder.join("root")).chain([PathBuf::from("/")]);
    let mut places = roots.map(|root| root.join(below));
    places.find(|place| place.join(name).is_dir()).unwrap_or_else(|| missing(name))
}

/// A folder of target/peers.
pub fn peer_folder(name: &str) -> PathBuf {
    let place = unpacked().map(|folder| folder.join(name)).filter(|place| place.exists());
    place.unwrap_or_else(|| missing(name))
}

/// target/peers: as `tests/run` says, or beside the folder of this test's profile.
fn unpacked() -> Option<PathBuf> {
    let said = std::env::var_os("UPHELD_PEERS").map(PathBuf::from);
    let beside = || Some(std::env::current_exe().ok()?.ancestors().nth(3)?.join("peers"));
    said.or_else(beside).filter(|folder: &PathBuf| Path::exists(folder))
}

fn missing(name: &str) -> ! {
    panic!("the peer {name} is missing; this installs it: tests/run --peers")
}
