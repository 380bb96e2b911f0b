//! A new certificate for a new key: both are on disk before anybody is shown them.

use upheld_wire::v1::enroll::{RenewAnswer, RenewRequest};

use crate::{
    files,
    identity::{self, FreshKey, TlsIdentity},
    state::StateFolder,
    uplink::Uplink,
};

/// Asks the collector and keeps what it gives; in words why not, otherwise.
pub(super) async fn renew(uplink: &Uplink, state: StateFolder) -> Result<TlsIdentity, String> {
    let key = FreshKey::generate().map_err(|failure| failure.to_string())?;
    let csr_pem = key.request_pem().map_err(|failure| failure.to_string())?;
    let answer = uplink.renew(&RenewRequest { csr_pem }).await.map_err(|error| error.words())?;
    if answer.status != 200 {
        return Err(answer.problem().title);
    }
    let renewed: RenewAnswer = serde_json::from_slice(&answer.body).map_err(|error| error.to_string())?;
    let kept = tokio::task::spawn_blocking(move || keep_certificate(&state, &key, &renewed)).await;
    kept.map_err(|error| error.to_string())?
}

/// Puts roots and certificate on disk, in this order: whoever shows the certificate knows the roots.
pub(super) fn keep_certificate(
    state: &StateFolder,
    key: &FreshKey,
    renewed: &RenewAnswer,
) -> Result<TlsIdentity, String> {
    let pem = key.with_chain(&renewed.chain_pem).map_err(|failure| failure.to_string())?;
    let certificate = TlsIdentity::from_pem(&pem)?;
    let kept = |error: files::FileError| crate::failure::chain_of(&error);
    // New roots travel over a connection that the present ones vouch for.
    if identity::certificates(&renewed.roots_pem).is_ok_and(|roots| !roots.is_empty()) {
        files::replace(&state.roots_pem(), renewed.roots_pem.as_bytes()).map_err(kept)?;
    }
    files::replace(&state.tls_pem(), pem.as_bytes()).map_err(kept)?;
    Ok(certificate)
}
