//! What an asset is, by its name and by how it is watched, where no book says so.

use upheld_model::AssetClass;

use crate::kind::{CheckKind, Family};

/// The beginnings of names that people give.
const NAMES: &[(&str, AssetClass)] = &[
    ("ups", AssetClass::Ups),
    ("sw", AssetClass::Switch),
    ("gw", AssetClass::Gateway),
    ("gateway", AssetClass::Gateway),
    ("router", AssetClass::Gateway),
    ("wan", AssetClass::InternetLink),
    ("isp", AssetClass::InternetLink),
    ("internet", AssetClass::InternetLink),
    ("link", AssetClass::InternetLink),
    ("nvr", AssetClass::Recorder),
    ("dvr", AssetClass::Recorder),
    ("rec", AssetClass::Recorder),
    ("cam", AssetClass::Camera),
    ("door", AssetClass::AccessPanel),
    ("acs", AssetClass::AccessPanel),
    ("panel", AssetClass::AccessPanel),
    ("srv", AssetClass::Server),
    ("server", AssetClass::Server),
    ("host", AssetClass::Server),
    ("vm", AssetClass::Server),
    ("ws", AssetClass::Workstation),
    ("pc", AssetClass::Workstation),
    ("desk", AssetClass::Workstation),
];

pub(super) fn class_of<'a>(name: &str, kinds: impl Iterator<Item = &'a CheckKind>) -> AssetClass {
    let name = name.to_ascii_lowercase();
    let word: String = name.chars().take_while(char::is_ascii_alphabetic).collect();
    let named = NAMES.iter().find(|(begin, _)| *begin == word).or_else(|| {
        let begins = NAMES.iter().filter(|(begin, _)| begin.len() > 2 && word.starts_with(begin));
        begins.max_by_key(|(begin, _)| begin.len())
    });
    if let Some((_, class)) = named {
        return *class;
    }
    let by_kind = kinds.map(CheckKind::family).find_map(|family| match family {
        Family::Power => Some(AssetClass::Ups),
        Family::Camera => Some(AssetClass::Camera),
        Family::Recording => Some(AssetClass::Recorder),
        Family::Access => Some(AssetClass::AccessPanel),
        Family::Host | Family::Service | Family::Backup | Family::Restore => Some(AssetClass::Server),
        Family::Link | Family::Network | Family::TimeSync | Family::Environment | Family::Unknown => None,
    });
    by_kind.unwrap_or(AssetClass::Other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_or_else_a_kind_says_what_it_is() {
        for (name, kind, class) in [
            ("cam-3", "net.icmp", "camera"),
            ("nvr-02", "host", "recorder"),
            ("sw-4", "net.link", "switch"),
            ("swallow", "net.icmp", "other"),
            ("desktop-7", "host", "workstation"),
            ("lobby", "cam.rtsp", "camera"),
            ("box", "ups.nut", "ups"),
            ("WAN", "net.icmp", "internet-link"),
        ] {
            assert_eq!(class_of(name, [CheckKind::new(kind)].iter()).as_str(), class, "{name}");
        }
    }
}
