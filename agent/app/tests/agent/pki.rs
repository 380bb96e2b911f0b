//! A provider's root, intermediate and certificates for the tests.

use jiff::{Timestamp, tz::TimeZone};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, CertifiedIssuer, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData, SanType,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use upheld_wire::v1;

use crate::collector::{days_ago, fingerprint};

/// Root and intermediate.
pub(crate) struct Pki {
    root: CertifiedIssuer<'static, KeyPair>,
    intermediate: CertifiedIssuer<'static, KeyPair>,
}

impl Pki {
    /// A provider's beginnings.
    pub(crate) fn new() -> Self {
        let root = CertifiedIssuer::self_signed(authority("root"), key()).expect("a root");
        let intermediate = CertifiedIssuer::signed_by(authority("intermediate"), key(), &root).expect("one more");
        Self { root, intermediate }
    }

    /// What a link says of the root.
    pub(crate) fn fingerprint(&self) -> String {
        fingerprint(&self.root.key().subject_public_key_info())
    }

    /// The root.
    pub(crate) fn root_der(&self) -> CertificateDer<'static> {
        self.root.der().clone()
    }

    /// The root as the answer carries it.
    pub(crate) fn root_pem(&self) -> String {
        self.root.pem()
    }

    /// The server's chain and key; the root is shown at the enrolment door only.
    pub(crate) fn server(&self, with_root: bool) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let key = key();
        let names = vec![v1::NAME_DATA.to_owned(), v1::NAME_ENROLL.to_owned()];
        let mut params = lasting(CertificateParams::new(names).expect("names"), 1, 89);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let leaf = params.signed_by(&key, &self.intermediate).expect("a certificate");
        let mut chain = vec![leaf.der().clone(), self.intermediate.der().clone()];
        chain.extend(with_root.then(|| self.root_der()));
        (chain, key.into())
    }

    /// An agent's chain for its request, `age_days` into its 45 days.
    pub(crate) fn certify(&self, csr_pem: &str, age_days: i64) -> String {
        let mut request = CertificateSigningRequestParams::from_pem(csr_pem).expect("a request");
        request.params = lasting(CertificateParams::default(), age_days, 45 - age_days);
        request.params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        request.params.subject_alt_names = vec![SanType::URI("upheld:agent:a-1".try_into().expect("a URI"))];
        format!("{}{}", request.signed_by(&self.intermediate).expect("a certificate").pem(), self.intermediate.pem())
    }
}

fn authority(name: &str) -> CertificateParams {
    let mut params = lasting(CertificateParams::default(), 100, 1_000);
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

/// Valid from one day to another, as fine as these tests need it.
fn lasting(mut params: CertificateParams, since_days: i64, for_days: i64) -> CertificateParams {
    let day = |at: Timestamp| {
        let day = at.to_zoned(TimeZone::UTC).date();
        rcgen::date_time_ymd(day.year().into(), day.month().unsigned_abs(), day.day().unsigned_abs())
    };
    (params.not_before, params.not_after) = (day(days_ago(since_days)), day(days_ago(-for_days)));
    params
}

fn key() -> KeyPair {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key")
}
