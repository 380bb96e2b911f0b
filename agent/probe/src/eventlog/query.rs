//! Which events Windows is asked for: the part of XPath that its event log understands.

use jiff::Timestamp;
use upheld_model::check::EventLogSpec;

/// The events of a check that were written after a moment, without its text: that part Windows cannot look for.
pub(super) fn of(spec: &EventLogSpec, after: Option<Timestamp>) -> String {
    // No name holds a quote: the check would have been refused.
    let provider = spec.provider.as_ref().map(|provider| format!("Provider[@Name='{provider}']"));
    let ids: Vec<String> = spec.ids.iter().map(|id| format!("EventID={id}")).collect();
    // 0 is "always", which Windows shows as information.
    let level = spec.level.map(|level| match level.number() {
        4 => "(Level=0 or (Level>=1 and Level<=4))".to_owned(),
        number => format!("(Level>=1 and Level<={number})"),
    });
    let ids = (!ids.is_empty()).then(|| format!("({})", ids.join(" or ")));
    let after = after.map(|after| format!("TimeCreated[@SystemTime>'{after}']"));
    let all: Vec<String> = [provider, ids, level, after].into_iter().flatten().collect();
    if all.is_empty() { "*".to_owned() } else { format!("*[System[{}]]", all.join(" and ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_says_what_the_check_says() {
        let query = |more: &str| {
            let text = format!(r#"{{"channel":"System"{more}}}"#);
            of(&serde_json::from_str(&text).unwrap(), None)
        };
        assert_eq!(query(r#","contains":"x""#), "*");
        assert_eq!(
            query(r#","provider":"disk","ids":[7,153],"level":"warning""#),
            "*[System[Provider[@Name='disk'] and (EventID=7 or EventID=153) and (Level>=1 and Level<=3)]]"
        );
        let after = Some("2026-11-16T16:02:03.1234567Z".parse().unwrap());
        let all = of(&serde_json::from_str(r#"{"channel":"System"}"#).unwrap(), after);
        assert_eq!(all, "*[System[TimeCreated[@SystemTime>'2026-11-16T16:02:03.1234567Z']]]");
        assert_eq!(query(r#","level":"information""#), "*[System[(Level=0 or (Level>=1 and Level<=4))]]");
    }
}
