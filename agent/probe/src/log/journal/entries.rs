//! What `journalctl --output=json` prints: an entry a line, in fields whose order means nothing.
//!
//! What a program logged is in it as it came: text, or an array of its bytes where that is no UTF-8 or has control
//! characters, or several of both.

use std::fmt;

use jiff::Timestamp;
use serde::{
    Deserialize, Deserializer,
    de::{SeqAccess, Visitor},
};

use super::super::lines::LINE_MAX;

/// The longest place that is kept; those of today have some 130 characters.
const CURSOR_MAX: usize = 512;

/// One entry.
#[derive(Debug, Deserialize)]
pub(super) struct Entry {
    /// Where it is.
    #[serde(rename = "__CURSOR")]
    pub(super) cursor: String,
    #[serde(rename = "__REALTIME_TIMESTAMP", default)]
    micros: Option<String>,
    #[serde(rename = "MESSAGE", default)]
    pub(super) message: Message,
}

impl Entry {
    /// When it was logged.
    pub(super) fn at(&self) -> Option<Timestamp> {
        Timestamp::from_microsecond(self.micros.as_ref()?.parse().ok()?).ok()
    }
}

/// What was logged: mostly one message, of each at most the beginning of [`LINE_MAX`] bytes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Message(pub(super) Vec<Vec<u8>>);

/// The entries of an output, in its order, and how many of its lines were none. What its end cut off is not looked at.
pub(super) fn read(out: &[u8], is_cut: bool) -> (Vec<Entry>, u64) {
    let whole = match out.iter().rposition(|byte| *byte == b'\n') {
        Some(end) if is_cut => &out[..end],
        None if is_cut => &[],
        Some(_) | None => out,
    };
    let (mut entries, mut unread) = (Vec::new(), 0);
    // Between the entries of two boots it says so in words.
    for line in whole.split(|byte| *byte == b'\n').filter(|line| !line.is_empty() && !line.starts_with(b"-- ")) {
        match serde_json::from_slice::<Entry>(line) {
            Ok(entry) if is_cursor(&entry.cursor) => entries.push(entry),
            Ok(_) | Err(_) => unread += 1,
        }
    }
    (entries, unread)
}

/// Whether it can be a place in a journal: it becomes part of a word of a command.
fn is_cursor(text: &str) -> bool {
    let fits = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'=' | b';' | b'-' | b':' | b'_');
    (1..=CURSOR_MAX).contains(&text.len()) && text.bytes().all(fits)
}

impl<'de> Deserialize<'de> for Message {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(MessageVisitor)
    }
}

struct MessageVisitor;

