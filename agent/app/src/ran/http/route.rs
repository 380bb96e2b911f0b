//! Addresses of jobs: `/hb/JOB[/start|/fail|/log|/STATUS][?rid=RUN]`, in the shape that healthchecks' clients use.

use hyper::{Method, StatusCode};

use crate::ran::Step;

/// The most characters of a run's own name.
const RUN_MAX: usize = 64;

/// What was asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) job: String,
    pub(super) step: Step,
    /// The exit status, where it was said.
    pub(super) status: Option<u8>,
    pub(super) run: Option<String>,
}

/// Why nothing was, in words for the one who reads a cron mail.
pub(super) type Refused = (StatusCode, String);

/// Reads an address. `/ping/` stands for `/hb/`, so that a script needs another host and nothing else.
pub(super) fn read(method: &Method, path: &str, query: Option<&str>) -> Result<Asked, Refused> {
    if ![Method::GET, Method::HEAD, Method::POST].contains(method) {
        return Err((StatusCode::METHOD_NOT_ALLOWED, "use GET, HEAD or POST".to_owned()));
    }
    let below = path.strip_prefix("/hb/").or_else(|| path.strip_prefix("/ping/"));
    let words: Vec<&str> = below.unwrap_or_default().trim_end_matches('/').split('/').collect();
    if words.len() > 3 || words.iter().any(|word| word.is_empty()) {
        let help = "say /hb/JOB, and behind it /start, /fail, /log or an exit status: curl http://ADDRESS/hb/nightly";
        return Err((StatusCode::NOT_FOUND, help.to_owned()));
    }
    let run = run_of(query.unwrap_or_default())?;
    let (mut step, mut status, mut name) = (Step::Ok, None, words.as_slice());
    if let [before @ .., last] = words.as_slice()
        && !before.is_empty()
    {
        let said = match *last {
            "start" => Some(Step::Start),
            "fail" => Some(Step::Failed),
            "log" => Some(Step::Log),
            number if number.bytes().all(|c| c.is_ascii_digit()) => {
                let code: u8 = number.parse().map_err(|_| {
                    (StatusCode::BAD_REQUEST, format!("{number} is no exit status: they go from 0 to 255"))
                })?;
                status = Some(code);
                Some(if code == 0 { Step::Ok } else { Step::Failed })
            }
            _ => None,
        };
        if let Some(said) = said {
            (step, name) = (said, before);
        }
    }
    Ok(Asked { job: name.join("/"), step, status, run })
}

fn run_of(query: &str) -> Result<Option<String>, Refused> {
    let Some(run) = query.split('&').find_map(|pair| pair.strip_prefix("rid=")) else { return Ok(None) };
    let fits = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_');
    if (1..=RUN_MAX).contains(&run.len()) && run.bytes().all(fits) {
        Ok(Some(run.to_owned()))
    } else {
        Err((StatusCode::BAD_REQUEST, "rid is 1 to 64 letters, digits and dashes: rid=$(uuidgen)".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(path: &str) -> Result<(String, Step, Option<u8>, Option<String>), u16> {
        let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
        let read = read(&Method::POST, path, query);
        read.map(|asked| (asked.job, asked.step, asked.status, asked.run)).map_err(|(code, _)| code.as_u16())
    }

    #[test]
    fn an_address_says_job_step_and_run() {
        let run = Some("0f-1".to_owned());
        for (path, job, step, status, rid) in [
            ("/hb/nightly", "nightly", Step::Ok, None, None),
            ("/ping/nightly/", "nightly", Step::Ok, None, None),
            ("/hb/nightly/start?rid=0f-1", "nightly", Step::Start, None, run.clone()),
            ("/hb/nightly/fail?create=1&rid=0f-1", "nightly", Step::Failed, None, run),
            ("/hb/nightly/log", "nightly", Step::Log, None, None),
            ("/hb/nightly/0", "nightly", Step::Ok, Some(0), None),
            ("/hb/nightly/255", "nightly", Step::Failed, Some(255), None),
            ("/hb/srv-1/nightly", "srv-1/nightly", Step::Ok, None, None),
            ("/hb/srv-1/nightly/3", "srv-1/nightly", Step::Failed, Some(3), None),
            ("/hb/start", "start", Step::Ok, None, None),
        ] {
            assert_eq!(asked(path), Ok((job.to_owned(), step, status, rid)), "{path}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused_with_its_reason() {
        for (path, code) in [
            ("/", 404),
            ("/hb/", 404),
            ("/hb//start", 404),
            ("/nightly", 404),
            ("/hb/a/b/c/d", 404),
            ("/hb/nightly/256", 400),
            ("/hb/nightly?rid=", 400),
            ("/hb/nightly?rid=a%20b", 400),
        ] {
            assert_eq!(asked(path), Err(code), "{path}");
        }
        assert_eq!(read(&Method::DELETE, "/hb/nightly", None).unwrap_err().0, StatusCode::METHOD_NOT_ALLOWED);
    }
}
