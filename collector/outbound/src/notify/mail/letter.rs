//! What a mail says: one description, and two faces made from it. Pure.

use askama::Template;
use serde::{Deserialize, Serialize};
use upheld_model::text::is_hostile;

/// A subject is cut here, in characters: mail programs show about sixty.
const SUBJECT_MAX: usize = 160;

/// One message to people, complete but for the address of the collector's pages. It is what the outbox stores.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Letter {
    /// The verdict first, then what it is about.
    pub subject: String,
    /// One sentence: what happened.
    pub lead: String,
    /// What it is about, a name and a value each.
    pub facts: Vec<(String, String)>,
    /// Incidents or sentences, where it is about several.
    pub listed: Vec<Listed>,
    /// Texts whose lines stand as they are: the clocks, in the words of `explain`.
    pub sections: Vec<Section>,
    /// The page of what it is about, below the collector's address: `/i/northgate/INC-7`.
    pub path: Option<String>,
    /// What the mails of one incident have in common; a mail program shows them together.
    pub thread: Option<String>,
}

/// One entry of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// In words.
    pub text: String,
    /// Its page, below the collector's address.
    pub path: Option<String>,
}

/// A text under a heading.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Section {
    /// The heading.
    pub heading: String,
    /// The text, line by line.
    pub text: String,
    /// Sentences, which may be broken anywhere; else columns, which may not.
    #[serde(default)]
    pub is_prose: bool,
}

/// A letter as people read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// One line.
    pub subject: String,
    /// Plain text.
    pub text: String,
    /// A page that loads nothing.
    pub html: String,
}

#[derive(Template)]
#[template(path = "mail.txt", escape = "none")]
struct Text<'a> {
    letter: &'a Letter,
    base: &'a str,
}

#[derive(Template)]
#[template(path = "mail.html")]
struct Html<'a> {
    letter: &'a Letter,
    base: &'a str,
}

impl Letter {
    /// Reads a letter from a stored body, `{"letter": {…}}`.
    pub fn of_body(body: &str) -> Result<Self, serde_json::Error> {
        #[derive(Deserialize)]
        struct Body {
            letter: Letter,
        }
        serde_json::from_str::<Body>(body).map(|body| body.letter)
    }

    /// Both faces. `base` is the address of the collector's pages, without a slash at its end.
    pub fn render(&self, base: &str) -> Result<Rendered, askama::Error> {
        let letter = &self.cleaned();
        let mut subject: String = letter.subject.chars().take(SUBJECT_MAX).collect();
        if letter.subject.chars().nth(SUBJECT_MAX).is_some() {
            subject.push('…');
        }
        Ok(Rendered { subject, text: Text { letter, base }.render()?, html: Html { letter, base }.render()? })
    }

    /// The same with every character escaped that could move a cursor, turn a line around or end a header.
    fn cleaned(&self) -> Self {
        let line = |text: &String| clean_line(text);
        Self {
            subject: line(&self.subject),
            lead: line(&self.lead),
            facts: self.facts.iter().map(|(name, value)| (line(name), line(value))).collect(),
            listed: self
                .listed
                .iter()
                .map(|listed| Listed { text: line(&listed.text), path: listed.path.as_ref().map(line) })
                .collect(),
            sections: self
                .sections
                .iter()
                .map(|section| Section {
                    heading: line(&section.heading),
                    text: section.text.lines().map(clean_line).collect::<Vec<_>>().join("\n"),
                    is_prose: section.is_prose,
                })
                .collect(),
            path: self.path.as_ref().map(line),
            thread: self.thread.clone(),
        }
    }
}

/// One line of text with control and bidirectional characters escaped, as [`upheld_model::DeviceText`] does, uncut.
pub fn clean_line(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for c in text.chars() {
        if is_hostile(c) { clean.extend(c.escape_unicode()) } else { clean.push(c) }
    }
    clean
}
