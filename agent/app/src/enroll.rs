//! `enroll`: makes this host an agent (SECURITY 11, 12, 14).
//!
//! Keys are made here; the link's token goes to whoever shows the provider's root key and to nobody else; the
//! answer is on disk, `identity.json` last, before anything is said to be done. Then the data door is tried once,
//! with the new certificate.

mod refusal;
mod report;

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use upheld_evidence::{SigningKey, sign_enrolment};
use upheld_wire::v1::{
    self,
    enroll::{EnrollAnswer, EnrollLink, EnrollRequest},
};

use crate::{
    cli::Common,
    clocks,
    collectors::is_address,
    config,
    failure::{Code, Failure},
    files,
    http::{self, Answer},
    identity::{self, FreshKey},
    settings::{self, Settings},
    state::{Identity, Schema, StateFolder},
    tls::{self, clock::BoundedClock},
    uplink::{Reach, Uplink},
};

/// Enrols this host; prints the result.
pub(crate) async fn enroll(
    common: &Common,
    link: &str,
    replace: bool,
    provider: &Arc<CryptoProvider>,
) -> Result<(), Failure> {
    let link: EnrollLink = link.parse().map_err(|error| Failure::new(Code::Invalid, format!("{error}")))?;
    let settings = Settings::load(common, None)?;
    // Read, not kept: a broken allow file is told to the person who stands here, not to a log at night.
    settings.allow_list(common, None)?;
    let state = StateFolder::new(&common.state);
    state.create()?;
    let _lock = state.lock()?;
    if !replace {
        refuse_second_enrolment(&state)?;
    }

    let clock = Arc::new(BoundedClock::new(clocks::wall, link.issued));
    let host = clocks::host_name();
    if !common.json {
        eprintln!(
            "  Collector   {}, key SHA256:{} (check it against the portal)",
            link.authority, link.root_fingerprint
        );
        eprintln!("  This host   {host}");
    }
    let tls_key = FreshKey::generate()?;
    let (signing_key, signing_text) = identity::new_signing_key()?;
    let request = request(&link, &tls_key, &signing_key, host)?;
    let answer = ask(&link, &request, &settings, &clock, provider).await?;
    let tls_pem = tls_key.with_chain(&answer.chain_pem)?;

    let set_aside = if state.has_identity() { Some(state.set_aside(clocks::wall())?) } else { None };
    let identity = identity_of(&link, &answer, common)?;
    let kept = |error| state.unusable(error);
    files::replace(&state.tls_pem(), tls_pem.as_bytes()).map_err(kept)?;
    files::replace(&state.signing_key(), signing_text.as_bytes()).map_err(kept)?;
    files::replace(&state.roots_pem(), answer.roots_pem.as_bytes()).map_err(kept)?;
    state.save_config(&answer.config)?;
    state.save_identity(&identity)?;

    let tried = try_data_door(&state, &identity, &settings, &clock, provider).await;
    let waits = answer.pending;
    report::print(common, &identity, &answer.config, set_aside, clock.is_suspect(), waits)?;
    // That door says the same: nothing is taken before a person has come.
    if waits { Ok(()) } else { tried }
}

fn refuse_second_enrolment(state: &StateFolder) -> Result<(), Failure> {
    match state.identity()? {
        None => Ok(()),
        Some(held) => Err(Failure::new(
            Code::Failed,
            format!("this host is already enrolled, as {} at {}", held.agent, held.collector),
        )
        .help("to set that enrolment aside and begin anew: the same command with --replace")),
    }
}

fn request(
    link: &EnrollLink,
    tls_key: &FreshKey,
    signing_key: &SigningKey,
    host: String,
) -> Result<EnrollRequest, Failure> {
    let csr_pem = tls_key.request_pem()?;
    Ok(EnrollRequest {
        protocol: v1::PROTOCOL,
        token: link.token.clone(),
        signing_key: signing_key.public().to_string(),
        signing_proof: sign_enrolment(signing_key, &link.token, &csr_pem).to_string(),
        csr_pem,
        host,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        wall: clocks::wall(),
    })
}

async fn ask(
    link: &EnrollLink,
    request: &EnrollRequest,
    settings: &Settings,
    clock: &Arc<BoundedClock>,
    provider: &Arc<CryptoProvider>,
) -> Result<EnrollAnswer, Failure> {
    let broken = |error: &dyn std::error::Error| {
        Failure::new(Code::Failed, "cannot set up a connection").why(crate::failure::chain_of(error))
    };
    let config = tls::enrollment(&link.root_fingerprint, clock, provider).map_err(|error| broken(&error))?;
    let client = http::client(config, settings.proxy.as_ref()).map_err(|error| broken(&error))?;
    let url = format!("https://{}/v1/enroll", link.authority);
    let answer = http::send(client.post(url).json(request)).await.map_err(|error| refusal::no_answer(link, &error))?;
    if answer.status == 200 { read_answer(link, &answer) } else { Err(refusal::refused(link, &answer)) }
}

