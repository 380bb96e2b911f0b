//! All services that start with a Windows host: which of those that do not run should.

use std::time::Duration;

use super::all_that_start;
use crate::ProbeResult;

/// No attempt was made since the host started (`ERROR_SERVICE_NEVER_STARTED`).
const NEVER_STARTED: u32 = 1_077;
/// The service has an error number of its own (`ERROR_SERVICE_SPECIFIC_ERROR`).
const ITS_OWN: u32 = 1_066;
/// A host that started lately is not through with its services.
const STARTING: Duration = Duration::from_secs(300);

/// What a service does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Running,
    Paused,
    /// Starting, stopping or about to go on.
    Turning,
    Stopped,
}

/// A service that starts by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Automatic {
    pub(super) name: String,
    pub(super) state: State,
    /// How it ended: Windows' number, 0 where all was well.
    pub(super) exit: u32,
    /// Its own number, where Windows' says that it has one.
    pub(super) own_exit: u32,
    /// Whether it starts some minutes after the host.
    pub(super) is_delayed: bool,
    /// Whether something else starts it when it is needed.
    pub(super) is_triggered: bool,
}

/// Judges them all; `up` is for how long the host runs.
pub(super) fn judge(services: &[Automatic], up: Duration) -> ProbeResult {
    let (mut wrong, mut turning) = (Vec::new(), Vec::new());
    for service in services {
        let name = &service.name;
        match service.state {
            State::Running => {}
            State::Paused => wrong.push(format!("{name} is paused")),
            State::Turning => turning.push(format!("{name} is starting or stopping")),
            State::Stopped => match ended(service) {
                // One that ended well rests where it comes and goes by design.
                None if service.is_delayed || service.is_triggered => {}
                _ if up < STARTING => turning.push(format!("{name} has not started yet")),
                None if service.exit == NEVER_STARTED => wrong.push(format!("{name} was never started")),
                None => wrong.push(format!("{name} was stopped, or ended by itself")),
                Some(how) => wrong.push(format!("{name} {how}")),
            },
        }
    }
    all_that_start(services.len(), &wrong, &turning)
}

/// How a stopped service failed, to be read after its name; `None` where it did not.
fn ended(service: &Automatic) -> Option<String> {
    match service.exit {
        0 | NEVER_STARTED => None,
        ITS_OWN => Some(format!("ended with its own error {}", service.own_exit)),
        error => Some(format!("ended with error {error}")),
    }
}

#[cfg(test)]
mod tests {
    use upheld_model::Outcome;

    use super::*;

    const LONG: Duration = Duration::from_secs(86_400);

    fn service(state: State, exit: u32) -> Automatic {
        Automatic { name: "recorder".to_owned(), state, exit, own_exit: 7, is_delayed: false, is_triggered: false }
    }

    #[test]
    fn each_state_has_its_worth_and_a_sentence() {
        let delayed = |exit| Automatic { is_delayed: true, ..service(State::Stopped, exit) };
        let triggered = |exit| Automatic { is_triggered: true, ..service(State::Stopped, exit) };
        for (service, up, outcome, part) in [
            (service(State::Running, 0), LONG, Outcome::Ok, "all 1 services"),
            (service(State::Turning, 0), LONG, Outcome::Warn, "recorder is starting or stopping"),
            (service(State::Paused, 0), LONG, Outcome::Bad, "do not run: recorder is paused"),
            (service(State::Stopped, 0), LONG, Outcome::Bad, "recorder was stopped, or ended by itself"),
            (service(State::Stopped, NEVER_STARTED), LONG, Outcome::Bad, "recorder was never started"),
            (service(State::Stopped, NEVER_STARTED), Duration::from_secs(60), Outcome::Warn, "not started yet"),
            (service(State::Stopped, 1_053), LONG, Outcome::Bad, "recorder ended with error 1053"),
            (service(State::Stopped, ITS_OWN), LONG, Outcome::Bad, "recorder ended with its own error 7"),
            (delayed(0), LONG, Outcome::Ok, "as they should be"),
            (delayed(NEVER_STARTED), LONG, Outcome::Ok, "as they should be"),
            (delayed(1_053), LONG, Outcome::Bad, "ended with error 1053"),
            (triggered(0), LONG, Outcome::Ok, "as they should be"),
            (triggered(1_067), LONG, Outcome::Bad, "ended with error 1067"),
        ] {
            let result = judge(std::slice::from_ref(&service), up);
            let says = result.evidence.as_ref().unwrap().as_str().to_owned();
            assert!(result.outcome == outcome && says.contains(part), "{service:?}: {says}");
        }
    }

    #[test]
    fn those_that_do_not_run_are_counted_and_named() {
        let result = judge(&[service(State::Stopped, 0), service(State::Running, 0), service(State::Paused, 0)], LONG);
        assert_eq!((&result.values["services"], &result.values["not_running"]), (&3.0.into(), &2.0.into()));
        assert!(result.evidence.unwrap().as_str().starts_with("2 of the 3 services that start with this host"));
    }
}
