//! SNMP agents that misbehave: version 2c, so much of it as they need.

use super::servers;

/// A value with its tag and length before it.
fn tlv(tag: u8, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(value.len()).expect("less than a datagram").to_be_bytes();
    [&[tag, 0x82], &length[..], value].concat()
}

/// Takes one tag, length and value off the front.
fn take<'a>(bytes: &mut &'a [u8]) -> (u8, &'a [u8]) {
    let (tag, mut at, mut length) = (bytes[0], 2, usize::from(bytes[1]));
    if length & 0x80 != 0 {
        at += length & 0x7f;
        length = bytes[2..at].iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
    }
    let value = &bytes[at..at + length];
    *bytes = &bytes[at + length..];
    (tag, value)
}

/// A question: its number, and the names that are asked for, as they are written.
pub(super) struct Asked {
    number: Vec<u8>,
    names: Vec<Vec<u8>>,
}

impl Asked {
    fn read(datagram: &[u8]) -> Self {
        let mut message = take(&mut &*datagram).1;
        let (_version, _community, mut body) = (take(&mut message), take(&mut message), take(&mut message).1);
        let number = take(&mut body).1.to_vec();
        let (_, _, mut bindings) = (take(&mut body), take(&mut body), take(&mut body).1);
        let mut names = Vec::new();
        while !bindings.is_empty() {
            names.push(take(&mut take(&mut bindings).1).1.to_vec());
        }
        Self { number, names }
    }

    fn answer(&self, bindings: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
        let bindings: Vec<u8> =
            bindings.iter().flat_map(|(name, value)| tlv(0x30, &[tlv(6, name), value.clone()].concat())).collect();
        let pdu = [tlv(2, &self.number), tlv(2, &[0]), tlv(2, &[0]), tlv(0x30, &bindings)].concat();
        tlv(0x30, &[tlv(2, &[1]), tlv(4, b"public"), tlv(0xa2, &pdu)].concat())
    }

    /// This value for each name that was asked for.
    fn each(&self, value: &[u8]) -> Vec<u8> {
        self.answer(&self.names.iter().map(|name| (name.clone(), value.to_vec())).collect::<Vec<_>>())
    }

    /// Rows of a table: the name that was asked for with each of these behind it.
    fn rows(&self, behind: impl IntoIterator<Item = Vec<u8>>, value: &[u8]) -> Vec<u8> {
        let name = &self.names[0];
        let rows = behind.into_iter().map(|more| ([name.clone(), more].concat(), value.to_vec()));
        self.answer(&rows.collect::<Vec<_>>())
    }
}

fn agent(answer: impl Fn(&Asked) -> Vec<u8> + Send + 'static) -> u16 {
    servers::udp(move |datagram| vec![answer(&Asked::read(datagram))])
}

/// At a walk one row for ever, always the same.
pub(super) fn same_row() -> u16 {
    agent(|asked| asked.each(&tlv(4, b"port")))
}

/// At a walk rows that go backwards.
pub(super) fn backwards() -> u16 {
    agent(|asked| asked.rows([vec![9], vec![5], vec![3]], &tlv(4, b"port")))
}

/// A table that goes on and on, of this value: a hundred rows, then a number deeper.
pub(super) fn endless(value: &'static [u8]) -> u16 {
    agent(move |asked| {
        let name = &asked.names[0];
        match name.last() {
            // The names of tables are short; a row is longer.
            Some(last) if name.len() > 10 && *last < 100 => {
                let beside = &name[..name.len() - 1];
                let rows = (last + 1..=last + 20).map(|number| ([beside, &[number]].concat(), value.to_vec()));
                asked.answer(&rows.collect::<Vec<_>>())
            }
            Some(_) | None => asked.rows((1..=20).map(|number| vec![number]), value),
        }
    })
}

/// The largest text that a datagram takes, for whatever is asked first.
pub(super) fn huge_text() -> u16 {
    agent(|asked| {
        let huge = tlv(4, "\u{1b}[2J\u{202e}x".repeat(6_000).as_bytes());
        let first = asked.names.first().cloned().unwrap_or_default();
        asked.answer(&[(first, huge)])
    })
}

/// An answer to a question that nobody put.
pub(super) fn other_number() -> u16 {
    agent(|asked| Asked { number: vec![0x11, 0x22, 0x33], names: asked.names.clone() }.each(&tlv(4, b"x")))
}

/// Texts where numbers belong.
pub(super) fn other_types() -> u16 {
    agent(|asked| asked.each(&tlv(4, b"\x1b[31mnormal")))
}

/// Not what an SNMP agent says at all.
pub(super) fn noise() -> u16 {
    servers::udp(|_| vec![vec![0x30; 60_000], b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(), Vec::new()])
}