impl<'de> Visitor<'de> for MessageVisitor {
    type Value = Message;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text, bytes, several of both, or null")
    }

    fn visit_unit<E>(self) -> Result<Message, E> {
        Ok(Message::default())
    }

    fn visit_str<E>(self, text: &str) -> Result<Message, E> {
        Ok(Message(vec![beginning(text.as_bytes())]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Message, A::Error> {
        let (mut bytes, mut messages) = (Vec::new(), Vec::new());
        while let Some(part) = parts.next_element::<Part>()? {
            match part {
                Part::Byte(byte) if bytes.len() < LINE_MAX => bytes.push(byte),
                Part::Byte(_) => {}
                Part::Whole(message) => messages.push(message),
            }
        }
        if !bytes.is_empty() {
            messages.push(bytes);
        }
        Ok(Message(messages))
    }
}

/// An element of an array: a byte of one message, or one of several messages.
enum Part {
    Byte(u8),
    Whole(Vec<u8>),
}

impl<'de> Deserialize<'de> for Part {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(PartVisitor)
    }
}

struct PartVisitor;

impl<'de> Visitor<'de> for PartVisitor {
    type Value = Part;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a byte, text, bytes, or null")
    }

    fn visit_unit<E>(self) -> Result<Part, E> {
        Ok(Part::Whole(Vec::new()))
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Part, E> {
        u8::try_from(number).map(Part::Byte).map_err(|_| E::custom("no byte"))
    }

    fn visit_str<E>(self, text: &str) -> Result<Part, E> {
        Ok(Part::Whole(beginning(text.as_bytes())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Part, A::Error> {
        let mut bytes = Vec::new();
        while let Some(byte) = parts.next_element::<u8>()? {
            if bytes.len() < LINE_MAX {
                bytes.push(byte);
            }
        }
        Ok(Part::Whole(bytes))
    }
}

fn beginning(bytes: &[u8]) -> Vec<u8> {
    bytes[..bytes.len().min(LINE_MAX)].to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(rest: &str) -> String {
        format!("{{\"__CURSOR\":\"s=a1;i=7\",\"__REALTIME_TIMESTAMP\":\"1795886069189059\"{rest}}}\n")
    }

    fn messages(text: &str) -> Vec<Vec<u8>> {
        let (entries, unread) = read(text.as_bytes(), false);
        assert_eq!(unread, 0, "{text}");
        entries.into_iter().flat_map(|entry| entry.message.0).collect()
    }

    #[test]
    fn a_message_is_text_or_bytes_or_several_or_none() {
        for (rest, expected) in [
            (",\"MESSAGE\":\"hello \\\"one\\\"\"", vec![&b"hello \"one\""[..]]),
            (",\"MESSAGE\":[98,255,27,91]", vec![b"b\xff\x1b["]),
            (",\"MESSAGE\":[\"one\",[116,255],null]", vec![b"one", b"t\xff", b""]),
            (",\"MESSAGE\":null", vec![]),
            ("", vec![]),
            (",\"MESSAGE\":[]", vec![]),
            (",\"_BOOT_ID\":\"x\",\"OTHER\":{\"a\":[1,{}]},\"MESSAGE\":\"x\"", vec![b"x"]),
        ] {
            assert_eq!(messages(&entry(rest)), expected, "{rest}");
        }
        let (entries, _) = read(entry("").as_bytes(), false);
        assert_eq!(entries[0].at().unwrap().to_string(), "2026-11-28T17:14:29.189059Z");
        assert_eq!(entries[0].cursor, "s=a1;i=7");
    }

    #[test]
    fn what_is_no_entry_is_counted_and_a_boots_line_is_passed_over() {
        let deep = format!("{{\"__CURSOR\":\"s=1\",\"MESSAGE\":{}", "[".repeat(100_000));
        let cursors = ["", "s=1 --merge", "s=1\\u0000", "s=1\\n", &"s".repeat(513)];
        let odd = cursors.map(|cursor| format!("{{\"__CURSOR\":\"{cursor}\",\"MESSAGE\":\"x\"}}"));
        for line in ["{", "nothing", "{}", "[]", "{\"MESSAGE\":\"without a place\"}", "{\"__CURSOR\":7}", &deep]
            .into_iter()
            .chain(odd.iter().map(String::as_str))
            .chain(["{\"__CURSOR\":\"s=1\",\"MESSAGE\":[256]}", "{\"__CURSOR\":\"s=1\",\"MESSAGE\":{\"a\":1}}"])
        {
            let text =
                format!("{}-- Boot 76c08a71f1a44b7d8b9a1d0b1bd2b6c1 --\n\n{line}\n", entry(",\"MESSAGE\":\"x\""));
            let (entries, unread) = read(text.as_bytes(), false);
            assert_eq!((entries.len(), unread), (1, 1), "{line}");
        }
    }

    #[test]
    fn what_was_cut_off_is_no_entry_and_a_last_line_without_an_end_is_one() {
        let text = entry(",\"MESSAGE\":\"x\"").repeat(2);
        for (cut, count) in [(0, 0), (10, 0), (text.len() / 2 - 1, 0), (text.len() / 2, 1), (text.len() - 2, 1)] {
            let (entries, unread) = read(&text.as_bytes()[..cut], true);
            assert_eq!((entries.len(), unread), (count, 0), "{cut}");
        }
        assert_eq!(read(text.trim_end().as_bytes(), false).0.len(), 2);
        assert_eq!(read(&vec![b'x'; 10 << 20], true).0.len(), 0, "ten megabytes without an end");
        assert_eq!(read(&vec![b'['; 10 << 20], false).1, 1);
    }

    #[test]
    fn of_ten_megabytes_the_beginning_is_held() {
        let text = entry(&format!(",\"MESSAGE\":\"ERROR {}\"", "x".repeat(10 << 20)));
        assert_eq!(messages(&text)[0].len(), LINE_MAX);
        let bytes = entry(&format!(",\"MESSAGE\":[{}255]", "120,".repeat(2 << 20)));
        assert_eq!(messages(&bytes), [vec![b'x'; LINE_MAX]]);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_end_in_entries_or_none(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..300), is_cut: bool) {
            let mut text = entry(",\"MESSAGE\":[1,\"x\"]").into_bytes();
            let at = usize::from(bytes.first().copied().unwrap_or(0)).min(text.len());
            text.splice(at.., bytes);
            for found in read(&text, is_cut).0 {
                proptest::prop_assert!(is_cursor(&found.cursor));
            }
        }
    }
}
