//! A provider's PKI and doors for the tests of this binary: what the collector shows, made with rcgen.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, CertifiedIssuer, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, PKCS_ECDSA_P256_SHA256, SanType,
};
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer},
    server::WebPkiClientVerifier,
};
use upheld_wire::v1;

use crate::{
    identity::{FreshKey, TlsIdentity},
    state::{Identity, Schema},
    tls,
};

type Day = (i32, u8, u8);

/// A host that is enrolled.
pub(crate) fn identity() -> Identity {
    let at = "2026-11-16T16:00:00Z".parse().unwrap();
    Identity {
        schema: Schema::V1,
        agent: "a-1".parse().unwrap(),
        client: "northgate".parse().unwrap(),
        client_name: "Northgate Foods".to_owned(),
        site: "plant-2".parse().unwrap(),
        site_name: "Plant 2".to_owned(),
        provider_name: "Example Security".to_owned(),
        collector: "collector.example".to_owned(),
        collectors: Vec::new(),
        root_fingerprint: String::new(),
        link_issued: at,
        enrolled_at: at,
        settings_file: None,
        allow_file: None,
    }
}

/// A root, an intermediate, and how long a server's certificate lives.
pub(crate) struct Provider {
    root: CertifiedIssuer<'static, KeyPair>,
    intermediate: CertifiedIssuer<'static, KeyPair>,
    from: Day,
    to: Day,
}

impl Provider {
    /// A provider whose chains are valid `from` one day `to` another (year, month, day).
    pub(crate) fn new(from: Day, to: Day) -> Self {
        let root =
            CertifiedIssuer::self_signed(authority("root", (from.0 - 1, 1, 1), (from.0 + 20, 1, 1)), key()).unwrap();
        let intermediate = CertifiedIssuer::signed_by(authority("intermediate", from, to), key(), &root).unwrap();
        Self { root, intermediate, from, to }
    }

    /// The root.
    pub(crate) fn root_der(&self) -> CertificateDer<'static> {
        self.root.der().clone()
    }

    /// What a link says of the root.
    pub(crate) fn fingerprint(&self) -> String {
        tls::fingerprint_of(self.root.der()).unwrap()
    }

    /// An agent's identity for `key`.
    pub(crate) fn identity(&self, key: &FreshKey) -> TlsIdentity {
        let mut request = CertificateSigningRequestParams::from_pem(&key.request_pem().unwrap()).unwrap();
        request.params = self.bounded(CertificateParams::default());
        request.params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        request.params.subject_alt_names = vec![SanType::URI("upheld:agent:a-1".try_into().unwrap())];
        let leaf = request.signed_by(&self.intermediate).unwrap().pem();
        TlsIdentity::from_pem(&key.with_chain(&format!("{leaf}{}", self.intermediate.pem())).unwrap()).unwrap()
    }

    /// The enrolment door.
    pub(crate) fn enroll_door(&self) -> ServerConfig {
        self.open_door(&[v1::NAME_DATA, v1::NAME_ENROLL], &self.root_der())
    }

    /// A door that shows another root at the end of its chain.
    pub(crate) fn door_showing(&self, root: &CertificateDer<'static>) -> ServerConfig {
        self.open_door(&[v1::NAME_ENROLL], root)
    }

    /// A door with another name in its certificate.
    pub(crate) fn door_named(&self, name: &str) -> ServerConfig {
        self.open_door(&[name], &self.root_der())
    }

    /// The data door: wants a certificate of this provider.
    pub(crate) fn data_door(&self) -> ServerConfig {
        let mut anchors = RootCertStore::empty();
        anchors.add(self.root_der()).unwrap();
        let ring = Arc::new(rustls::crypto::ring::default_provider());
        // The agent's certificate is valid in the test's own year: the verifier's clock is the machine's, so the
        // server side looks at nothing but the signature here.
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(anchors), Arc::clone(&ring)).build().unwrap();
        let (chain, key) = self.server(&[v1::NAME_DATA, v1::NAME_ENROLL], &self.root_der());
        ServerConfig::builder_with_details(ring, Arc::new(Middle(self.from)))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, key)
            .unwrap()
    }

    fn open_door(&self, names: &[&str], root: &CertificateDer<'static>) -> ServerConfig {
        let (chain, key) = self.server(names, root);
        ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap()
    }

    fn server(
        &self,
        names: &[&str],
        root: &CertificateDer<'static>,
    ) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let key = key();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = self.bounded(CertificateParams::new(names).unwrap());
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let leaf = params.signed_by(&key, &self.intermediate).unwrap();
        (vec![leaf.der().clone(), self.intermediate.der().clone(), root.clone()], key.into())
    }

    fn bounded(&self, mut params: CertificateParams) -> CertificateParams {
        params.not_before = rcgen::date_time_ymd(self.from.0, self.from.1, self.from.2);
        params.not_after = rcgen::date_time_ymd(self.to.0, self.to.1, self.to.2);
        params
    }
}

fn authority(name: &str, from: Day, to: Day) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.not_before = rcgen::date_time_ymd(from.0, from.1, from.2);
    params.not_after = rcgen::date_time_ymd(to.0, to.1, to.2);
    params
}

fn key() -> KeyPair {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap()
}

/// The server's clock: the day after its certificate began.
#[derive(Debug)]
struct Middle(Day);

impl rustls::time_provider::TimeProvider for Middle {
    fn current_time(&self) -> Option<rustls::pki_types::UnixTime> {
        let (year, month, day) = self.0;
        let seconds = (rcgen::date_time_ymd(year, month, day).unix_timestamp() + 86_400).try_into().ok()?;
        Some(rustls::pki_types::UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds)))
    }
}
