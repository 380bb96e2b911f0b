//! Any bytes as what journalctl prints.

use upheld_model::check::LogSpec;

use super::{Answer, Reading};
use crate::{
    allow::LogSource,
    fuzzing::hold,
    log::{Cursor, Kept, Matcher, Read},
};

/// The first byte says whether the output was cut; what stands behind a zero byte is the complaint.
pub(crate) fn printed(bytes: &[u8]) {
    let Some((first, printed)) = bytes.split_first() else { return };
    let mut parts = printed.splitn(2, |byte| *byte == 0);
    let (out, complaint) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let complaint = String::from_utf8_lossy(complaint).into_owned();
    let answer = Answer { is_refused: false, out: out.to_vec(), is_cut: first % 2 == 1, complaint };
    let spec = LogSpec::new("ssh".to_owned(), vec!["E".to_owned()]);
    let Ok(matcher) = Matcher::new(&spec) else { return };
    let from = Cursor { text: "s=1;i=1".to_owned(), is_of_log: true };
    let (taken, reading) = Reading::new(from, matcher).take(&answer);
    match taken {
        Ok(_) => {
            let followed = reading.done("");
            let read = Read { is_first: false, lines: followed.lines, skipped_bytes: None, notes: followed.notes };
            let mut kept = Kept::of(None, &LogSource::Journal { journal: "ssh.service".to_owned() }, &spec);
            hold(&kept.judged(&spec, &followed.matcher.seen, &read, jiff::Timestamp::UNIX_EPOCH));
        }
        Err(result) => hold(&result),
    }
}
