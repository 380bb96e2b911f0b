//! What each kind of certificate says and how long it lasts (SECURITY 12, 14).
//!
//! Leaves and issuers begin an hour before they are made, so that a host whose clock is a little behind takes them;
//! clocks that are far off are handled by the agent itself (SECURITY 39).

use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose,
    SanType, SerialNumber,
};
use time::OffsetDateTime;
use upheld_model::AgentId;
use upheld_wire::v1::{NAME_DATA, NAME_ENROLL};

use super::PkiError;

/// How long before it is made a certificate begins.
pub(super) const BEGINS_BEFORE: SignedDuration = SignedDuration::from_hours(1);
const ROOT_DAYS: u32 = 20 * 365;
const INTERMEDIATE_DAYS: u32 = 2 * 365;
const DOOR_DAYS: u32 = 90;
const AGENT_DAYS: u32 = 45;
/// The portal's certificate: the longest that browsers take (398 days) less one.
pub(super) const PORTAL_DAYS: u32 = 397;

/// The anchor. Its name has a random part, so that two providers' roots are never mistaken for each other.
pub(super) fn root(now: Timestamp) -> Result<CertificateParams, PkiError> {
    let mut profile = plain(&format!("Upheld root {}", random_hex()?), ROOT_DAYS, now)?;
    profile.is_ca = IsCa::Ca(BasicConstraints::Constrained(1));
    profile.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(profile)
}

/// The signer of every other certificate.
pub(super) fn intermediate(now: Timestamp) -> Result<CertificateParams, PkiError> {
    let mut profile = plain(&format!("Upheld intermediate {}", random_hex()?), INTERMEDIATE_DAYS, now)?;
    profile.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    profile.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    profile.use_authority_key_identifier_extension = true;
    Ok(profile)
}

/// The same once more, for another signature: a serial is used once.
pub(super) fn again(profile: &CertificateParams) -> Result<CertificateParams, PkiError> {
    let mut again = profile.clone();
    again.serial_number = Some(serial()?);
    Ok(again)
}

/// When a certificate was made that begins at this instant.
pub(super) fn made_at(begins: Timestamp) -> Timestamp {
    begins.saturating_add(BEGINS_BEFORE).unwrap_or(begins)
}

/// The two doors of the agents, under their fixed names.
pub(super) fn door(now: Timestamp) -> Result<CertificateParams, PkiError> {
    let mut profile = plain("Upheld collector", DOOR_DAYS, now)?;
    profile.subject_alt_names = vec![dns(NAME_DATA)?, dns(NAME_ENROLL)?];
    profile.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    profile.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    profile.use_authority_key_identifier_extension = true;
    Ok(profile)
}

/// The portal, under the host names and addresses that people type.
pub(super) fn portal(names: &[String], now: Timestamp) -> Result<CertificateParams, PkiError> {
    let mut profile = plain("Upheld portal", PORTAL_DAYS, now)?;
    profile.subject_alt_names = names
        .iter()
        .map(|name| name.parse().map_or_else(|_| dns(name), |address| Ok(SanType::IpAddress(address))))
        .collect::<Result<_, PkiError>>()?;
    profile.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    profile.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    Ok(profile)
}

/// An agent: its id in one URI, exactly clientAuth, no CA. It never outlives `not_after`, its issuer's end.
pub(super) fn agent(id: &AgentId, now: Timestamp, issuer_ends: Timestamp) -> Result<CertificateParams, PkiError> {
    let mut profile = plain(id.as_str(), AGENT_DAYS, now)?;
    profile.not_after = profile.not_after.min(moment(issuer_ends)?);
    let uri = super::agent::uri(id);
    profile.subject_alt_names = vec![SanType::URI(uri.try_into().map_err(|source| sign_error("an agent", source))?)];
    profile.is_ca = IsCa::ExplicitNoCa;
    profile.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    profile.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    profile.use_authority_key_identifier_extension = true;
    Ok(profile)
}

/// A certificate's moment as an instant; its whole seconds.
pub(super) fn instant(moment: OffsetDateTime) -> Timestamp {
    Timestamp::from_second(moment.unix_timestamp()).unwrap_or(Timestamp::UNIX_EPOCH)
}

fn plain(name: &str, days: u32, now: Timestamp) -> Result<CertificateParams, PkiError> {
    let mut profile = CertificateParams::default();
    profile.distinguished_name = DistinguishedName::new();
    profile.distinguished_name.push(DnType::CommonName, name);
    profile.serial_number = Some(serial()?);
    profile.not_before = moment(now.saturating_sub(BEGINS_BEFORE).unwrap_or(now))?;
    profile.not_after =
        moment(now.saturating_add(SignedDuration::from_hours(24 * i64::from(days))).unwrap_or(Timestamp::MAX))?;
    Ok(profile)
}

fn moment(at: Timestamp) -> Result<OffsetDateTime, PkiError> {
    OffsetDateTime::from_unix_timestamp(at.as_second())
        .map_err(|_| PkiError::Sign { of: "this moment", source: rcgen::Error::Time })
}

fn dns(name: &str) -> Result<SanType, PkiError> {
    Ok(SanType::DnsName(name.try_into().map_err(|source| sign_error("a host name", source))?))
}

fn sign_error(of: &'static str, source: rcgen::Error) -> PkiError {
    PkiError::Sign { of, source }
}

/// Random, positive, never derived from the key: a renewed certificate has a serial of its own.
fn serial() -> Result<SerialNumber, PkiError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(PkiError::Random)?;
    bytes[0] = (bytes[0] & 0x7f) | 0x40;
    Ok(SerialNumber::from_slice(&bytes))
}

fn random_hex() -> Result<String, PkiError> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(PkiError::Random)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
