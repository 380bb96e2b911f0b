//! Tokens for several hosts of a site (SECURITY 11): so many uses, so many days, from named networks; each host waits
//! for a person unless the token's rule approves it. And what is common to all tokens: their names, the list of those
//! that are open, and taking one back.

use std::{fmt, net::IpAddr, str::FromStr};

use ipnet::IpNet;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;
use upheld_model::{ClientId, Digest, SiteId};
use upheld_store::site_tokens::SiteTokenRow;

use super::{NewToken, TokenError};
use crate::{Actor, Desk, DeskError, Scope, audit, case::text, clock, random};

/// The most hosts that one site token lets in.
pub const USES_MAX: u32 = 500;
/// The longest that a site token lives.
pub const SITE_TOKEN_TTL_MAX: SignedDuration = SignedDuration::from_hours(14 * 24);
/// Site tokens that may be open at once.
const OPEN_MAX: usize = 100;
/// Networks, or parts of a rule, that one token may name.
const PARTS_MAX: usize = 32;

/// What a site token is good for.
#[derive(Debug, Clone)]
pub struct SiteTokenTerms {
    /// How many hosts it lets in, 1 to [`USES_MAX`].
    pub uses: u32,
    /// How long, at most [`SITE_TOKEN_TTL_MAX`].
    pub ttl: SignedDuration,
    /// From where; at least one.
    pub networks: Vec<Network>,
    /// Which hosts wait for nobody; empty: none.
    pub rule: Vec<RulePart>,
}

/// A network that a token is for: `10.20.0.0/16`, or one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network(IpNet);

/// Part of the rule that approves hosts by themselves. Parts of one kind stand beside each other, and each kind that is
/// named must hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", content = "value", rename_all = "kebab-case")]
pub enum RulePart {
    /// `net:CIDR`: it comes from there.
    Net(Network),
    /// `host:PATTERN`: the name that it says it has; `*` stands for anything.
    Host(String),
}

/// Why a text is no network or no part of a rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotARule(String);

/// A token that can still be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TokenView {
    /// What names it: the first half of its hash, which is worth nothing to a stranger.
    pub name: String,
    /// Whose hosts it lets in.
    pub client: ClientId,
    /// Where they stand.
    pub site: SiteId,
    /// How many hosts it lets in; 1 for a host token.
    pub uses_max: u32,
    /// How many it has let in.
    pub uses: u32,
    /// From which networks; empty for a host token, which is for any.
    pub networks: Vec<String>,
    /// Which hosts wait for nobody; `None` for a host token, whose host never waits.
    pub rule: Option<Vec<String>>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
}

impl Desk {
    /// Makes a site token.
    pub async fn new_site_token(
        &self,
        client: &ClientId,
        site: &SiteId,
        terms: SiteTokenTerms,
        who: &Actor,
        now: Timestamp,
    ) -> Result<NewToken, TokenError> {
        terms.check()?;
        self.place_of_book(client, site).await?;
        let now = clock::stored(now);
        let expires_at = now.saturating_add(terms.ttl).unwrap_or(now);
        let token = random::secret()?;
        let row = SiteTokenRow {
            hash: random::hash(&token),
            client: client.clone(),
            site: site.clone(),
            created_at: now,
            created_by: String::new(),
            expires_at,
            uses_max: terms.uses,
            uses: 0,
            networks: text("networks of a token", &terms.networks)?,
            rule: text("rule of a token", &terms.rule)?,
            revoked_at: None,
        };
        let who = who.clone();
        self.store
            .write("desk.new_site_token", move |tx| {
                let open = tx.site_tokens()?.into_iter().filter(|row| is_open(row, now)).count();
                if open >= OPEN_MAX {
                    return Err(TokenError::TooMany(OPEN_MAX));
                }
                let created_by = who.id(tx)?;
                let detail = json!({
                    "token": name_of(&row.hash), "site": row.site, "ends": expires_at, "uses": row.uses_max,
                    "networks": said(&terms.networks), "rule": said(&terms.rule),
                });
                audit::note(tx, now, &who, Some(&row.client), "token.made", &detail)?;
                tx.insert_site_token(&SiteTokenRow { created_by, ..row }).map_err(TokenError::from)
            })
            .await?;
        Ok(NewToken { token, issued_at: now, expires_at })
    }

