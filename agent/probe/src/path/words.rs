//! The verdict as a sentence: what was seen, and so who is to blame.

use upheld_model::Culprit;

use super::judge::{Answer, Seen, Verdict};

/// What the steps are called.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Names {
    pub(super) interface: String,
    pub(super) gateway: String,
    /// Other devices of the local network that were asked.
    pub(super) lan: Vec<String>,
    pub(super) hop: String,
    pub(super) resolver: String,
    pub(super) anchors: Vec<String>,
    pub(super) collector: String,
    /// What was not asked, and why.
    pub(super) not_asked: Vec<String>,
}

/// One sentence, with what was not asked after it.
pub(super) fn sentence(verdict: Verdict, seen: &Seen, names: &Names) -> String {
    let said = match verdict {
        Verdict::Ok => whole(seen, names),
        Verdict::Ends(culprit) => ends(culprit, seen, names),
        Verdict::Partly => format!(
            "{}, {}: a way beyond the provider, or that host itself",
            silent(&anchors(seen, names, Answer::No)),
            match &far(seen, names)[..] {
                [] => format!("the provider's first router {} does", names.hop),
                far => format!("{} {}", listed(far), if far.len() == 1 { "does" } else { "do" }),
            }
        ),
        Verdict::Unknown => unknown(seen, names),
    };
    if names.not_asked.is_empty() { said } else { format!("{said}. Not asked: {}", names.not_asked.join("; ")) }
}

fn ends(culprit: Culprit, seen: &Seen, names: &Names) -> String {
    let Names { interface, gateway, hop, resolver, collector, .. } = names;
    match culprit {
        Culprit::OwnLink => {
            format!("{interface} has no link: its cable, this host's port, or the port or switch at its other end")
        }
        Culprit::Switch => {
            let all: Vec<String> = [gateway.clone()].into_iter().chain(names.lan.iter().cloned()).collect();
            let silent = if seen.neighbour == Answer::No && seen.lan == Answer::Unknown {
                format!("the gateway {gateway} does not even answer ARP")
            } else {
                silent(&all)
            };
            format!("{interface} has a link, but {silent}: the switch or its VLAN, or a gateway without power")
        }
        Culprit::Gateway if seen.lan == Answer::Yes => {
            format!("the gateway {gateway} does not answer, {} in the same network does: the gateway", names.lan[0])
        }
        Culprit::Gateway => format!("{interface} has a link, but the gateway {gateway} does not answer: the gateway"),
        Culprit::IspAccess => {
            let silent = if seen.hop == Answer::No {
                format!("the provider's first router {hop} does not")
            } else {
                format!("nothing beyond it does ({})", listed(&anchors(seen, names, Answer::No)))
            };
            format!("the gateway {gateway} answers, {silent}: the line to the internet provider")
        }
        Culprit::IspRouting => format!(
            "the provider's first router {hop} answers, {}: the internet provider's network",
            silent(&anchors(seen, names, Answer::No))
        ),
        Culprit::Dns => {
            format!("{}, the resolver {resolver} does not answer: names cannot be looked up", whole(seen, names))
        }
        Culprit::Collector => {
            format!("{}, the collector {collector} does not: the fault is not at this site", whole(seen, names))
        }
    }
}

/// What answers, the farthest of each kind.
fn whole(seen: &Seen, names: &Names) -> String {
    let mut all = Vec::new();
    if seen.gateway == Answer::Yes {
        all.push(format!("the gateway {}", names.gateway));
    }
    if seen.hop == Answer::Yes {
        all.push(format!("the provider's first router {}", names.hop));
    }
    if seen.resolver == Answer::Yes {
        all.push(format!("the resolver {}", names.resolver));
    }
    all.extend(anchors(seen, names, Answer::Yes).into_iter().map(|anchor| format!("the anchor {anchor}")));
    if seen.collector == Answer::Yes {
        all.push(format!("the collector {}", names.collector));
    }
    let verb = if all.len() == 1 { "answers" } else { "answer" };
    format!("{} {verb}", listed(&all))
}

fn unknown(seen: &Seen, names: &Names) -> String {
    if names.gateway.is_empty() {
        return "this host has no default gateway, or it cannot be read here".to_owned();
    }
    match seen.gateway {
        Answer::Yes => format!(
            "the gateway {} answers, {}: with nothing else far away to ask, nobody can say whether that is the way out or \
             the other end; name two anchors in the check",
            names.gateway,
            silent(&[anchors(seen, names, Answer::No), vec![names.collector.clone()]].concat())
        ),
        Answer::No | Answer::Unknown => {
            format!("neither the gateway {} nor anything beyond it was ever heard", names.gateway)
        }
    }
}

fn far(seen: &Seen, names: &Names) -> Vec<String> {
    let collector = (seen.collector == Answer::Yes && seen.is_collector_beyond).then(|| names.collector.clone());
    anchors(seen, names, Answer::Yes).into_iter().chain(collector).collect()
}

