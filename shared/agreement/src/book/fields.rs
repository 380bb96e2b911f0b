//! Reading TOML so that every mistake is found at once, each with its place.
//!
//! [`Fields`] hands out a table's keys by name and remembers which it was asked for: what is left over at the end is
//! an unknown key, and the nearest of those asked for is what was meant. A value that cannot be read is reported and
//! is `None`; reading goes on.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc, sync::Arc};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    code::Code,
    diagnostic::{Diagnostic, Severity},
    nearest::nearest,
    schema::{Shape, Watch},
    source::{Located, Place},
};
use crate::money::Currency;

/// The most mistakes and the most warnings of one file that are kept: more than is ever listed.
const REPORTED_MAX: usize = 200;

/// The most of all files; beyond it the first mistake of each file is kept.
const FOUND_MAX: usize = 20_000;

/// The most entries of a list, where nothing tighter is said.
const LIST_MAX: usize = 20_000;

/// The state of reading one file.
pub(crate) struct Reading<'a> {
    file: Arc<str>,
    /// The book's currency; `None` while it is not known, and then money is only checked for its form.
    pub(crate) currency: Option<Currency>,
    /// How many mistakes of this file have been reported; what is far beyond what is listed is not even kept.
    errors: usize,
    /// How many warnings.
    warnings: usize,
    /// Everything wrong so far, of all files.
    pub(crate) found: &'a mut Vec<Diagnostic>,
    /// What is kept and not acted on, of all files.
    pub(crate) kept: &'a mut Vec<NotActedOn>,
    /// Who notes what is asked for, to make a schema of it.
    watch: Option<Rc<RefCell<Watch>>>,
}

/// Something that the book says and this version does not act on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotActedOn {
    /// What it is, in a word or two: `credits`.
    pub feature: &'static str,
    /// Where it stands.
    pub place: Place,
}

impl std::fmt::Display for NotActedOn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "kept, not acted on yet: {} ({})", self.feature, self.place.file)
    }
}

/// A value of a file with its place.
pub(crate) type Node<'i> = Spanned<DeValue<'i>>;

/// What can be read from one value.
pub(crate) trait Read: Sized {
    /// The value, or a diagnostic.
    fn read(value: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self>;

    /// What a value looks like before it is read, as far as a schema can say; a table says so when it is read.
    fn shape() -> Shape {
        Shape::Any
    }
}

impl<'a> Reading<'a> {
    pub(crate) fn new(
        file: &str,
        currency: Option<Currency>,
        found: &'a mut Vec<Diagnostic>,
        kept: &'a mut Vec<NotActedOn>,
    ) -> Self {
        Self { file: Arc::from(file), currency, errors: 0, warnings: 0, found, kept, watch: None }
    }

    /// The same, with somebody who notes what is asked for.
    pub(crate) fn watched(self, watch: Rc<RefCell<Watch>>) -> Self {
        Self { watch: Some(watch), ..self }
    }

    pub(crate) fn place<T>(&self, value: &Spanned<T>) -> Place {
        Place::new(&self.file, value.span())
    }

    /// The very beginning of the file, for what is wrong with the file as a whole.
    pub(crate) fn start_of_file(&self) -> Place {
        Place::new(&self.file, 0..0)
    }

    /// A stretch of the file, in bytes.
    pub(crate) fn stretch(&self, span: std::ops::Range<usize>) -> Place {
        Place::new(&self.file, span)
    }

    pub(crate) fn report(&mut self, diagnostic: Diagnostic) {
        // An error is never crowded out by warnings: it refuses the book, whether it is listed or not.
        let (reported, at_least) = match diagnostic.severity() {
            Severity::Error => (&mut self.errors, 1),
            Severity::Warning => (&mut self.warnings, 0),
        };
        *reported += 1;
        let room = if self.found.len() < FOUND_MAX { REPORTED_MAX } else { at_least };
        if *reported <= room {
            self.found.push(diagnostic);
        }
    }

    /// Notes that what stands at `place` is kept and not acted on.
    pub(crate) fn keep_at(&mut self, feature: &'static str, place: Place) {
        if !self.kept.iter().any(|kept| kept.feature == feature && kept.place.file == place.file) {
            self.kept.push(NotActedOn { feature, place });
        }
    }

    /// Notes that `value` is kept and not acted on.
    pub(crate) fn keep<T>(&mut self, feature: &'static str, value: &Spanned<T>) {
        let place = self.place(value);
        self.keep_at(feature, place);
    }

    pub(crate) fn bad_value(&mut self, value: &Node<'_>, message: impl Into<String>) {
        let place = self.place(value);
        self.report(Diagnostic::new(Code::BadValue, &place, message));
    }

