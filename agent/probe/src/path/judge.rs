//! Where the way out ends: a pure function of what was seen at each step.
//!
//! What answers proves every step before it: a gateway that takes no echoes is not to blame while an anchor answers. A
//! step of which nothing is known is never blamed, and silence counts only where an answer may be expected; whoever
//! collects the inputs says `Unknown` of a step that never answered.

use upheld_model::Culprit;

/// What is known of one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Answer {
    /// It answered.
    Yes,
    /// It was asked, has answered before, and did not.
    No,
    /// It was not asked, may not be asked, or nobody knows whether it ever answers.
    Unknown,
}

/// What was seen, step by step, from this host outwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    /// Whether this host's port has carrier.
    pub(super) link: Answer,
    /// Whether the gateway's hardware address is known: its neighbour entry.
    pub(super) neighbour: Answer,
    /// Whether any other device of the local network answers.
    pub(super) lan: Answer,
    /// The gateway's echo.
    pub(super) gateway: Answer,
    /// The first router beyond the gateway.
    pub(super) hop: Answer,
    /// The resolver.
    pub(super) resolver: Answer,
    /// Hosts far away.
    pub(super) anchors: Vec<Answer>,
    /// The collector.
    pub(super) collector: Answer,
    /// Whether the collector lies beyond the gateway.
    pub(super) is_collector_beyond: bool,
}

/// What that amounts to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Verdict {
    /// Nothing that was asked is missing.
    Ok,
    /// The way ends here.
    Ends(Culprit),
    /// Some of what lies beyond the provider does not answer: a way round is broken, or that host itself.
    Partly,
    /// Nobody can say.
    Unknown,
}

impl Verdict {
    /// The word under which it is sent.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Ends(culprit) => culprit.as_str(),
            Self::Partly => Culprit::IspRouting.as_str(),
            Self::Unknown => "unknown",
        }
    }
}

/// The verdict of PROBES 6.
pub(super) fn verdict(seen: &Seen) -> Verdict {
    let far_collector = if seen.is_collector_beyond { seen.collector } else { Answer::Unknown };
    let far = || seen.anchors.iter().copied().chain([far_collector]);
    let is_out = seen.hop == Answer::Yes || far().any(|answer| answer == Answer::Yes);
    if is_out { beyond(seen, far_collector) } else { inside(seen, far_collector) }
}

/// Nothing beyond the gateway answers.
fn inside(seen: &Seen, far_collector: Answer) -> Verdict {
    if seen.link == Answer::No {
        return Verdict::Ends(Culprit::OwnLink);
    }
    match (seen.gateway, seen.lan, seen.neighbour) {
        (Answer::No, Answer::Yes, _) => return Verdict::Ends(Culprit::Gateway),
        (Answer::No, Answer::No, _) | (Answer::No | Answer::Unknown, Answer::Unknown, Answer::No) => {
            return Verdict::Ends(Culprit::Switch);
        }
        (Answer::No, Answer::Unknown, Answer::Yes | Answer::Unknown) => return Verdict::Ends(Culprit::Gateway),
        // Without an echo, only that it has a hardware address is known of it.
        (Answer::Unknown, _, _) => return Verdict::Unknown,
        (Answer::Yes, _, _) => {}
    }
    let are_all_silent = !seen.anchors.is_empty() && seen.anchors.iter().all(|anchor| *anchor == Answer::No);
    match (seen.hop, seen.resolver, far_collector) {
        (Answer::No, _, _) => Verdict::Ends(Culprit::IspAccess),
        _ if are_all_silent => Verdict::Ends(Culprit::IspAccess),
        (_, Answer::No, _) => Verdict::Ends(Culprit::Dns),
        // One host far away is silent: that may be itself, or all of the way to it.
        _ if far_collector == Answer::No || seen.anchors.contains(&Answer::No) => Verdict::Unknown,
        _ => Verdict::Ok,
    }
}