fn anchors(seen: &Seen, names: &Names, which: Answer) -> Vec<String> {
    let paired = seen.anchors.iter().zip(&names.anchors);
    paired.filter(|(answer, _)| **answer == which).map(|(_, name)| name.clone()).collect()
}

fn silent(names: &[String]) -> String {
    match names {
        [one] => format!("{one} does not answer"),
        [one, other] => format!("neither {one} nor {other} answers"),
        all => format!("none of {} answers", listed(all)),
    }
}

fn listed(names: &[String]) -> String {
    match names {
        [] => "nothing".to_owned(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use Answer::{No, Unknown, Yes};

    use super::{super::judge::verdict, *};

    #[test]
    fn each_verdict_says_who_is_to_blame_and_what_was_seen() {
        let whole = Seen {
            link: Yes,
            neighbour: Yes,
            lan: Yes,
            gateway: Yes,
            hop: Yes,
            resolver: Yes,
            anchors: vec![Yes, Yes],
            collector: Yes,
            is_collector_beyond: true,
        };
        let no_anchors = Seen { anchors: vec![No, No], collector: No, resolver: No, ..whole };
        let no_hop = Seen { hop: No, ..no_anchors.clone() };
        let no_gateway = Seen { gateway: No, ..no_hop.clone() };
        for (seen, sentence) in [
            (
                whole.clone(),
                "the gateway 10.0.0.1, the provider's first router 100.64.0.1, the resolver 10.0.0.53, the anchor a:443, \
                 the anchor b:443 and the collector c:8443 answer",
            ),
            (
                no_hop.clone(),
                "the gateway 10.0.0.1 answers, the provider's first router 100.64.0.1 does not: the line to the internet \
                 provider",
            ),
            (
                Seen { hop: Unknown, ..no_hop },
                "the gateway 10.0.0.1 answers, nothing beyond it does (a:443 and b:443): the line to the internet provider",
            ),
            (
                no_anchors,
                "the provider's first router 100.64.0.1 answers, neither a:443 nor b:443 answers: the internet provider's \
                 network",
            ),
            (
                no_gateway.clone(),
                "the gateway 10.0.0.1 does not answer, 10.0.0.9 in the same network does: the gateway",
            ),
            (
                Seen { lan: No, ..no_gateway.clone() },
                "eth0 has a link, but neither 10.0.0.1 nor 10.0.0.9 answers: the switch or its VLAN, or a gateway without \
                 power",
            ),
            (
                Seen { lan: Unknown, neighbour: No, ..no_gateway.clone() },
                "eth0 has a link, but the gateway 10.0.0.1 does not even answer ARP: the switch or its VLAN, or a gateway \
                 without power",
            ),
            (
                Seen { link: No, ..no_gateway },
                "eth0 has no link: its cable, this host's port, or the port or switch at its other end",
            ),
            (
                Seen { resolver: No, anchors: vec![Yes, Unknown], collector: Unknown, ..whole.clone() },
                "the gateway 10.0.0.1, the provider's first router 100.64.0.1 and the anchor a:443 answer, the resolver \
                 10.0.0.53 does not answer: names cannot be looked up",
            ),
            (
                Seen { anchors: vec![Yes, No], ..whole.clone() },
                "b:443 does not answer, a:443 and c:8443 do: a way beyond the provider, or that host itself",
            ),
            (
                Seen { collector: No, anchors: vec![], ..whole },
                "the gateway 10.0.0.1 answers, c:8443 does not answer: with nothing else far away to ask, nobody can say \
                 whether that is the way out or the other end; name two anchors in the check",
            ),
        ] {
            assert_eq!(super::sentence(verdict(&seen), &seen, &names()), sentence, "{seen:?}");
        }
    }

    #[test]
    fn what_was_not_asked_is_said() {
        let seen = Seen {
            link: Yes,
            neighbour: Yes,
            lan: Unknown,
            gateway: Yes,
            hop: Unknown,
            resolver: Unknown,
            anchors: vec![],
            collector: Unknown,
            is_collector_beyond: true,
        };
        let names = Names { not_asked: vec!["a:443 is not allowed".to_owned()], ..names() };
        let said = sentence(verdict(&seen), &seen, &names);
        assert_eq!(said, "the gateway 10.0.0.1 answers. Not asked: a:443 is not allowed");
    }

    fn names() -> Names {
        Names {
            interface: "eth0".to_owned(),
            gateway: "10.0.0.1".to_owned(),
            lan: vec!["10.0.0.9".to_owned()],
            hop: "100.64.0.1".to_owned(),
            resolver: "10.0.0.53".to_owned(),
            anchors: vec!["a:443".to_owned(), "b:443".to_owned()],
            collector: "c:8443".to_owned(),
            not_asked: vec![],
        }
    }
}
