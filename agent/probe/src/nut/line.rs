//! A connection to a NUT server: questions out, bounded lines in.
//!
//! Whatever the other side does, a line has at most [`LINE_BYTES_MAX`], a list at most [`LIST_LINES_MAX`], and the caller
//! bounds the time. Replies come in pieces and are read by line.

use std::io;

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
};
use upheld_model::{DeviceText, UnknownReason};

use super::{Address, words};
use crate::{
    ProbeResult, fault,
    ups::{NUMBERS, TEXTS, Variables},
};

/// NUT itself sends at most 1,024 bytes a line.
const LINE_BYTES_MAX: usize = 1_024;
/// The longest list of a real supply has some 150 variables.
const LIST_LINES_MAX: usize = 512;
/// What is asked for at each run; the rest of what is kept changes with the status, or slowly.
const AT_EACH_RUN: usize = 4;

/// Why a server's answer cannot be used.
#[derive(Debug)]
pub(super) enum TalkError {
    Io(io::Error),
    Closed,
    /// `ERR` and this word.
    Refused(String),
    /// Not what a NUT server says.
    Strange(&'static str),
}

/// One connection, and what is known of the supply at its other end.
pub(super) struct Line<S = TcpStream> {
    stream: S,
    buffer: Vec<u8>,
    /// Which of the variables of each run this supply has.
    has: Vec<&'static str>,
    status: String,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Line<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, buffer: Vec::new(), has: Vec::new(), status: String::new() }
    }

    /// The few variables of each run; all of them when the status is another than before, and whether it was so.
    pub(super) async fn look(&mut self, ups: &str) -> Result<(Variables, bool), TalkError> {
        let questions: String = self.has.iter().map(|name| format!("GET VAR {ups} {name}\n")).collect();
        self.say(&questions).await?;
        let mut said = Variables::new();
        for name in self.has.clone() {
            let words = self.words().await?;
            match words.as_slice() {
                [var, of, known, value] if var == "VAR" && of == ups && known == name => {
                    said.insert(name.to_owned(), value.clone());
                }
                // A variable may come and go (a transfer's reason, a battery that is changed).
                [err, token, ..] if err == "ERR" && token == "VAR-NOT-SUPPORTED" => {}
                words => return Err(refusal(words)),
            }
        }
        if said.get("ups.status") == Some(&self.status) {
            return Ok((said, false));
        }
        Ok((self.list(ups).await?, true))
    }

    /// Everything that the server knows of the supply.
    pub(super) async fn list(&mut self, ups: &str) -> Result<Variables, TalkError> {
        self.say(&format!("LIST VAR {ups}\n")).await?;
        let mut said = Variables::new();
        self.entries("VAR", ups, |entry| {
            if let [name, value] = entry {
                said.insert(name.clone(), value.clone());
            }
        })
        .await?;
        self.status = said.get("ups.status").cloned().unwrap_or_default();
        let wanted = TEXTS[..1].iter().chain(&NUMBERS[..AT_EACH_RUN]).map(|(theirs, _)| *theirs);
        self.has = wanted.filter(|name| said.contains_key(*name)).collect();
        Ok(said)
    }

    /// The supplies that the server knows.
    pub(super) async fn supplies(&mut self) -> Result<Vec<String>, TalkError> {
        self.say("LIST UPS\n").await?;
        let mut names = Vec::new();
        self.entries("UPS", "", |entry| names.extend(entry.first().cloned())).await?;
        Ok(names)
    }

    /// `BEGIN LIST what of`, lines `what of …`, `END LIST what of`; without `of` where it is empty.
    async fn entries(&mut self, what: &str, of: &str, mut take: impl FnMut(&[String])) -> Result<(), TalkError> {
        let marks = |mark: &str| -> Vec<String> {
            [mark, "LIST", what, of].iter().filter(|word| !word.is_empty()).map(|word| (*word).to_owned()).collect()
        };
        let begin = self.words().await?;
        if begin != marks("BEGIN") {
            return Err(refusal(&begin));
        }
        let end = marks("END");
        let lead = if of.is_empty() { 1 } else { 2 };
        for _ in 0..LIST_LINES_MAX {
            let words = self.words().await?;
            if words == end {
                return Ok(());
            }
            match words.get(lead..) {
                Some(entry) if words[0] == what && (of.is_empty() || words[1] == of) => take(entry),
                Some(_) | None => return Err(refusal(&words)),
            }
        }
        Err(TalkError::Strange("its list does not end"))
    }

    async fn say(&mut self, questions: &str) -> Result<(), TalkError> {
        // An answer that nobody asked for would be taken for the next one.
        if !self.buffer.is_empty() {
            return Err(TalkError::Strange("it says more than it was asked"));
        }
        self.stream.write_all(questions.as_bytes()).await.map_err(TalkError::Io)
    }

    async fn words(&mut self) -> Result<Vec<String>, TalkError> {
        let line = self.next().await?;
        words::split(&line).ok_or(TalkError::Strange("a quote in its answer is not closed"))
    }

    async fn next(&mut self) -> Result<String, TalkError> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return Ok(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            if self.buffer.len() > LINE_BYTES_MAX {
                return Err(TalkError::Strange("a line of its answer does not end"));
            }
            let mut piece = [0; LINE_BYTES_MAX];
            match self.stream.read(&mut piece).await.map_err(TalkError::Io)? {
                0 => return Err(TalkError::Closed),
                read => self.buffer.extend_from_slice(&piece[..read]),
            }
        }
    }
}

fn refusal(words: &[String]) -> TalkError {
    match words {
        [err, token, ..] if err == "ERR" => TalkError::Refused(token.clone()),
        _ => TalkError::Strange("it does not answer as a NUT server does"),
    }
}

impl TalkError {
    /// Never bad: a server that cannot be understood says nothing about the power.
    pub(super) fn judge(&self, address: &Address) -> ProbeResult {
        let Address { target, port, ups } = address;
        let at = format!("the NUT server at {target} port {port}");
        let (reason, why) = match self {
            Self::Io(error) => (UnknownReason::Stale, format!("{at}: {}", fault::in_words(error))),
            Self::Closed => (UnknownReason::Stale, format!("{at} closed the connection")),
            Self::Strange(what) => (UnknownReason::CannotProbe, format!("{at} cannot be understood: {what}")),
            Self::Refused(token) => match token.as_str() {
                "DRIVER-NOT-CONNECTED" => {
                    let why = format!("{at} has no connection to the driver of {ups} ({token}): does the driver run?");
                    (UnknownReason::Stale, why)
                }
                "DATA-STALE" => {
                    let why = format!("{at} has heard nothing from the driver of {ups} for a while ({token})");
                    (UnknownReason::Stale, why)
                }
                "ACCESS-DENIED" | "USERNAME-REQUIRED" | "PASSWORD-REQUIRED" => {
                    (UnknownReason::Credentials, format!("{at} lets only users read ({token})"))
                }
                // An open list of words from outside.
                _ => (UnknownReason::CannotProbe, format!("{at} refuses: {}", DeviceText::new(token))),
            },
        };
        ProbeResult::unknown(reason, why)
    }
}
