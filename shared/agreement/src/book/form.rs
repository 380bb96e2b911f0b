//! The usual form of a file: comments, order and alignment stay, loose whitespace goes.
//!
//! No indentation, no trailing spaces, at most one empty line in a row, none at the ends, spaces around `=`, one newline
//! at the end. Lines inside a text or a list that runs over several lines keep their indentation. The result says exactly
//! what the file said; where that could not be shown, the file is left as it is.

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// The file in its usual form; `None` where it is not TOML.
pub fn usual_form(text: &str) -> Option<String> {
    let before: toml::Table = text.parse().ok()?;
    let form = Form::of(text)?;
    let mut lines: Vec<String> = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let end = start + line.len();
        let bare = line.strip_suffix('\n').map_or(line, |bare| bare.strip_suffix('\r').unwrap_or(bare));
        match form.inside(start) {
            Inside::Text => lines.push(bare.to_owned()),
            Inside::List => lines.push(form.ending(bare, end).to_owned()),
            Inside::Nothing => {
                let usual = form.line(bare, start, end);
                if !(usual.is_empty() && lines.last().is_none_or(String::is_empty)) {
                    lines.push(usual);
                }
            }
        }
        start = end;
    }
    while lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    let usual = lines.join("\n") + if lines.is_empty() { "" } else { "\n" };
    let says_the_same = usual.parse::<toml::Table>().is_ok_and(|after| after == before);
    Some(if says_the_same { usual } else { text.to_owned() })
}

/// Where values stand that decide how a line is read.
struct Form {
    /// Texts that run over several lines: not a letter of theirs is touched.
    texts: Vec<(usize, usize)>,
    /// Lists and tables that do.
    lists: Vec<(usize, usize)>,
    /// Where the values begin.
    values: Vec<usize>,
}

enum Inside {
    Text,
    List,
    Nothing,
}

impl Form {
    fn of(text: &str) -> Option<Self> {
        let table = DeTable::parse(text).ok()?;
        let mut form = Self { texts: Vec::new(), lists: Vec::new(), values: Vec::new() };
        form.table(table.get_ref(), text);
        form.values.sort_unstable();
        Some(form)
    }

    fn table(&mut self, table: &DeTable<'_>, text: &str) {
        table.values().for_each(|value| self.value(value, text));
    }

    fn value(&mut self, value: &Spanned<DeValue<'_>>, text: &str) {
        let span = value.span();
        let runs_on = text.get(span.clone()).is_some_and(|written| written.contains('\n'));
        // A table or a list under a header is no value: it begins its line.
        let is_inline = text.get(span.start..).is_some_and(|rest| rest.starts_with(['[', '{']))
            && !self.begins_a_line(span.start, text);
        match value.get_ref() {
            DeValue::Table(table) => {
                if is_inline {
                    self.values.push(span.start);
                }
                if runs_on && is_inline {
                    self.lists.push((span.start, span.end));
                }
                self.table(table, text);
            }
            DeValue::Array(items) => {
                if runs_on && is_inline {
                    self.lists.push((span.start, span.end));
                }
                if is_inline {
                    self.values.push(span.start);
                }
                items.iter().for_each(|item| self.value(item, text));
            }
            DeValue::String(_) => {
                if runs_on {
                    self.texts.push((span.start, span.end));
                }
                self.values.push(span.start);
            }
            DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) => {
                self.values.push(span.start);
            }
        }
    }

    /// Whether nothing but whitespace stands before it on its line, so that it is no key's value.
    fn begins_a_line(&self, at: usize, text: &str) -> bool {
        let within_a_list = self.lists.iter().any(|(from, to)| *from < at && at < *to);
        let line = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
        !within_a_list && text[line..at].trim().is_empty()
    }

    fn inside(&self, line: usize) -> Inside {
        let within = |spans: &[(usize, usize)]| spans.iter().any(|(from, to)| *from < line && line < *to);
        match (within(&self.texts), within(&self.lists)) {
            (true, _) => Inside::Text,
            (false, true) => Inside::List,
            (false, false) => Inside::Nothing,
        }
    }

    /// The line without spaces at its end, unless a text begins in it that runs on.
    fn ending<'l>(&self, line: &'l str, end: usize) -> &'l str {
        let runs_on = self.texts.iter().any(|(from, to)| *from < end && end <= *to);
        if runs_on { line } else { line.trim_end() }
    }

    fn line(&self, line: &str, start: usize, end: usize) -> String {
        let bare = self.ending(line, end);
        let from = self.values.partition_point(|value| *value < start);
        let value = self.values.get(from).filter(|value| **value < start + bare.len());
        let Some((key, value)) = value.and_then(|value| bare.split_at_checked(value - start)) else {
            return bare.trim_start().to_owned();
        };
        let Some((key, gap)) = key.rsplit_once('=') else { return bare.trim_start().to_owned() };
        if !gap.trim().is_empty() {
            return bare.trim_start().to_owned();
        }
        // Keys may be aligned: more than one space before the sign stays.
        let space = if key.ends_with(' ') { "" } else { " " };
        format!("{}{space}= {value}", key.trim_start())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loose_whitespace_goes_and_everything_else_stays() {
        let loose = "\n\nname=\"Gold\"  \r\n  # a comment   \nzone   =   'x' # why\n\n\n\n[[target]]\n\twithin =\"4h\"\npriority = [\n    \"P1\",   # first\n  \"P2\",\n]\n\n\n";
        let usual = "name = \"Gold\"\n# a comment\nzone   = 'x' # why\n\n[[target]]\nwithin = \"4h\"\npriority = [\n    \"P1\",   # first\n  \"P2\",\n]\n";
        assert_eq!(usual_form(loose).as_deref(), Some(usual));
        assert_eq!(usual_form(usual).as_deref(), Some(usual), "twice is once");
    }

    #[test]
    fn a_text_over_several_lines_is_not_touched() {
        let text = "note = \"\"\"\n  two  \n\n\n  lines = [x]  \n\"\"\"\naccess=\"a = b\"\n";
        let usual = text.replace("access=", "access = ");
        assert_eq!(usual_form(text), Some(usual));
    }

    #[test]
    fn what_is_no_toml_has_no_form() {
        assert_eq!(usual_form("name = "), None);
        assert_eq!(usual_form("").as_deref(), Some(""));
    }
}