/// Something beyond the gateway answers.
fn beyond(seen: &Seen, far_collector: Answer) -> Verdict {
    let is_silent = |anchor: &Answer| *anchor == Answer::No;
    let does_any_answer = seen.anchors.contains(&Answer::Yes) || far_collector == Answer::Yes;
    if !does_any_answer && !seen.anchors.is_empty() && seen.anchors.iter().all(is_silent) {
        return Verdict::Ends(Culprit::IspRouting);
    }
    if seen.resolver == Answer::No {
        return Verdict::Ends(Culprit::Dns);
    }
    if seen.anchors.iter().any(is_silent) {
        return Verdict::Partly;
    }
    match (far_collector, seen.anchors.contains(&Answer::Yes)) {
        (Answer::No, true) => Verdict::Ends(Culprit::Collector),
        // Beyond the provider's first router only the collector was asked.
        (Answer::No, false) => Verdict::Unknown,
        (Answer::Yes | Answer::Unknown, _) => Verdict::Ok,
    }
}

#[cfg(test)]
mod tests {
    use Answer::{No, Unknown, Yes};

    use super::*;

    #[test]
    fn each_row_of_the_table_has_its_verdict() {
        let whole = whole();
        let ends = Verdict::Ends;
        // Whatever lies behind a step that fails fails with it.
        let no_collector = Seen { collector: No, ..whole.clone() };
        let no_anchors = Seen { anchors: vec![No, No], ..no_collector };
        let no_resolver = Seen { resolver: No, ..no_anchors.clone() };
        let no_hop = Seen { hop: No, ..no_resolver.clone() };
        let no_gateway = Seen { gateway: No, ..no_hop.clone() };
        let no_lan = Seen { lan: No, ..no_gateway.clone() };
        let no_arp = Seen { neighbour: No, lan: Unknown, ..no_gateway.clone() };
        let no_link = Seen { link: No, ..no_lan.clone() };
        for (seen, verdict) in [
            (&whole, Verdict::Ok),
            (&no_collector, ends(Culprit::Collector)),
            (&Seen { anchors: vec![Yes, No], ..whole.clone() }, Verdict::Partly),
            (&Seen { resolver: No, ..whole.clone() }, ends(Culprit::Dns)),
            (&no_anchors, ends(Culprit::IspRouting)),
            (&no_resolver, ends(Culprit::IspRouting)),
            (&no_hop, ends(Culprit::IspAccess)),
            (&no_gateway, ends(Culprit::Gateway)),
            (&Seen { lan: Unknown, ..no_gateway.clone() }, ends(Culprit::Gateway)),
            (&no_lan, ends(Culprit::Switch)),
            (&no_arp, ends(Culprit::Switch)),
            (&Seen { lan: Yes, ..no_arp.clone() }, ends(Culprit::Gateway)),
            (&no_link, ends(Culprit::OwnLink)),
        ] {
            assert_eq!(super::verdict(seen), verdict, "{seen:?}");
        }
    }

    #[test]
    fn what_is_not_known_is_not_guessed() {
        let nothing = Seen {
            link: Unknown,
            neighbour: Unknown,
            lan: Unknown,
            gateway: Unknown,
            hop: Unknown,
            resolver: Unknown,
            anchors: vec![],
            collector: Unknown,
            is_collector_beyond: true,
        };
        assert_eq!(verdict(&nothing), Verdict::Unknown);
        let gateway = Seen { link: Yes, gateway: Yes, ..nothing };
        assert_eq!(verdict(&gateway), Verdict::Ok, "nothing that was asked is missing");
        let collector = Seen { collector: No, ..gateway.clone() };
        assert_eq!(verdict(&collector), Verdict::Unknown, "the provider, or the collector");
        assert_eq!(verdict(&Seen { hop: Yes, ..collector }), Verdict::Unknown);
        let here = Seen { is_collector_beyond: false, collector: No, ..gateway };
        assert_eq!(verdict(&here), Verdict::Ok, "a collector in the house tells nothing of the way out");
        let quiet = Seen { gateway: No, lan: No, neighbour: No, hop: No, ..whole() };
        assert_eq!(verdict(&quiet), Verdict::Ok, "steps that take no echoes, before anchors that answer");
    }