    pub(crate) fn wrong_type(&mut self, value: &Node<'_>, expected: &str) {
        let found = type_in_words(value.get_ref());
        let place = self.place(value);
        self.report(
            Diagnostic::new(Code::WrongType, &place, format!("expected {expected}, found {found}"))
                .label(format!("this is {found}")),
        );
    }

    /// Reports a word that is none of `known`, naming the nearest or all.
    pub(crate) fn unknown_word(&mut self, value: &Node<'_>, what: &str, word: &str, known: &[&str]) {
        let place = self.place(value);
        let diagnostic = Diagnostic::new(Code::UnknownWord, &place, format!("{word:?} is not a known {what}"));
        self.report(match nearest(word, known.iter().copied()) {
            Some(meant) => diagnostic.help(format!("did you mean {meant:?}?")),
            None => diagnostic.help(format!("known are {}", known.join(", "))),
        });
    }

    /// Reads a whole file: the table at its top.
    pub(crate) fn parse<'i>(&mut self, text: &'i str) -> Option<Spanned<DeTable<'i>>> {
        let (table, errors) = DeTable::parse_recoverable(text);
        let is_toml = errors.is_empty();
        for error in errors {
            let place = Place::new(&self.file, error.span().unwrap_or(0..0));
            self.report(Diagnostic::new(Code::Syntax, &place, error.message().trim_end().replace('\n', "; ")));
        }
        is_toml.then_some(table)
    }
}

fn type_in_words(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a number with a point",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}

/// One table while it is being read.
pub(crate) struct Fields<'t, 'i> {
    table: &'t DeTable<'i>,
    what: &'static str,
    place: Place,
    asked: Vec<&'static str>,
    watch: Option<Rc<RefCell<Watch>>>,
}

impl<'t, 'i> Fields<'t, 'i> {
    /// The table at the top of a file; `what` names it in messages: `a plan`.
    pub(crate) fn top(table: &'t Spanned<DeTable<'i>>, what: &'static str, reading: &Reading<'_>) -> Self {
        Self::watched(table.get_ref(), what, reading.start_of_file(), reading)
    }

    /// A table within a file.
    pub(crate) fn of(value: &'t Node<'i>, what: &'static str, reading: &mut Reading<'_>) -> Option<Self> {
        match value.get_ref() {
            DeValue::Table(table) => {
                if let Some(watch) = &reading.watch {
                    watch.borrow_mut().table_at(value, what);
                }
                Some(Self::watched(table, what, reading.place(value), reading))
            }
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_) => {
                reading.wrong_type(value, &format!("{what}, a table"));
                None
            }
        }
    }

    fn watched(table: &'t DeTable<'i>, what: &'static str, place: Place, reading: &Reading<'_>) -> Self {
        if let Some(watch) = &reading.watch {
            watch.borrow_mut().begin(what, table);
        }
        Self { table, what, place, asked: Vec::new(), watch: reading.watch.clone() }
    }

    fn note(&self, key: &'static str, is_required: bool, shape: impl FnOnce() -> Shape) {
        if let Some(watch) = &self.watch {
            watch.borrow_mut().key(self.what, key, is_required, shape());
        }
    }

    /// The whole table, for what takes any key.
    pub(crate) fn into_table(self) -> &'t DeTable<'i> {
        self.table
    }

    /// Where the table stands.
    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    /// The value of a key, as it stands.
    pub(crate) fn node(&mut self, key: &'static str) -> Option<&'t Node<'i>> {
        if !self.asked.contains(&key) {
            self.asked.push(key);
            self.note(key, false, || Shape::Any);
        }
        self.table.get(key)
    }

    /// Says no more of a key that was refused already.
    pub(crate) fn pass_over(&mut self, key: &'static str) {
        self.asked.push(key);
    }

    /// A key that may be missing.
    pub(crate) fn optional<T: Read>(&mut self, key: &'static str, reading: &mut Reading<'_>) -> Option<T> {
        self.note(key, false, T::shape);
        self.node(key).and_then(|value| T::read(value, reading))
    }

    /// A key that must be there.
    pub(crate) fn required<T: Read>(&mut self, key: &'static str, reading: &mut Reading<'_>) -> Option<T> {
        self.note(key, true, T::shape);
        match self.node(key) {
            Some(value) => T::read(value, reading),
            None => {
                self.missing(key, reading);
                None
            }
        }
    }

    /// A list that is empty when the key is missing; a single value stands for a list of one.
    pub(crate) fn list<T: Read>(&mut self, key: &'static str, reading: &mut Reading<'_>) -> Vec<T> {
        self.list_up_to(LIST_MAX, key, reading)
    }

    /// The same with at most so many entries.
    pub(crate) fn list_up_to<T: Read>(&mut self, max: usize, key: &'static str, reading: &mut Reading<'_>) -> Vec<T> {
        self.note(key, false, || Shape::Many(Box::new(T::shape())));
        let Some(value) = self.node(key) else { return Vec::new() };
        if let Some(count) = value.get_ref().as_array().map(|items| items.len()).filter(|&count| count > max) {
            let place = reading.place(value);
            let message = format!("`{key}` has {count} entries; at most {max} are read");
            reading.report(Diagnostic::new(Code::TooLarge, &place, message));
            return Vec::new();
        }
        one_or_many(value, reading)
    }

    /// Reports that a key is missing.
    pub(crate) fn missing(&self, key: &str, reading: &mut Reading<'_>) {
        let what = self.what;
        // A key that is there under a near name is reported as unknown by `finish`, which says it better.
        let misspelt =
            self.table.keys().any(|found| nearest(found.get_ref(), [key]).is_some() && found.get_ref() != key);
        if !misspelt {
            reading.report(Diagnostic::new(Code::MissingKey, &self.place, format!("{what} needs `{key}`")));
        }
    }

    /// Reports every key that nobody asked for.
    pub(crate) fn finish(self, reading: &mut Reading<'_>) {
        if let Some(watch) = &self.watch {
            watch.borrow_mut().end(self.what);
        }
        let unknown = self.table.keys().filter(|key| !self.asked.contains(&key.get_ref().as_ref()));
        for key in unknown.take(REPORTED_MAX) {
            let (place, what) = (reading.place(key), self.what);
            let message = format!("unknown key `{}` in {what}", shown(key.get_ref()));
            let unknown = Diagnostic::new(Code::UnknownKey, &place, message);
            reading.report(match nearest(key.get_ref(), self.asked.iter().copied()) {
                Some(meant) => unknown.help(format!("did you mean `{meant}`?")),
                None => unknown.help(format!("known keys here: {}", self.asked.join(", "))),
            });
        }
    }
}

