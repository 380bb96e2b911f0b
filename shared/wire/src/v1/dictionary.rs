//! Dictionaries that both sides have: what most reports have in common, so that a report of a few records need not say it.
//!
//! Whoever names a dictionary also reads records whose content hash was left out ([`super::Record::complete`]).
//!
//! A frame of zstd names its dictionary itself. An agent uses one only when the collector's latest answer named it
//! ([`super::Delivered::dictionary`]); a collector answers 415 `dictionary-unknown` to one that it does not have. Once
//! published a dictionary is never changed or taken away; a better one is added with an id of its own. How they are made:
//! `shared/wire/dictionary/README.md`.

/// All dictionaries, the best one last, each with its id.
pub const ALL: &[(u16, &[u8])] = &[(40_001, include_bytes!("../../dictionary/40001.zstd"))];

/// The bytes of a dictionary; `None` when it is not known here.
pub fn bytes(id: u16) -> Option<&'static [u8]> {
    ALL.iter().find(|(known, _)| *known == id).map(|(_, bytes)| *bytes)
}

/// The id of the best one.
pub fn best() -> Option<u16> {
    ALL.last().map(|(id, _)| *id)
}
