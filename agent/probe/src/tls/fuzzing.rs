//! Any bytes as the certificates of a server.

use jiff::Timestamp;
use rustls_pki_types::{CertificateDer, ServerName};
use upheld_model::{Outcome, check::TlsSpec};

use super::{
    Tls,
    certificate::{Days, Inspector},
};
use crate::{ProbeResult, fuzzing::hold};

thread_local! {
    // Made once: it holds the public's roots.
    static INSPECTOR: Inspector = Inspector::new(&[]);
}

/// A chain: each certificate behind two bytes of its length, cut where the bytes end.
pub(crate) fn chain(bytes: &[u8]) {
    let (mut chain, mut rest) = (Vec::new(), bytes);
    while let Some((length, behind)) = rest.split_first_chunk::<2>() {
        let (one, behind) = behind.split_at(usize::from(u16::from_be_bytes(*length)).min(behind.len()));
        chain.push(CertificateDer::from(one));
        rest = behind;
    }
    let name = ServerName::try_from("nvr.site.test").expect("a name");
    let (warn, bad) = (30, 7);
    let spec = TlsSpec {
        target: "nvr.site.test".to_owned(),
        port: 443,
        server_name: None,
        pin: None,
        tls_warn_days: warn,
        tls_bad_days: bad,
    };
    let check = "nvr-1/tls".parse().expect("a check's name");
    let tls = Tls::new();
    for now in [Timestamp::UNIX_EPOCH, Timestamp::MAX] {
        let certificate = INSPECTOR.with(|inspector| inspector.describe(&chain, &name, now));
        let result = certificate.judge(ProbeResult::new(Outcome::Ok), Days { warn, bad });
        hold(&tls.judge_key(&check, &spec, &certificate, result, now));
    }
}
