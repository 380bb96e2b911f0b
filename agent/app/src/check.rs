//! `check now`: runs the configured checks once, in this process, and prints what each saw. Nothing is recorded or
//! sent, and a running agent is not disturbed.

use std::{collections::BTreeMap, rc::Rc};

use serde::Serialize;
use tokio::{sync::Semaphore, task::JoinSet};
use upheld_model::{CheckId, CheckSpec, Counter, DeviceText, Outcome, sample::Value};
use upheld_probe::{ProbeResult, Prober};

use crate::{
    cli::Common,
    failure::{Code, Failure},
    output, secret,
    settings::Settings,
    state::StateFolder,
    uplink, words,
};

/// As many probes as `run` lets run at once.
const AT_ONCE: usize = 64;

#[derive(Debug, Serialize)]
struct Report {
    schema: &'static str,
    checks: Vec<CheckReport>,
}

#[derive(Debug, Serialize)]
struct CheckReport {
    check: CheckId,
    kind: String,
    outcome: Outcome,
    took_ms: u128,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    values: BTreeMap<String, Value>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    counters: BTreeMap<String, Counter>,
    #[serde(skip_serializing_if = "Option::is_none")]
    evidence: Option<DeviceText>,
}

/// Runs the checks that `name` means, all of them by default, and prints the result.
pub(crate) async fn now(common: &Common, name: Option<&str>, exit_code: bool) -> Result<(), Failure> {
    let state = StateFolder::new(&common.state);
    let identity = state.require_identity()?;
    let checks = state.config()?.map(|config| config.checks).unwrap_or_default();
    let chosen = choose(checks, name)?;
    let settings = Settings::load(common, Some(&identity))?;
    let allow = settings.allow_list(common, Some(&identity))?;
    let prober = Prober::new(allow, uplink::addresses(&settings.all_collectors(&identity)).await);
    if settings.proxy.is_some() {
        prober.collector_is_behind_a_proxy();
    }
    prober.recall(state.probes());
    prober.secrets_are(secret::all(&state, &identity).0);

    let reports = run_all(prober, chosen).await;
    let bad = reports.iter().filter(|report| report.outcome != Outcome::Ok).count();
    if common.json {
        output::json(&Report { schema: "upheld.check-now/1", checks: reports })?;
    } else {
        output::lines(&reports.iter().map(line).collect::<Vec<_>>())?;
    }
    if exit_code && bad > 0 {
        return Err(Failure::new(Code::NotOk, format!("{bad} of the checks are not ok")));
    }
    Ok(())
}

fn choose(checks: Vec<CheckSpec>, name: Option<&str>) -> Result<Vec<CheckSpec>, Failure> {
    let Some(name) = name else { return Ok(checks) };
    let known: Vec<String> = checks.iter().map(|check| check.id.to_string()).collect();
    let means = |id: &CheckId| id.to_string() == name || id.asset.as_str() == name || id.name.as_str() == name;
    let chosen: Vec<CheckSpec> = checks.into_iter().filter(|check| means(&check.id)).collect();
    if chosen.is_empty() {
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        return Err(Failure::new(Code::Failed, format!("no check is called {name:?}"))
            .help(format!("write asset/check, an asset, or a check's own name; configured are: {known}")));
    }
    Ok(chosen)
}

async fn run_all(prober: Prober, checks: Vec<CheckSpec>) -> Vec<CheckReport> {
    let slots = Rc::new(Semaphore::new(AT_ONCE));
    let mut running = JoinSet::new();
    for (place, check) in checks.into_iter().enumerate() {
        let (prober, slots) = (prober.clone(), Rc::clone(&slots));
        running.spawn_local(async move {
            // Closed by nobody; without a slot the probe would still be right, only early.
            let _slot = slots.acquire().await.ok();
            let result = prober.run(&check).await;
            (place, report(check, result))
        });
    }
    let mut reports = BTreeMap::new();
    while let Some(done) = running.join_next().await {
        match done {
            Ok((place, report)) => {
                reports.insert(place, report);
            }
            Err(error) => tracing::error!(%error, "A probe crashed; report this as a fault of upheld-agent."),
        }
    }
    reports.into_values().collect()
}

fn report(check: CheckSpec, result: ProbeResult) -> CheckReport {
    CheckReport {
        kind: check.probe.kind().to_owned(),
        check: check.id,
        outcome: result.outcome,
        took_ms: result.took.as_millis(),
        values: result.values,
        counters: result.counters,
        evidence: result.evidence,
    }
}

fn line(report: &CheckReport) -> String {
    let outcome = match &report.outcome {
        Outcome::Ok => "ok".to_owned(),
        Outcome::Warn => "warn".to_owned(),
        Outcome::Bad => "bad".to_owned(),
        Outcome::Unknown { reason } => format!("unknown ({reason})"),
    };
    let took = words::duration(std::time::Duration::from_millis(report.took_ms.try_into().unwrap_or(u64::MAX)));
    let evidence = report.evidence.as_ref().map(|text| format!("  {text}")).unwrap_or_default();
    format!("{:32} {outcome:12} ({took}){evidence}", report.check)
}

#[cfg(test)]
mod tests {
    use upheld_model::ProbeSpec;

    use super::*;

    fn checks() -> Vec<CheckSpec> {
        ["nvr-02/host", "nvr-02/net.icmp", "srv-1/host"]
            .map(|id| CheckSpec::with_defaults(id.parse().unwrap(), ProbeSpec::Host { disk_bad_percent: 95 }))
            .to_vec()
    }

    fn chosen(name: &str) -> Vec<String> {
        choose(checks(), Some(name)).unwrap().iter().map(|check| check.id.to_string()).collect()
    }

    #[test]
    fn a_name_means_a_check_an_asset_or_a_kind() {
        assert_eq!(chosen("nvr-02/host"), ["nvr-02/host"]);
        assert_eq!(chosen("nvr-02"), ["nvr-02/host", "nvr-02/net.icmp"]);
        assert_eq!(chosen("host"), ["nvr-02/host", "srv-1/host"]);
        let unknown = choose(checks(), Some("cameras")).unwrap_err().to_string();
        assert!(unknown.contains("srv-1/host"), "{unknown}");
    }
}
