//! What is wrong with a book, said so that it can be put right: file, line, the text and a caret, what to write.

use std::{fmt, ops::Range};

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use serde::Serialize;

use super::{
    code::Code,
    source::{Files, Place},
};

/// Whether the book is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// It is.
    Error,
    /// It is not, but somebody should look.
    Warning,
}

/// One thing that is wrong, or hardly meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Its name in the table of [`Code`]s.
    pub code: Code,
    /// What is wrong, as a sentence without its full stop.
    pub message: String,
    /// The culprit, and what is said under its caret.
    pub primary: Label,
    /// Other places that it is about.
    pub others: Vec<Label>,
    /// What to do.
    pub help: Vec<String>,
}

/// A place and a word about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// Where.
    pub place: Place,
    /// What about it; may be empty.
    pub text: String,
}

impl Diagnostic {
    /// A diagnostic at one place.
    pub fn new(code: Code, place: &Place, message: impl Into<String>) -> Self {
        let primary = Label { place: place.clone(), text: String::new() };
        Self { code, message: message.into(), primary, others: Vec::new(), help: Vec::new() }
    }

    /// The same, with a word under the caret.
    #[must_use]
    pub fn label(mut self, text: impl Into<String>) -> Self {
        self.primary.text = text.into();
        self
    }

    /// The same, with another place that it is about.
    #[must_use]
    pub fn other(mut self, place: &Place, text: impl Into<String>) -> Self {
        self.others.push(Label { place: place.clone(), text: text.into() });
        self
    }

    /// The same, with something to do.
    #[must_use]
    pub fn help(mut self, text: impl Into<String>) -> Self {
        self.help.push(text.into());
        self
    }

    /// Error or warning, by its code.
    pub fn severity(&self) -> Severity {
        self.code.severity()
    }

    /// The file, line and column of the culprit, from 1.
    pub fn line_column(&self, files: &Files) -> (usize, usize) {
        self.primary.place.line_column(files)
    }

    /// The diagnostic as a compiler would print it, without a newline at its end; paths as they are within the book.
    pub fn render(&self, files: &Files, colour: bool) -> String {
        self.render_under("", files, colour)
    }

    /// The same with `root` before each path: `book/` prints `book/clients/…`.
    pub fn render_under(&self, root: &str, files: &Files, colour: bool) -> String {
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        let level = match self.severity() {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let mut group =
            level.primary_title(self.message.as_str()).id(self.code.as_str()).elements(self.snippets(root, files));
        for help in &self.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        let note = format!("explain more with `upheld-collector explain-error {}`", self.code);
        let report: &[Group<'_>] = &[group.element(Level::NOTE.message(note))];
        renderer.render(report)
    }

    /// The culprit's file with every place in it, then the other files.
    fn snippets<'a>(&'a self, root: &str, files: &'a Files) -> Vec<Snippet<'a, annotate_snippets::Annotation<'a>>> {
        let mut paths = vec![&self.primary.place.file];
        for other in &self.others {
            if !paths.contains(&&other.place.file) {
                paths.push(&other.place.file);
            }
        }
        let labels = || {
            std::iter::once((AnnotationKind::Primary, &self.primary))
                .chain(self.others.iter().map(|other| (AnnotationKind::Context, other)))
        };
        paths
            .into_iter()
            .map(|path| {
                let text = files.get(path.as_ref()).map_or("", String::as_str);
                let annotations = labels().filter(|(_, label)| label.place.file == *path).map(|(kind, label)| {
                    let annotation = kind.span(within(text, label.place.from..label.place.to));
                    if label.text.is_empty() { annotation } else { annotation.label(label.text.as_str()) }
                });
                Snippet::source(text).path(format!("{root}{path}")).annotations(annotations.collect::<Vec<_>>())
            })
            .collect()
    }
}

/// The span cut to what the text has, on character boundaries, and to its first line: a caret under a whole table
/// says nothing.
fn within(text: &str, span: Range<usize>) -> Range<usize> {
    let mut from = span.start.min(text.len());
    while !text.is_char_boundary(from) {
        from -= 1;
    }
    let mut to = span.end.clamp(from, text.len());
    while !text.is_char_boundary(to) {
        to -= 1;
    }
    let line_end = text[from..to].find('\n').map_or(to, |newline| from + newline);
    from..line_end
}

/// The diagnostic in one line, without its source: `error[E0212] clients/…: …`.
impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.severity() {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(f, "{word}[{}] {}: {}", self.code, self.primary.place.file, self.message)
    }
}
