//! A value as a person types it, unseen, or as another program writes it: never from an argument, which every user of the
//! host can read.

use std::io::{IsTerminal, Read, stdin};

use upheld_model::SecretName;
use upheld_sealing::{VALUE_BYTES_MAX, check_value};
use zeroize::Zeroizing;

use crate::failure::{Code, Failure};

/// From the terminal, twice and without echo; from standard input where that is none, without its last line break.
pub(super) fn value(name: &SecretName) -> Result<Zeroizing<String>, Failure> {
    let text = if stdin().is_terminal() { from_terminal(name)? } else { from(stdin().lock())? };
    check_value(&text).map_err(|why| {
        Failure::new(Code::Failed, "this is not taken as a secret")
            .why(why.to_string())
            .help(format!("upheld-agent secret set {name}, or: … | upheld-agent secret set {name}"))
    })?;
    Ok(text)
}

fn from_terminal(name: &SecretName) -> Result<Zeroizing<String>, Failure> {
    let ask = |prompt: String| {
        rpassword::prompt_password(prompt)
            .map(Zeroizing::new)
            .map_err(|error| Failure::new(Code::Failed, "cannot read from the terminal").because(error))
    };
    let first = ask(format!("Value of {name} (nothing is shown): "))?;
    let again = ask("The same once more: ".to_owned())?;
    match *first == *again {
        true => Ok(first),
        false => Err(Failure::new(Code::Failed, "the two differ").why("nothing was changed")),
    }
}

fn from(input: impl Read) -> Result<Zeroizing<String>, Failure> {
    // Room for all of it: a buffer that grows leaves copies behind.
    let mut text = Zeroizing::new(String::with_capacity(VALUE_BYTES_MAX + 16));
    let room = u64::try_from(VALUE_BYTES_MAX + 3).unwrap_or(u64::MAX);
    input
        .take(room)
        .read_to_string(&mut text)
        .map_err(|error| Failure::new(Code::Failed, "cannot read the secret from standard input").because(error))?;
    let value = text.strip_suffix("\r\n").or_else(|| text.strip_suffix('\n')).unwrap_or(&text);
    Ok(Zeroizing::new(value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_break_at_the_end_is_not_part_of_it() {
        for (input, value) in [("a b\n", "a b"), ("a\r\n", "a"), ("a", "a"), ("a\n\n", "a\n"), ("", "")] {
            assert_eq!(*from(input.as_bytes()).unwrap(), value);
        }
        assert!(from(&b"\xff\xfe"[..]).is_err());
    }

    #[test]
    fn what_is_too_long_is_not_cut_to_what_fits() {
        let long = "x".repeat(VALUE_BYTES_MAX + 1);
        assert!(check_value(&from(long.as_bytes()).unwrap()).is_err());
        let endless = "x".repeat(10 * VALUE_BYTES_MAX);
        assert!(check_value(&from(endless.as_bytes()).unwrap()).is_err());
    }
}