/// Reads the collector's yes. A configuration that this version cannot understand does not spoil the enrolment: it
/// is left out, and `run` asks for it and says what it refuses (SECURITY 2).
fn read_answer(link: &EnrollLink, answer: &Answer) -> Result<EnrollAnswer, Failure> {
    let refused = |error: serde_json::Error| {
        Failure::new(Code::Refused, format!("cannot understand the answer of {}", link.authority))
            .because(error)
            .help("the token is used up; update upheld-agent and get a new link")
    };
    let error = match serde_json::from_slice(&answer.body) {
        Ok(understood) => return Ok(understood),
        Err(error) => error,
    };
    let mut value: serde_json::Value = serde_json::from_slice(&answer.body).map_err(refused)?;
    let agent = value.get("agent").cloned().unwrap_or_default();
    value["config"] = serde_json::json!({
        "version": 0, "agent": agent, "heartbeat_ms": config::HEARTBEAT_MS_DEFAULT, "checks": []
    });
    let understood = serde_json::from_value(value).map_err(refused)?;
    tracing::warn!(%error, "Enrolled without checks: the configuration sent is refused.");
    Ok(understood)
}

fn identity_of(link: &EnrollLink, answer: &EnrollAnswer, common: &Common) -> Result<Identity, Failure> {
    Ok(Identity {
        schema: Schema::V1,
        agent: answer.agent.clone(),
        client: answer.client.clone(),
        client_name: answer.client_name.clone(),
        site: answer.site.clone(),
        site_name: answer.site_name.clone(),
        provider_name: answer.provider_name.clone(),
        collector: link.authority.clone(),
        collectors: told(&answer.collectors, &link.authority),
        root_fingerprint: link.root_fingerprint.clone(),
        link_issued: link.issued,
        enrolled_at: answer.collector_time,
        settings_file: common.config.as_deref().map(settings::absolute).transpose()?,
        allow_file: common.allow.as_deref().map(settings::absolute).transpose()?,
    })
}

/// The most other collectors that are remembered.
const COLLECTORS_MAX: usize = 16;

/// The other collectors that this one told of; what is no address is nobody's.
fn told(collectors: &[String], own: &str) -> Vec<String> {
    let others = collectors.iter().filter(|text| text.as_str() != own && is_address(text));
    others.take(COLLECTORS_MAX).cloned().collect()
}

/// Shows the new certificate once, so that a firewall between the doors is noticed by the person who stands here.
async fn try_data_door(
    state: &StateFolder,
    identity: &Identity,
    settings: &Settings,
    clock: &Arc<BoundedClock>,
    provider: &Arc<CryptoProvider>,
) -> Result<(), Failure> {
    let partial = |why: String| {
        Failure::new(
            Code::Partial,
            format!("enrolled, but the data door of {} does not answer yet", identity.collector),
        )
        .why(why)
        .help("start the agent: it keeps trying and loses nothing; see upheld-agent status")
    };
    let clock = Arc::clone(clock);
    let reach = Reach { clock, ..Reach::of(identity, settings, provider) };
    let uplink = Uplink::open(state, &reach)?;
    match uplink.fetch_config().await {
        Ok(answer) if answer.status == 200 => Ok(()),
        Ok(answer) => Err(partial(answer.problem().title)),
        Err(error) => Err(partial(error.words())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link() -> EnrollLink {
        EnrollLink {
            authority: "collector.example".to_owned(),
            token: "t".repeat(43),
            root_fingerprint: "f".repeat(43),
            issued: jiff::Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn a_configuration_that_cannot_be_read_does_not_spoil_the_enrolment() {
        let answer = serde_json::json!({
            "agent": "a-1", "client": "northgate", "client_name": "Northgate", "site": "plant-2", "site_name": "Plant 2",
            "provider_name": "P", "chain_pem": "", "roots_pem": "", "collector_time": "2026-11-16T16:10:07Z",
            "config": { "version": 7, "agent": "a-1", "heartbeat_ms": 30_000, "checks": [{
                "id": "a/b", "probe": ["lidar"], "every_ms": 1000, "timeout_ms": 1000, "fail_after": 1,
                "recover_after": 1, "stale_after_ms": 4000 }] }
        });
        let answer = Answer { status: 200, retry_after: None, date: None, body: serde_json::to_vec(&answer).unwrap() };
        let understood = read_answer(&link(), &answer).unwrap();
        assert_eq!((understood.config.version, understood.config.checks.len()), (0, 0));
    }
}
