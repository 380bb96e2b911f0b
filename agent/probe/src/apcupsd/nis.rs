//! NIS: a length in two bytes, big-endian, then so many bytes; a length of 0 ends an answer.
//!
//! Whatever the other side does, an answer has at most [`LINES_MAX`] lines of at most [`LINE_BYTES_MAX`], and the caller
//! bounds the time.

use std::{collections::BTreeMap, io};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// apcupsd itself writes at most 256 bytes a line.
const LINE_BYTES_MAX: usize = 1_024;
/// A real answer has some 60 lines.
const LINES_MAX: usize = 256;

/// Why an answer cannot be used.
#[derive(Debug)]
pub(super) enum NisError {
    Io(io::Error),
    /// Before the answer had its end.
    Closed,
    /// Not what apcupsd says.
    Strange(&'static str),
}

/// What apcupsd says by key, without the padding; of a key that comes twice the first stands.
pub(super) type Keys = BTreeMap<String, String>;

/// Asks for the status.
pub(super) async fn status(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> Result<Keys, NisError> {
    const QUESTION: &[u8] = b"\x00\x06status";
    stream.write_all(QUESTION).await.map_err(NisError::Io)?;
    read(stream).await
}

/// Reads one answer.
pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Result<Keys, NisError> {
    let mut keys = Keys::new();
    let mut line = [0; LINE_BYTES_MAX];
    for _ in 0..LINES_MAX {
        let length = usize::from(stream.read_u16().await.map_err(as_end)?);
        if length == 0 {
            return if keys.is_empty() { Err(NisError::Strange("its answer says nothing")) } else { Ok(keys) };
        }
        let line = line.get_mut(..length).ok_or(NisError::Strange("a line of its answer is too long"))?;
        stream.read_exact(line).await.map_err(as_end)?;
        let text = String::from_utf8_lossy(line);
        let Some((key, value)) = text.split_once(':') else {
            return Err(NisError::Strange("it does not answer as apcupsd does"));
        };
        keys.entry(key.trim().to_owned()).or_insert_with(|| value.trim().to_owned());
    }
    Err(NisError::Strange("its answer does not end"))
}

fn as_end(error: io::Error) -> NisError {
    if error.kind() == io::ErrorKind::UnexpectedEof { NisError::Closed } else { NisError::Io(error) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What `bytes` come to, read to their end.
    fn heard(bytes: &[u8]) -> Result<Keys, NisError> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(read(&mut &*bytes))
    }

    fn framed(lines: &[&str]) -> Vec<u8> {
        let frame = |line: &&str| {
            let mut framed = u16::try_from(line.len()).unwrap().to_be_bytes().to_vec();
            framed.extend_from_slice(line.as_bytes());
            framed
        };
        lines.iter().chain([&""]).flat_map(frame).collect()
    }

    #[test]
    fn an_answer_is_read_by_its_lengths_and_the_first_of_a_key_stands() {
        let keys = heard(&framed(&["STATUS   : ONLINE \n", "DATE     : 2026-11-28 12:04:11 +0000  \n", "STATUS : x"]));
        let keys = keys.unwrap();
        assert_eq!((keys["STATUS"].as_str(), keys["DATE"].as_str()), ("ONLINE", "2026-11-28 12:04:11 +0000"));
    }

    #[test]
    fn what_is_no_answer_is_said_to_be_none() {
        let endless: Vec<&str> = vec!["A : b\n"; 100_000];
        for (bytes, words) in [
            (b"SSH-2.0-OpenSSH_9.2\r\n".to_vec(), "too long"),
            (framed(&["no key here"]), "does not answer as"),
            (framed(&[]), "says nothing"),
            (framed(&endless), "does not end"),
            (b"\x00".to_vec(), "Closed"),
            (b"\x00\x05A : b".to_vec(), "Closed"),
            (b"\x00\x09A : b".to_vec(), "Closed"),
            (vec![], "Closed"),
        ] {
            let error = format!("{:?}", heard(&bytes).unwrap_err());
            assert!(error.contains(words), "{error}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_end_in_an_answer_or_a_reason(bytes in prop::collection::vec(any::<u8>(), 0..4_096)) {
            if let Ok(keys) = heard(&bytes) {
                prop_assert!(keys.len() <= LINES_MAX);
                super::super::Told::read(&keys);
            }
        }

        #[test]
        fn any_lines_end_in_an_answer_or_a_reason(lines in prop::collection::vec("[A-Z]{0,9} *:\\PC{0,40}", 1..40)) {
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            let told = super::super::Told::read(&heard(&framed(&lines)).unwrap());
            prop_assert!(told.last_dip_s().is_none_or(|lasted| lasted >= 0.0));
        }
    }
}
