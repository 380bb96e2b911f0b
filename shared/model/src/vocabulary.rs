//! The closed vocabularies of DETECTION 5: classes of assets, classes and kinds of incidents, causes, edges.

/// A word that is not in a closed vocabulary.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{word:?} is not a known {what}; known are {known}")]
pub struct UnknownWord {
    /// Which vocabulary was asked.
    pub what: &'static str,
    /// The word that was given.
    pub word: String,
    /// All words of that vocabulary, separated by commas.
    pub known: String,
}

/// Defines a closed vocabulary: an enum whose words are the same in the book, in JSON and on the page, with the list
/// of all of them and an error that names them. The crate that uses it depends on serde.
///
/// ```
/// upheld_model::vocabulary!(
///     /// How somebody came.
///     Way, "way", {
///         /// On foot.
///         Foot = "on-foot",
///     }
/// );
/// assert_eq!("on-foot".parse(), Ok(Way::Foot));
/// ```
#[macro_export]
macro_rules! vocabulary {
    ($(#[$doc:meta])* $name:ident, $what:literal, { $($(#[$vdoc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, ::serde::Serialize, ::serde::Deserialize)]
        pub enum $name {
            $($(#[$vdoc])* #[serde(rename = $word)] $variant),+
        }

        impl $name {
            /// Every word of the vocabulary, in the order of its definition.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word as it stands in the book, the wire and the portal.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word),+
                }
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl ::std::str::FromStr for $name {
            type Err = $crate::vocabulary::UnknownWord;

            fn from_str(word: &str) -> Result<Self, $crate::vocabulary::UnknownWord> {
                Self::ALL.iter().copied().find(|known| known.as_str() == word).ok_or_else(|| $crate::vocabulary::UnknownWord {
                    what: $what,
                    word: word.chars().take(80).collect(),
                    known: Self::ALL.iter().map(|known| known.as_str()).collect::<Vec<_>>().join(", "),
                })
            }
        }
    };
}

vocabulary!(
    /// What an asset is.
    AssetClass, "asset class", {
        /// A battery-backed power supply.
        Ups = "ups",
        /// A network switch.
        Switch = "switch",
        /// The site's router to the outside.
        Gateway = "gateway",
        /// The line of an internet provider.
        InternetLink = "internet-link",
        /// A video recorder or its storage host.
        Recorder = "recorder",
        /// A camera.
        Camera = "camera",
        /// A door controller.
        AccessPanel = "access-panel",
        /// A server.
        Server = "server",
        /// A person's computer.
        Workstation = "workstation",
        /// Anything else.
        Other = "other",
    }
);

vocabulary!(
    /// What an incident is about; follows the kind of the check that opened it.
    IncidentClass, "incident class", {
        /// Utility power, UPS, batteries.
        Power = "power",
        /// The network inside the site.
        NetworkLan = "network-lan",
        /// The line to the outside.
        NetworkWan = "network-wan",
        /// A host as a whole.
        Host = "host",
        /// A service on a host.
        Service = "service",
        /// A camera.
        Camera = "camera",
        /// Recording and its retention.
        Recording = "recording",
        /// Access control.
        Access = "access",
        /// Backups.
        Backup = "backup",
        /// Restore tests.
        Restore = "restore",
        /// Temperature, humidity, contacts.
        Environment = "environment",
        /// Clocks.
        TimeSync = "time-sync",
        /// Our own watching.
        Monitoring = "monitoring",
        /// A person's request.
        Request = "request",
    }
);

vocabulary!(
    /// In what way something is wrong.
    IncidentKind, "incident kind", {
        /// It does not work.
        Down = "down",
        /// It works worse than it should.
        Degraded = "degraded",
        /// It fails again and again.
        Unstable = "unstable",
        /// It will fail.
        AtRisk = "at-risk",
        /// It breaks a rule of the agreement.
        Noncompliant = "noncompliant",
        /// It has stopped reporting.
        Silent = "silent",
        /// It has been a little wrong for long.
        Lingering = "lingering",
        /// A person said so.
        Reported = "reported",
    }
);

vocabulary!(
    /// Who or what brought an incident about.
    Cause, "cause", {
        /// The utility's power.
        Utility = "utility",
        /// The internet provider.
        Isp = "isp",
        /// The site's own network.
        SiteLan = "site-lan",
        /// A part.
        Component = "component",
        /// A program.
        Software = "software",
        /// A person at the controls.
        Operator = "operator",
        /// The client.
        Client = "client",
        /// Agreed work.
        Maintenance = "maintenance",
        /// Upheld's own collector.
        Collector = "collector",
        /// Not known yet.
        Undetermined = "undetermined",
    }
);

vocabulary!(
    /// At which step the way out of a site ends: whom to call (PROBES 6). The nearest step first.
    Culprit, "culprit", {
        /// This host's own port has no carrier.
        OwnLink = "own-link",
        /// The port is up, and nothing behind it answers, not even ARP.
        Switch = "switch",
        /// The site's router.
        Gateway = "gateway",
        /// The line from the site's router to the internet provider.
        IspAccess = "isp-access",
        /// The internet provider's own network, or what lies beyond it.
        IspRouting = "isp-routing",
        /// The resolver: names cannot be looked up.
        Dns = "dns",
        /// The collector, which is nobody's fault at the site.
        Collector = "collector",
    }
);

impl Culprit {
    /// The class of an incident of which it is the culprit, wherever the check stands.
    pub fn class(self) -> IncidentClass {
        match self {
            Self::IspAccess | Self::IspRouting => IncidentClass::NetworkWan,
            Self::OwnLink | Self::Switch | Self::Gateway | Self::Dns => IncidentClass::NetworkLan,
            Self::Collector => IncidentClass::Monitoring,
        }
    }

    /// Who or what brought it about, in the words of an incident.
    pub fn cause(self) -> Cause {
        match self {
            Self::IspAccess | Self::IspRouting => Cause::Isp,
            Self::OwnLink | Self::Switch | Self::Gateway => Cause::SiteLan,
            // A resolver may be the site's or its provider's.
            Self::Dns => Cause::Undetermined,
            Self::Collector => Cause::Collector,
        }
    }

    /// What was seen, and so who is to blame: the title of an incident, without addresses.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::OwnLink => "its own network port has no link: the cable, the port, or the switch at its other end",
            Self::Switch => {
                "its port is up, but nothing behind it answers: the switch or its VLAN, or a gateway without power"
            }
            Self::Gateway => "the gateway does not answer, the network before it does: the gateway",
            Self::IspAccess => {
                "the gateway answers, the provider's first router does not: the line to the internet provider"
            }
            Self::IspRouting => "the provider's first router answers, nothing beyond it does: the internet provider",
            Self::Dns => "the way out is whole, the resolver does not answer: names cannot be looked up",
            Self::Collector => "the way out is whole, the collector does not answer: not this site's fault",
        }
    }
}

vocabulary!(
    /// How a host ended before it started (PROBES 4).
    BootEnd, "end of a boot", {
        /// It was shut down as asked.
        Clean = "clean",
        /// The kernel panicked.
        Crash = "crash",
        /// Its supply was on battery last.
        Power = "power",
        /// Without a word: power, a reset, a freeze.
        Unclean = "unclean",
    }
);

vocabulary!(
    /// How one asset depends on another (DETECTION 4).
    EdgeKind, "edge", {
        /// Takes its power from.
        PoweredBy = "powered_by",
        /// Hangs on the port of.
        ConnectedTo = "connected_to",
        /// Reaches the world through.
        RoutedVia = "routed_via",
        /// Is a program or machine on.
        RunsOn = "runs_on",
        /// Writes its pictures to.
        RecordsTo = "records_to",
        /// Is copied by.
        BackedUpBy = "backed_up_by",
    }
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_reads_back_and_json_says_the_same_word() {
        for class in IncidentClass::ALL {
            assert_eq!(class.as_str().parse::<IncidentClass>().unwrap(), *class);
            assert_eq!(serde_json::to_string(class).unwrap(), format!("{:?}", class.as_str()));
        }
    }

    #[test]
    fn an_unknown_word_names_the_known_ones() {
        let error = "router".parse::<AssetClass>().unwrap_err().to_string();
        assert!(error.contains("\"router\"") && error.contains("gateway"), "{error}");
    }
}
