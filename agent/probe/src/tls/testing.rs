//! Certificates made for a test.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{ServerConfig, crypto::ring};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// A certificate with its key; with its issuer's where that ends in so many days, else signed by itself.
pub(crate) fn chain(
    names: &[&str],
    from: i64,
    to: i64,
    issuer_to: Option<i64>,
) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    let key = KeyPair::generate().unwrap();
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let leaf = validity(CertificateParams::new(names).unwrap(), from, to);
    let chain = match issuer_to {
        None => vec![leaf.self_signed(&key).unwrap().der().clone()],
        Some(issuer_to) => {
            let mut ca = validity(CertificateParams::new(vec![]).unwrap(), -400, issuer_to);
            ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate().unwrap()).unwrap();
            vec![leaf.signed_by(&key, &ca).unwrap().der().clone(), ca.der().clone()]
        }
    };
    (chain, PrivateKeyDer::Pkcs8(key.serialize_der().into()))
}

/// A server of all versions of TLS that we speak.
pub(crate) fn versions() -> rustls::ConfigBuilder<ServerConfig, rustls::WantsVerifier> {
    let provider = Arc::new(ring::default_provider());
    ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap()
}

/// From and until days from this moment.
pub(crate) fn validity(mut params: CertificateParams, from: i64, to: i64) -> CertificateParams {
    let day = |days: i64| {
        let at = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24 * days + 1);
        let civil = at.to_zoned(jiff::tz::TimeZone::UTC).date();
        rcgen::date_time_ymd(civil.year().into(), civil.month().unsigned_abs(), civil.day().unsigned_abs())
    };
    (params.not_before, params.not_after) = (day(from), day(to));
    params
}
