//! Any bytes as a resolver's answer.

use upheld_model::check::{DnsSpec, RecordKind};

use super::answer::{Answer, Question};
use crate::fuzzing::hold;

/// The first two bytes become the number of the question, so that the rest is read.
pub(crate) fn answer(bytes: &[u8]) {
    let spec = DnsSpec {
        target: "192.0.2.53".to_owned(),
        port: 53,
        look_up: "nvr.site.test".to_owned(),
        record: if bytes.len().is_multiple_of(2) { RecordKind::A } else { RecordKind::Aaaa },
        expect: [].into(),
        contains: ["192.0.2.7".parse().expect("an address")].into(),
    };
    let Ok(question) = Question::new(&spec) else { return };
    let mut bytes = bytes.to_vec();
    bytes.iter_mut().zip(&question.bytes[..2]).for_each(|(byte, number)| *byte = *number);
    if let Ok(Some(answer)) = Answer::read(&bytes, &question) {
        hold(&answer.judge(&spec, "192.0.2.53".parse().expect("an address")));
    }
}
