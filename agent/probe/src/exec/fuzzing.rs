//! Any bytes as what a plugin prints.

use super::{
    OUT_MAX, judge,
    ran::{End, Ran},
};
use crate::fuzzing::hold;

/// The first byte is its exit status, or how else it ended; what stands behind a zero byte is its complaint.
pub(crate) fn printed(bytes: &[u8]) {
    let Some((end, printed)) = bytes.split_first() else { return };
    let mut parts = printed.splitn(2, |byte| *byte == 0);
    let (out, complaint) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let end = match end {
        status @ 0..128 => End::Exited((*status).into()),
        128 => End::TooLate,
        signal => End::Signal((*signal).into()),
    };
    let ran = Ran {
        end,
        out: out[..out.len().min(OUT_MAX)].to_vec(),
        is_cut: out.len() > OUT_MAX,
        complaint: String::from_utf8_lossy(complaint).into_owned(),
    };
    hold(&judge("check_raid", &ran));
}
