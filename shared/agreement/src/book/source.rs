//! Where in the book something stands.

use std::{collections::BTreeMap, ops::Range, sync::Arc};

use serde::{Serialize, Serializer};

/// The files of a book: path within the book's folder (always with `/`) to text.
pub type Files = BTreeMap<String, String>;

/// A stretch of one file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The path within the book's folder.
    pub file: Arc<str>,
    /// Bytes of its text.
    pub from: usize,
    /// Where the stretch ends, exclusive.
    pub to: usize,
}

impl Place {
    /// A stretch of `file`.
    pub fn new(file: &Arc<str>, span: Range<usize>) -> Self {
        Self { file: Arc::clone(file), from: span.start, to: span.end }
    }

    /// Line and column, both from 1, the column in characters.
    pub fn line_column(&self, files: &Files) -> (usize, usize) {
        let text = files.get(self.file.as_ref()).map_or("", String::as_str);
        let before = text.get(..self.from.min(text.len())).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }
}

/// A value with its place. Two of them are equal when their values are, wherever they stand.
#[derive(Debug, Clone)]
pub struct Located<T> {
    /// The value.
    pub value: T,
    /// Where it is written.
    pub place: Place,
}

impl<T: PartialEq> PartialEq for Located<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<T: Eq> Eq for Located<T> {}

impl<T> std::ops::Deref for Located<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: Serialize> Serialize for Located<T> {
    /// The value alone: the canonical form knows no places.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(serializer)
    }
}
