//! A collector whose client has one asset, which is checked every second on a port of loopback.

use crate::{Collector, book};

/// A serving collector with a book of one site and the asset of [`tcp_asset`].
pub fn collector(port: u16) -> Collector {
    serving_with(Collector::new(), &tcp_asset(port))
}

/// The same in a folder that was made before, with these assets.
pub fn serving_with(mut collector: Collector, assets: &str) -> Collector {
    let folder = collector.folder().join("book");
    book::write_book(&folder, assets, None);
    collector.apply(&folder);
    collector.serve();
    collector
}

/// A server whose check fails at the first refusal and recovers at the first answer.
pub fn tcp_asset(port: u16) -> String {
    format!(
        "\n[[asset]]\nid = \"srv-1\"\nclass = \"server\"\nchecks = [\n  {{ kind = \"net.tcp\", target = \"127.0.0.1\", \
         port = {port}, every = \"1s\", timeout = \"1s\", fail_after = 1, recover_after = 1 }},\n]\n"
    )
}

/// What lets the check of [`tcp_asset`] through.
pub fn allow(port: u16) -> String {
    format!("loopback_ports = [{port}]\n")
}
