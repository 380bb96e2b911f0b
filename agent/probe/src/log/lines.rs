//! Bytes into lines, however they were cut, in bounded memory.

/// The rest of a longer line is not matched: 64 KiB are a page of a stack trace many times over.
pub(super) const LINE_MAX: usize = 64 << 10;

/// Puts lines together.
#[derive(Debug, Default)]
pub(super) struct Lines {
    line: Vec<u8>,
    /// The beginning of this line was shown, or was not read: what is left of it is passed over.
    is_rest: bool,
    /// How many were shown.
    shown: u64,
}

impl Lines {
    /// Begins at the beginning of a line, or within one of which the rest is passed over.
    pub(super) fn new(is_rest: bool) -> Self {
        Self { is_rest, ..Self::default() }
    }

    /// Takes bytes, and shows each line that is whole to `see`, without its end.
    pub(super) fn feed(&mut self, mut bytes: &[u8], see: &mut impl FnMut(&[u8])) {
        while !bytes.is_empty() {
            let end = bytes.iter().position(|byte| *byte == b'\n');
            let part = &bytes[..end.unwrap_or(bytes.len())];
            if !self.is_rest {
                self.add(part, see);
            }
            if end.is_some() {
                self.finish(see);
                self.is_rest = false;
            }
            bytes = end.map_or(&[], |end| &bytes[end + 1..]);
        }
    }

    /// Shows what has no end as a line.
    pub(super) fn finish(&mut self, see: &mut impl FnMut(&[u8])) {
        let line = self.line.strip_suffix(b"\r").unwrap_or(&self.line);
        if !line.is_empty() {
            self.shown += 1;
            see(line);
        }
        self.line.clear();
    }

    /// How many bytes of a line without an end wait for the rest of it.
    pub(super) fn waiting(&self) -> u64 {
        self.line.len() as u64
    }

    /// Whether the bytes that come next belong to a line whose beginning was shown.
    pub(super) fn is_rest(&self) -> bool {
        self.is_rest
    }

    /// How many lines were shown.
    pub(super) fn shown(&self) -> u64 {
        self.shown
    }

    fn add(&mut self, part: &[u8], see: &mut impl FnMut(&[u8])) {
        // A file that was emptied under a program that goes on where it was has a hole at its beginning.
        let part = match (self.line.is_empty(), part.iter().position(|byte| *byte != 0)) {
            (true, Some(text)) => &part[text..],
            (true, None) => &[],
            (false, _) => part,
        };
        let room = LINE_MAX - self.line.len();
        self.line.extend_from_slice(&part[..part.len().min(room)]);
        if part.len() > room {
            self.finish(see);
            self.is_rest = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(parts: &[&[u8]]) -> (Vec<Vec<u8>>, Lines) {
        let (mut lines, mut seen) = (Lines::default(), Vec::new());
        for part in parts {
            lines.feed(part, &mut |line: &[u8]| seen.push(line.to_vec()));
        }
        (seen, lines)
    }

    #[test]
    fn a_line_of_ten_megabytes_is_matched_at_its_beginning_and_holds_64_kib() {
        let chunk = vec![b'x'; 32 << 10];
        let mut lines = Lines::default();
        let mut seen = Vec::new();
        for _ in 0..320 {
            lines.feed(&chunk, &mut |line: &[u8]| seen.push(line.to_vec()));
            assert!(lines.line.capacity() <= 2 * LINE_MAX, "{}", lines.line.capacity());
        }
        lines.feed(b"ERROR\nnext\n", &mut |line: &[u8]| seen.push(line.to_vec()));
        assert_eq!(seen.iter().map(Vec::len).collect::<Vec<_>>(), [LINE_MAX, 4], "the long one once, and the next");
    }

    #[test]
    fn a_hole_before_a_line_is_none_of_it() {
        let hole = vec![0; 200 << 10];
        let (seen, lines) = read(&[&hole, b"\0\0after\n\0\0"]);
        assert_eq!(seen, [b"after"]);
        assert_eq!(lines.waiting(), 0);
    }

    #[test]
    fn empty_lines_and_carriage_returns_are_no_lines() {
        let (seen, lines) = read(&[b"one\r\n\n\r\ntwo"]);
        assert_eq!(seen, [b"one"]);
        assert_eq!(lines.waiting(), 3);
    }

    proptest! {
        #[test]
        fn however_bytes_are_cut_the_lines_are_the_same(
            bytes in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), any::<u8>()], 0..400),
            cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..8),
        ) {
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let parts: Vec<&[u8]> = cuts.windows(2).map(|cut| &bytes[cut[0]..cut[1]]).collect();
            let (whole, whole_end) = read(&[&bytes]);
            let (cut, cut_end) = read(&parts);
            prop_assert_eq!(&whole, &cut);
            prop_assert_eq!(whole_end.waiting(), cut_end.waiting());
            prop_assert_eq!(whole_end.is_rest(), cut_end.is_rest());
        }
    }
}