    #[test]
    fn over_all_inputs_a_better_answer_never_moves_the_blame_nearer() {
        let mut count = 0_u32;
        for seen in all() {
            let before = verdict(&seen);
            for better in improved(&seen) {
                let after = verdict(&better);
                count += 1;
                if let (Some(before), Some(after)) = (distance(before), distance(after)) {
                    assert!(before <= after, "{seen:?} {before}\n{better:?} {after}");
                }
            }
        }
        assert!(count > 100_000, "{count}");
    }

    #[test]
    fn over_all_inputs_nobody_is_blamed_who_answers_or_before_somebody_who_does() {
        for seen in all() {
            let Verdict::Ends(culprit) = verdict(&seen) else { continue };
            let is_far = seen.anchors.contains(&Yes) || (seen.collector == Yes && seen.is_collector_beyond);
            let answers = match culprit {
                Culprit::OwnLink => seen.link != No || seen.hop == Yes || is_far,
                Culprit::Switch => seen.lan == Yes || seen.gateway == Yes || seen.hop == Yes || is_far,
                Culprit::Gateway => seen.gateway == Yes || seen.hop == Yes || is_far,
                Culprit::IspAccess => seen.hop == Yes || is_far,
                Culprit::IspRouting => is_far,
                Culprit::Dns => seen.resolver != No,
                Culprit::Collector => seen.collector != No || !seen.anchors.contains(&Yes),
            };
            assert!(!answers, "{culprit} {seen:?}");
        }
    }

    fn whole() -> Seen {
        Seen {
            link: Yes,
            neighbour: Yes,
            lan: Yes,
            gateway: Yes,
            hop: Yes,
            resolver: Yes,
            anchors: vec![Yes, Yes],
            collector: Yes,
            is_collector_beyond: true,
        }
    }

    /// How far out the way is seen to be whole.
    fn distance(verdict: Verdict) -> Option<u8> {
        match verdict {
            Verdict::Ends(Culprit::OwnLink) => Some(0),
            Verdict::Ends(Culprit::Switch) => Some(1),
            Verdict::Ends(Culprit::Gateway) => Some(2),
            Verdict::Ends(Culprit::IspAccess) => Some(3),
            Verdict::Ends(Culprit::IspRouting) => Some(4),
            Verdict::Ends(Culprit::Dns) => Some(5),
            Verdict::Partly => Some(6),
            Verdict::Ends(Culprit::Collector) => Some(7),
            Verdict::Ok => Some(8),
            Verdict::Unknown => None,
        }
    }

    /// Every input there is, with up to two anchors.
    fn all() -> impl Iterator<Item = Seen> {
        const EACH: [Answer; 3] = [Yes, No, Unknown];
        (0..3_usize.pow(9) * 3 * 2).map(|number| {
            let mut left = number;
            let mut next = |of: usize| {
                let digit = left % of;
                left /= of;
                digit
            };
            let mut answer = || EACH[next(3)];
            let (link, neighbour, lan, gateway) = (answer(), answer(), answer(), answer());
            let (hop, resolver, collector, first, second) = (answer(), answer(), answer(), answer(), answer());
            let anchors = [first, second][..next(3)].to_vec();
            let is_collector_beyond = next(2) == 1;
            Seen { link, neighbour, lan, gateway, hop, resolver, anchors, collector, is_collector_beyond }
        })
    }

    /// The same with one answer more.
    fn improved(seen: &Seen) -> Vec<Seen> {
        let mut all = Vec::new();
        let fields: [fn(&mut Seen) -> &mut Answer; 7] = [
            |seen| &mut seen.link,
            |seen| &mut seen.neighbour,
            |seen| &mut seen.lan,
            |seen| &mut seen.gateway,
            |seen| &mut seen.hop,
            |seen| &mut seen.resolver,
            |seen| &mut seen.collector,
        ];
        for field in fields {
            let mut better = seen.clone();
            if std::mem::replace(field(&mut better), Yes) == No {
                all.push(better);
            }
        }
        for at in 0..seen.anchors.len() {
            let mut better = seen.clone();
            if std::mem::replace(&mut better.anchors[at], Yes) == No {
                all.push(better);
            }
        }
        all
    }
}
