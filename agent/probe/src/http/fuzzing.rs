//! Any bytes as a web server's answer.

use super::{Expectation, Page, fetch};
use crate::{fuzzing::hold, tls::certificate::Days};

/// Read to its end, however much of it is an answer.
pub(crate) fn answer(bytes: &[u8]) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        let page = Page::parse("http://192.0.2.7/status?of=1").unwrap_or_else(|why| panic!("{why}"));
        let expected = Expectation { status: None, certificate: Days { warn: 0, bad: 0 } };
        let stream = tokio::io::join(bytes, tokio::io::sink());
        let peer = "192.0.2.7".parse().expect("an address");
        hold(&fetch(stream, &page, None, expected, peer).await);
    });
}