    /// The tokens that can still be used, the newest first.
    pub async fn open_tokens(&self, scope: &Scope, now: Timestamp) -> Result<Vec<TokenView>, DeskError> {
        let scope = scope.clone();
        self.store
            .read("desk.open_tokens", move |tx| {
                let hosts = tx.open_tokens(now)?.into_iter().map(|row| TokenView {
                    name: name_of(&row.hash),
                    client: row.client,
                    site: row.site,
                    uses_max: 1,
                    uses: 0,
                    networks: Vec::new(),
                    rule: None,
                    created_at: row.created_at,
                    expires_at: row.expires_at,
                });
                let mut all: Vec<TokenView> = hosts.collect();
                for row in tx.site_tokens()?.into_iter().filter(|row| is_open(row, now)) {
                    let (networks, rule) = (networks_of(&row)?, rule_of(&row)?);
                    all.push(TokenView {
                        name: name_of(&row.hash),
                        networks: said(&networks),
                        rule: Some(said(&rule)),
                        client: row.client,
                        site: row.site,
                        uses_max: row.uses_max,
                        uses: row.uses,
                        created_at: row.created_at,
                        expires_at: row.expires_at,
                    });
                }
                all.retain(|token| scope.includes(&token.client));
                all.sort_by_key(|token| std::cmp::Reverse(token.created_at));
                Ok::<_, DeskError>(all)
            })
            .await
    }

    /// Takes a token back: nobody is let in by it any more; whom it let in stays. Whether there was one of this name
    /// that could still be used.
    pub async fn revoke_token(&self, name: &str, who: &Actor, now: Timestamp) -> Result<bool, DeskError> {
        let (name, who, now) = (name.to_owned(), who.clone(), clock::stored(now));
        self.store
            .write("desk.revoke_token", move |tx| {
                let hosts = tx.open_tokens(now)?.into_iter().map(|row| (row.hash, row.client, false));
                let sites = tx.site_tokens()?.into_iter().map(|row| (row.hash, row.client, true));
                let Some((hash, client, is_site)) = hosts.chain(sites).find(|(hash, ..)| name_of(hash) == name) else {
                    return Ok(false);
                };
                let did = if is_site { tx.revoke_site_token(&hash, now)? } else { tx.end_token(&hash, now)? };
                if did {
                    audit::note(tx, now, &who, Some(&client), "token.revoked", &json!({ "token": name }))?;
                }
                Ok::<_, DeskError>(did)
            })
            .await
    }
}

impl SiteTokenTerms {
    fn check(&self) -> Result<(), TokenError> {
        if !(1..=USES_MAX).contains(&self.uses) {
            return Err(TokenError::Uses(self.uses));
        }
        if self.ttl < SignedDuration::from_secs(1) || self.ttl > SITE_TOKEN_TTL_MAX {
            return Err(TokenError::SiteTtl(self.ttl));
        }
        if self.networks.is_empty() || self.networks.len() > PARTS_MAX || self.rule.len() > PARTS_MAX {
            return Err(TokenError::Networks(PARTS_MAX));
        }
        Ok(())
    }
}

/// What names a token in lists and in the audit.
pub(crate) fn name_of(hash: &Digest) -> String {
    let digits: String = hash.0[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("t-{digits}")
}

/// Whether a token is for a host at this address.
pub(super) fn includes(networks: &[Network], address: IpAddr) -> bool {
    let address = address.to_canonical();
    networks.iter().any(|network| network.0.contains(&address))
}

/// Whether the rule approves the host; an empty one approves nobody.
pub(super) fn approves(rule: &[RulePart], host: &str, address: IpAddr) -> bool {
    let nets: Vec<Network> = rule.iter().filter_map(RulePart::net).collect();
    let hosts: Vec<&str> = rule.iter().filter_map(RulePart::host).collect();
    let is_of_net = nets.is_empty() || includes(&nets, address);
    let is_of_name = hosts.is_empty() || hosts.iter().any(|pattern| matches(pattern, host));
    !rule.is_empty() && is_of_net && is_of_name
}

pub(super) fn networks_of(row: &SiteTokenRow) -> Result<Vec<Network>, DeskError> {
    serde_json::from_str(&row.networks).map_err(|error| DeskError::unreadable("networks of a token", &error))
}

pub(super) fn rule_of(row: &SiteTokenRow) -> Result<Vec<RulePart>, DeskError> {
    serde_json::from_str(&row.rule).map_err(|error| DeskError::unreadable("rule of a token", &error))
}

fn is_open(row: &SiteTokenRow, now: Timestamp) -> bool {
    row.revoked_at.is_none() && row.expires_at > now && row.uses < row.uses_max
}

fn said<T: fmt::Display>(parts: &[T]) -> Vec<String> {
    parts.iter().map(ToString::to_string).collect()
}

/// Whether a name is of this pattern, capital letters or not: `*` stands for any number of characters.
fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.to_lowercase(), name.to_lowercase());
    let mut parts = pattern.split('*');
    // Splitting gives one part at least.
    let Some(mut rest) = name.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

