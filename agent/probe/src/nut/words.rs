//! Lines of NUT's protocol, taken apart: words, some in quotes, with `\"` and `\\` inside them.

/// The words of a line; `None` when a quote is not closed or nothing follows a backslash.
pub(super) fn split(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut rest = line.chars().peekable();
    loop {
        while rest.next_if(|c| c.is_ascii_whitespace()).is_some() {}
        let Some(first) = rest.next() else { return Some(words) };
        let mut word = String::new();
        if first == '"' {
            loop {
                match rest.next()? {
                    '"' => break,
                    '\\' => word.push(rest.next()?),
                    c => word.push(c),
                }
            }
        } else {
            let mut next = Some(first);
            while let Some(c) = next {
                word.push(if c == '\\' { rest.next()? } else { c });
                next = rest.next_if(|c| !c.is_ascii_whitespace());
            }
        }
        words.push(word);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_taken_apart_as_the_protocol_quotes_them() {
        for (line, words) in [
            (r#"VAR ups1 ups.status "OL CHRG""#, Some(vec!["VAR", "ups1", "ups.status", "OL CHRG"])),
            (r#"VAR ups1 ups.id "a \"b\" \\c""#, Some(vec!["VAR", "ups1", "ups.id", r#"a "b" \c"#])),
            ("  BEGIN   LIST\tVAR ups1 ", Some(vec!["BEGIN", "LIST", "VAR", "ups1"])),
            (r#"UPS ups1 """#, Some(vec!["UPS", "ups1", ""])),
            ("", Some(vec![])),
            (r#"VAR ups1 x "open"#, None),
            (r#"VAR ups1 x "\"#, None),
            (r"end\", None),
        ] {
            assert_eq!(split(line), words.map(|words| words.into_iter().map(str::to_owned).collect()), "{line}");
        }
    }
}
