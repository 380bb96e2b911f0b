//! The security identifier of a service of Windows, computed from its name as Windows does it: so a folder can be given
//! to a service that is not installed yet. And whom an access list names.

use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

/// The identifier of `NT SERVICE\name`: `S-1-5-80-` and the SHA-1 of the name in capitals, UTF-16LE, as five numbers.
pub(crate) fn of(name: &str) -> String {
    let capitals: Vec<u8> = name.to_uppercase().encode_utf16().flat_map(u16::to_le_bytes).collect();
    let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, &capitals);
    let (words, _) = hash.as_ref().as_chunks::<4>();
    words.iter().fold("S-1-5-80".to_owned(), |sid, word| format!("{sid}-{}", u32::from_le_bytes(*word)))
}

/// Whom a descriptor's text (SDDL) allows something, by identifier; Windows shortens the best known to two letters.
pub(crate) fn allowed(text: &str) -> Vec<String> {
    let entries = text.split(['(', ')']).filter(|entry| entry.starts_with("A;"));
    let who = entries.filter_map(|entry| entry.split(';').nth(5)).map(|who| match who {
        "SY" => "S-1-5-18",
        "BA" => "S-1-5-32-544",
        other => other,
    });
    who.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_has_the_identifier_that_windows_gives_it() {
        // The one that stands in every Windows' own access lists.
        let known = "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464";
        assert_eq!(of("TrustedInstaller"), known);
        assert_eq!(of("trustedinstaller"), known);
        assert_ne!(of("UpheldAgent"), known);
    }

    #[test]
    fn an_access_list_says_whom_it_lets_in() {
        let list = "D:PAI(A;OICI;FA;;;SY)(D;;FW;;;WD)(A;OICI;0x1200a9;;;BU)(A;;FA;;;S-1-5-80-1-2)";
        assert_eq!(allowed(list), ["S-1-5-18", "BU", "S-1-5-80-1-2"]);
        assert!(allowed("D:P").is_empty());
    }
}