impl RulePart {
    fn net(&self) -> Option<Network> {
        match self {
            Self::Net(network) => Some(*network),
            Self::Host(_) => None,
        }
    }

    fn host(&self) -> Option<&str> {
        match self {
            Self::Host(pattern) => Some(pattern),
            Self::Net(_) => None,
        }
    }
}

impl FromStr for Network {
    type Err = NotARule;

    fn from_str(text: &str) -> Result<Self, NotARule> {
        let net =
            match text.parse::<IpNet>() {
                Ok(net) => net,
                Err(_) => IpNet::from(text.parse::<IpAddr>().map_err(|_| {
                    NotARule(format!("{text:?} is no network: write it as 10.20.0.0/16 or 2001:db8::/32"))
                })?),
            };
        if net.prefix_len() == 0 {
            return Err(NotARule(format!("{text} is everywhere: name the networks that the site's hosts come from")));
        }
        Ok(Self(net.trunc()))
    }
}

impl FromStr for RulePart {
    type Err = NotARule;

    fn from_str(text: &str) -> Result<Self, NotARule> {
        match text.split_once(':') {
            Some(("net", network)) => network.parse().map(Self::Net),
            Some(("host", pattern)) if !pattern.is_empty() && pattern.len() <= 255 => {
                Ok(Self::Host(pattern.to_owned()))
            }
            _ => Err(NotARule(format!("{text:?} is no rule: write net:10.20.0.0/24 or host:nvr-*"))),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for RulePart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Net(network) => write!(f, "net:{network}"),
            Self::Host(pattern) => write!(f, "host:{pattern}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(texts: &[&str]) -> Vec<RulePart> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn at(address: &str) -> IpAddr {
        address.parse().unwrap()
    }

    #[test]
    fn a_rule_approves_when_each_kind_that_it_names_holds() {
        let rule = parts(&["net:10.20.0.0/24", "net:10.20.9.1", "host:nvr-*", "host:srv-1"]);
        for (host, address, approved) in [
            ("nvr-07", "10.20.0.9", true),
            ("NVR-07", "::ffff:10.20.0.9", true),
            ("srv-1", "10.20.9.1", true),
            ("srv-11", "10.20.9.1", false),
            ("nvr-07", "10.20.1.9", false),
            ("laptop", "10.20.0.9", false),
        ] {
            assert_eq!(approves(&rule, host, at(address)), approved, "{host} at {address}");
        }
        assert!(!approves(&[], "nvr-07", at("10.20.0.9")), "no rule approves nobody");
    }

    #[test]
    fn a_star_stands_for_any_number_of_characters() {
        for (pattern, name, fits) in [
            ("*", "", true),
            ("a*", "a", true),
            ("a*a", "a", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("ab", "abc", false),
        ] {
            assert_eq!(matches(pattern, name), fits, "{pattern} {name}");
        }
    }

    #[test]
    fn everywhere_is_no_network_and_nonsense_is_no_rule() {
        for bad in ["0.0.0.0/0", "::/0", "10.20.0.0/33", "north", ""] {
            assert!(bad.parse::<Network>().is_err(), "{bad}");
        }
        for bad in ["10.20.0.0/24", "host:", "mac:00", "net:0.0.0.0/0"] {
            assert!(bad.parse::<RulePart>().is_err(), "{bad}");
        }
        assert_eq!("10.20.3.4/16".parse::<Network>().unwrap().to_string(), "10.20.0.0/16");
    }
}