/// Text from a file as it may stand in a message.
pub(crate) fn shown(text: &str) -> String {
    upheld_model::DeviceText::new(text).as_str().to_owned()
}

/// An array, or one value that stands for an array of one.
pub(crate) fn one_or_many<T: Read>(value: &Node<'_>, reading: &mut Reading<'_>) -> Vec<T> {
    match value.get_ref() {
        DeValue::Array(items) => items.iter().filter_map(|item| T::read(item, reading)).collect(),
        DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_)
        | DeValue::Table(_) => T::read(value, reading).into_iter().collect(),
    }
}

/// The entries of a table whose keys are names of the author's choice.
pub(crate) fn entries<'t, 'i>(
    value: &'t Node<'i>,
    what: &str,
    reading: &mut Reading<'_>,
) -> Vec<(&'t Spanned<std::borrow::Cow<'i, str>>, &'t Node<'i>)> {
    match value.get_ref() {
        DeValue::Table(table) => table.iter().collect(),
        DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_)
        | DeValue::Array(_) => {
            reading.wrong_type(value, &format!("{what}, a table"));
            Vec::new()
        }
    }
}

impl<T: Read> Read for Located<T> {
    fn read(value: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        let place = reading.place(value);
        T::read(value, reading).map(|value| Located { value, place })
    }

    fn shape() -> Shape {
        T::shape()
    }
}

impl Read for String {
    fn read(value: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        match value.get_ref().as_str() {
            Some(text) => Some(text.to_owned()),
            None => {
                reading.wrong_type(value, "text in quotes");
                None
            }
        }
    }

    fn shape() -> Shape {
        Shape::Text
    }
}

impl Read for bool {
    fn read(value: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        let flag = value.get_ref().as_bool();
        if flag.is_none() {
            reading.wrong_type(value, "true or false");
        }
        flag
    }

    fn shape() -> Shape {
        Shape::Flag
    }
}

impl Read for u64 {
    fn read(value: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        let Some(integer) = value.get_ref().as_integer() else {
            reading.wrong_type(value, "a whole number");
            return None;
        };
        let number = u64::from_str_radix(integer.as_str(), integer.radix()).ok();
        if number.is_none() {
            reading.bad_value(value, "expected a whole number, not negative");
        }
        number
    }

    fn shape() -> Shape {
        Shape::Whole
    }
}

impl<T: Read> Read for BTreeMap<String, T> {
    fn read(value: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        let found = entries(value, "names and their values", reading);
        Some(
            found
                .into_iter()
                .filter_map(|(key, item)| Some((key.get_ref().to_string(), T::read(item, reading)?)))
                .collect(),
        )
    }

    fn shape() -> Shape {
        Shape::Named(Box::new(T::shape()))
    }
}
