//! Every mistake has its words: file, line, the text and a caret, and what to write instead.

use std::collections::BTreeSet;

use jiff::civil::date;
use upheld_agreement::book::{Book, Code, Files, Severity};

mod common;

const PROVIDER: &str = "provider.toml";
const GOLD: &str = "plans/gold.toml";
const BUSINESS: &str = "calendars/business.toml";
const CATALOGUE: &str = "catalogue.toml";
const SSA: &str = "clients/northgate/ssa.toml";
const CLIENT: &str = "clients/northgate/client.toml";
const SITE: &str = "clients/northgate/sites/plant-2.toml";

/// A name, the edits `(path, from, to)` that make the mistake, and the codes that it gives.
type Case = (&'static str, Edits, &'static [Code]);

type Edits = &'static [(&'static str, &'static str, &'static str)];

const CASES: &[Case] = &[
    ("syntax", &[(GOLD, "within = \"4h\"", "within = 4h")], &[Code::Syntax]),
    ("name", &[(SITE, "id = \"sw-4\"", "id = \"sw 4\"")], &[Code::BadName, Code::NoSuchThing]),
    ("unknown-key", &[(GOLD, "calendar = \"business\"", "calender = \"business\"")], &[Code::UnknownKey]),
    ("unknown-key-not-near", &[(PROVIDER, "[retention]", "[retention]\nxyzzy = 1")], &[Code::UnknownKey]),
    ("facts-too-short", &[(PROVIDER, "facts = \"7y\"", "facts = \"90d\"")], &[Code::BadValue]),
    ("samples-too-short", &[(PROVIDER, "samples = \"30d\"", "samples = \"6d\"")], &[Code::BadValue]),
    (
        "look-up-without-its-place",
        &[(
            PROVIDER,
            "secret = \"desk-webhook\"",
            "secret = \"desk-webhook\", look_up = \"https://tickets.example.test/api?open=1\"",
        )],
        &[Code::BadValue],
    ),
    (
        "look-up-behind-the-hash",
        &[(
            PROVIDER,
            "secret = \"desk-webhook\"",
            "secret = \"desk-webhook\", look_up = \"https://tickets.example.test/#{reference}\"",
        )],
        &[Code::BadValue],
    ),
    (
        "look-up-elsewhere",
        &[(
            PROVIDER,
            "secret = \"desk-webhook\"",
            "secret = \"desk-webhook\", look_up = \"https://api.example.test/?ref={reference}\"",
        )],
        &[Code::BadValue],
    ),
    ("missing-key", &[(GOLD, "stage = \"on-site\"", "")], &[Code::MissingKey]),
    ("wrong-type", &[(GOLD, "within = \"4h\"", "within = 4")], &[Code::WrongType]),
    ("duration-without-unit", &[(GOLD, "within = \"4h\"", "within = \"4\"")], &[Code::BadValue]),
    ("duration-in-days", &[(GOLD, "within = \"16h\"", "within = \"2d\"")], &[Code::BadValue]),
    ("money-without-decimals", &[(SSA, "1850.00/month", "1850/month")], &[Code::BadValue]),
    ("date-in-quotes", &[(SSA, "signed = 2025-12-12", "signed = \"2025-12-12\"")], &[Code::WrongType]),
    (
        "time-without-zone",
        &[(SSA, "effective_from = 2026-11-03", "effective_from = 2026-11-03T00:00:00")],
        &[Code::BadValue],
    ),
    ("hours", &[(BUSINESS, "mon = [\"08:00-18:00\"]", "mon = [\"8-18\"]")], &[Code::BadValue]),
    ("unknown-word", &[(GOLD, "stage = \"resolve\"", "stage = \"resolv\"")], &[Code::UnknownWord]),
    ("unknown-kind-of-mail", &[(CLIENT, "\"opened\", \"restored\"", "\"open\"")], &[Code::UnknownWord]),
    ("mail-of-nothing", &[(CLIENT, "\"opened\", \"restored\"", "")], &[Code::BadValue]),
    ("mail-to-nobody", &[(CLIENT, "owner = \"owner@", "owner = \"")], &[Code::BadValue]),
    ("unknown-zone", &[(SITE, "America/Chicago", "America/Chicgo")], &[Code::UnknownWord]),
    ("unknown-check-kind", &[(SITE, "net.icmp", "net.ping")], &[Code::UnknownWord]),
    ("misspelt-check-kind", &[(SITE, "net.icmp", "cam.rstp")], &[Code::UnknownWord]),
    ("dns-of-no-name", &[(SITE, "kind = \"host\"", "kind = \"net.dns\"")], &[Code::MissingKey]),
    (
        "dns-several",
        &[(
            SITE,
            "kind = \"host\"",
            "kind = \"net.dns\", look_up = \"nvr.example\", record = \"MX\", expect = [\"10.0.0\", \"10.0.0.5\"], prot = 53",
        )],
        &[Code::UnknownWord, Code::BadValue, Code::UnknownKey],
    ),
    (
        "dns-other-family",
        &[(
            SITE,
            "kind = \"host\"",
            "kind = \"net.dns\", look_up = \"a.example\", record = \"AAAA\", expect = \"10.0.0.5\"",
        )],
        &[Code::CheckRefused],
    ),
    ("ntp-bounds", &[(SITE, "kind = \"host\"", "kind = \"net.ntp\", warn = \"10s\"")], &[Code::CheckRefused]),
    (
        "tls-pin",
        &[(SITE, "kind = \"host\"", "kind = \"net.tls\", target = \"10.0.0.1\", pin = \"2f:11:ab\"")],
        &[Code::CheckRefused],
    ),
    (
        "secret-in-the-book",
        &[(SITE, "kind = \"host\"", "kind = \"cam.onvif\", password = \"1234\"")],
        &[Code::SecretInBook],
    ),
    (
        "community-in-the-book",
        &[(SITE, "kind = \"host\"", "kind = \"snmp\", target = \"10.0.0.2\", port = \"7\", community = \"public\"")],
        &[Code::SecretInBook],
    ),
    (
        "snmp-without-its-port",
        &[(SITE, "kind = \"host\"", "kind = \"snmp\", target = \"10.0.0.2\"")],
        &[Code::MissingKey],
    ),
    (
        "snmp-of-two-versions",
        &[(SITE, "kind = \"host\"", "kind = \"ups.snmp\", target = \"10.0.0.2\", auth_secret = \"a\"")],
        &[Code::BadValue],
    ),
    (
        "snmp-word",
        &[(
            SITE,
            "kind = \"host\"",
            "kind = \"ups.snmp\", target = \"10.0.0.2\", user = \"u\", auth_secret = \"a\", privacy_secret = \"b\", auth = \"sha3\"",
        )],
        &[Code::UnknownWord],
    ),
    (
        "snmp-poe-port",
        &[(SITE, "kind = \"host\"", "kind = \"snmp\", target = \"10.0.0.2\", port = \"7\", poe_port = \"7\"")],
        &[Code::CheckRefused],
    ),
    (
        "unbuilt-check-twice",
        &[(SITE, "{ kind = \"host\" },", "{ kind = \"cam.onvif\" }, { kind = \"cam.onvif\" },")],
        &[Code::Twice],
    ),
    ("unbuilt-check-misnamed", &[(SITE, "kind = \"host\"", "kind = \"cam.onvif\", name = \"a b\"")], &[Code::BadName]),
    (
        "login-without-secret",
        &[(SITE, "kind = \"host\"", "kind = \"net.http\", url = \"https://nvr/\", auth = { basic = \"viewer\" }")],
        &[Code::MissingKey],
    ),
    (
        "login-in-clear",
        &[(
            SITE,
            "kind = \"host\"",
            "kind = \"net.http\", url = \"http://10.0.0.9/\", auth = { bearer = \"nvr-api\" }",
        )],
        &[Code::CheckRefused],
    ),
    (
        "login-all-wrong",
        &[(
            SITE,
            "kind = \"host\"",
            "kind = \"net.http\", url = \"https://nvr/\", auth = { basic = \"viewer\", bearer = \"../x\", trust = \"netwrk\", password = \"x\" }",
        )],
        &[Code::BadName, Code::BadValue, Code::UnknownWord, Code::UnknownKey, Code::SecretInBook],
    ),
    ("out-of-bounds", &[(GOLD, "\"75%\"]", "\"175%\"]")], &[Code::OutOfBounds]),
    (
        "after-not-built",
        &[(GOLD, "after = { stage = \"respond\"", "after = { stage = \"acknowledge\"")],
        &[Code::NotBuilt],
    ),
    (
        "update-without-every",
        &[(GOLD, "stage = \"resolve\"", "stage = \"update\"")],
        &[Code::MissingKey, Code::UnknownKey],
    ),
    ("no-such-calendar", &[(GOLD, "calendar = \"business\"", "calendar = \"busness\"")], &[Code::NoSuchThing]),
    ("no-such-plan", &[(SSA, "plan = \"gold\"", "plan = \"golden\"")], &[Code::NoSuchThing]),
    ("rider-as-plan", &[(SSA, "plan = \"gold\"", "plan = \"premium-response\"")], &[Code::NoSuchThing]),
    ("no-such-site", &[(SSA, "sites = [\"plant-2\"]", "sites = [\"plant-3\"]")], &[Code::NoSuchThing]),
    ("no-such-asset", &[(SITE, "powered_by = \"ups-2\"", "powered_by = \"ups-3\"")], &[Code::NoSuchThing]),
    ("no-such-maker", &[(SSA, "example-recorders", "example-recorder")], &[Code::NoSuchThing]),
    ("no-such-distance", &[(SITE, "distance = \"far\"", "distance = \"remote\"")], &[Code::NoSuchThing]),
    ("asset-twice", &[(SITE, "id = \"sw-4\"", "id = \"ups-2\"")], &[Code::Twice, Code::NoSuchThing]),
    ("check-twice", &[(SITE, "{ kind = \"host\" },", "{ kind = \"host\" }, { kind = \"host\" },")], &[Code::Twice]),
    ("never-open", &[("calendars/24x7.toml", "every-day = [\"00:00-24:00\"]", "every-day = []")], &[Code::NeverOpen]),
    (
        "holiday-ends-first",
        &[("holidays/us-2026.toml", "from = \"12:00\"", "from = \"12:00\", to = \"08:00\"")],
        &[Code::BadValue],
    ),
    ("holiday-of-no-age", &[("holidays/us-2026.toml", "date = 2026-11-26", "date = 1726-11-26")], &[Code::BadCalendar]),
    ("no-catch-all", &[(CATALOGUE, "match = {}", "match = { class = \"host\" }")], &[Code::NoCatchAll]),
    ("unreachable", &[(CATALOGUE, "match = { class = \"service\" }", "match = {}")], &[Code::Unreachable]),
    ("circle", &[(SITE, "class = \"ups\"", "class = \"ups\"\nconnected_to = \"sw-4\"")], &[Code::Cycle]),
    (
        "check-too-often",
        &[(SITE, "target = \"10.20.0.4\" }", "target = \"10.20.0.4\", every = \"2d\" }")],
        &[Code::CheckRefused],
    ),
    (
        "versions-out-of-order",
        &[(SSA, "effective_from = 2026-11-03", "effective_from = 2026-01-01")],
        &[Code::VersionOrder],
    ),
    ("version-ends-first", &[(SSA, "until = 2026-12-31", "until = 2025-12-31")], &[Code::EmptyVersion]),
    ("response-after-resolution", &[(GOLD, "within = \"4h\"", "within = \"17h\"")], &[Code::ResponseAfterResolution]),
    ("no-plan", &[(SSA, "plan = \"gold\"", "")], &[Code::NoPlan]),
    (
        "chain-without-first",
        &[(GOLD, "priority = [\"P1\", \"P2\"]\nwithin = \"4h\"", "priority = [\"P1\"]\nwithin = \"4h\"")],
        &[Code::ChainLoop],
    ),
    ("no-such-band", &[(GOLD, "band = \"after-hours\"", "band = \"after-hour\"")], &[Code::NoSuchThing]),
    ("bands-with-a-hole", &[(BUSINESS, "after-hours = \"rest\"", "")], &[Code::BadBands]),
    ("band-never-reached", &[(BUSINESS, "holiday = \"holidays\"", "always = \"rest\"")], &[Code::BadBands]),
    (
        "within-and-by",
        &[(GOLD, "within = \"4h\"", "within = \"4h\"\nby = \"12:00 next business day\"")],
        &[Code::BadValue],
    ),
    ("window-rule", &[(SITE, "FREQ=MONTHLY;BYDAY=2SU", "FREQ=MONTHLY;COUNT=3;BYDAY=2SU")], &[Code::BadValue]),
    ("window-without-rule", &[(SITE, "rrule = \"FREQ=MONTHLY;BYDAY=2SU\"\n", "")], &[Code::MissingKey]),
    ("window-with-offset", &[(SITE, WINDOW, "at = 2026-12-06T02:00:00Z")], &[Code::BadValue]),
    ("window-once-and-again", &[(SITE, WINDOW, "at = 2026-12-06T02:00:00\nrrule = \"FREQ=DAILY\"")], &[Code::BadValue]),
    ("window-too-long", &[(SITE, "for = \"1h\"", "for = \"5w\"")], &[Code::OutOfBounds]),
    (
        "window-on-no-check",
        &[(SITE, "[[maintenance]]", "[[maintenance]]\nchecks = [\"nvr-02/hots\"]")],
        &[Code::NoSuchThing],
    ),
    (
        "commands-and-units-are-names",
        &[(
            SITE,
            r#"  { kind = "service", name = "recorder.service" },"#,
            r#"  { kind = "exec.nagios", command = "/bin/sh -c id" },
  { kind = "exec.nagios", name = "often", command = "check_raid", every = "5s" },
  { kind = "service", unit = "*.service" },"#,
        )],
        &[Code::CheckRefused],
    ),
    (
        "events-are-said-and-bounded",
        &[(
            SITE,
            r#"  { kind = "service", name = "recorder.service" },"#,
            r#"  { kind = "eventlog", channel = "System" },
  { kind = "eventlog", name = "disk", channel = "System", ids = [153, 70000], level = "serious" },
  { kind = "eventlog", name = "once", channel = "System", ids = [153], within = "10s" },"#,
        )],
        &[Code::CheckRefused, Code::OutOfBounds, Code::UnknownWord],
    ),
    (
        "processes-and-logs-are-named",
        &[(
            SITE,
            r#"  { kind = "service", name = "recorder.service" },"#,
            r#"  { kind = "process", process = "/usr/bin/recorder" },
  { kind = "process", name = "few", process = "recorder", at_least = 4, at_most = 2 },
  { kind = "process", name = "memory", process = "recorder", memory_max = "2GB" },
  { kind = "log", log = "/etc/shadow", match = "root" },
  { kind = "log", name = "group", log = "app", match = ["ok", "(error"] },
  { kind = "log", name = "all", log = "app", match = ".*" },
  { kind = "log", name = "never", log = "app", match = "x", severity = "warn", bad_after = 3 },
  { kind = "log", name = "word", log = "app", match = "x", severity = "fatal" },
  { kind = "log", name = "none", log = "app" },
  { kind = "log", name = "short", log = "app", match = "x", within = "5s" },"#,
        )],
        &[Code::CheckRefused, Code::BadValue, Code::UnknownWord, Code::MissingKey],
    ),
];

/// The sample's window of work.
const WINDOW: &str = "rrule = \"FREQ=MONTHLY;BYDAY=2SU\"\nfrom = \"02:00\"";

fn edited(edits: &[(&str, &str, &str)]) -> Files {
    let mut files = common::built();
    for (path, from, to) in edits {
        common::edit(&mut files, path, from, to);
    }
    files
}

#[test]
fn each_mistake_is_said_where_it_stands_with_what_to_do() {
    let mut shown = String::new();
    for (name, edits, expected) in CASES {
        let files = edited(edits);
        let refused = Book::read(&files).err().unwrap_or_else(|| panic!("{name}: the book was read"));
        let codes: BTreeSet<Code> = refused.errors.iter().map(|error| error.code).collect();
        assert_eq!(codes, expected.iter().copied().collect(), "{name}: {refused:#?}");
        shown.push_str(&format!("=== {name}\n"));
        for error in &refused.errors {
            shown.push_str(&error.render_under("book/", &files, false));
            shown.push('\n');
        }
    }
    insta::assert_snapshot!(shown);
}

#[test]
fn warnings_do_not_refuse_a_book() {
    let cases: &[(&str, Edits, Code)] = &[
        ("empty-hours", &[(BUSINESS, "mon = [\"08:00-18:00\"]", "mon = [\"08:00-08:00\"]")], Code::EmptyHours),
        (
            "gap",
            &[(SSA, "until = 2026-12-31", "until = 2026-06-30"), (SSA, "riders =", "until = 2026-12-31\nriders =")],
            Code::NotInForce,
        ),
        ("no-sites", &[(SSA, "sites = [\"plant-2\"]", "sites = []")], Code::NoSites),
    ];
    let mut shown = String::new();
    for (name, edits, code) in cases {
        let files = edited(edits);
        let book = Book::read(&files).unwrap_or_else(|refused| panic!("{name}: {refused}"));
        assert!(book.warnings().iter().any(|warning| warning.code == *code), "{name}");
        for warning in book.warnings() {
            assert_eq!(warning.severity(), Severity::Warning);
            shown.push_str(&format!("=== {name}\n{}\n", warning.render_under("book/", &files, false)));
        }
    }
    insta::assert_snapshot!(shown);
}

#[test]
fn files_that_are_missing_or_misplaced_are_named() {
    let mut files = common::built();
    files.remove("catalogue.toml");
    files.remove("clients/northgate/client.toml");
    for path in
        ["plan/gold.toml", "calendars/us.ics", "clients/northgate/sla.toml", "docs/readme.md", ".git/config.toml"]
    {
        files.insert(path.to_owned(), String::new());
    }
    let refused = Book::read(&files).unwrap_err();
    let shown: Vec<String> = refused.errors.iter().map(|error| error.render(&files, false)).collect();
    insta::assert_snapshot!(shown.join("\n"));
    let codes: BTreeSet<Code> = refused.errors.iter().map(|error| error.code).collect();
    assert_eq!(codes, BTreeSet::from([Code::MissingFile, Code::UnknownFile]));
}

#[test]
fn all_mistakes_of_all_files_are_found_at_once() {
    let files = edited(&[
        (PROVIDER, "currency", "curency"),
        (GOLD, "within = \"4h\"", "withn = \"4h\""),
        (SITE, "net.icmp", "net.imcp"),
        (SSA, "plan = \"gold\"", "plan = \"golf\""),
    ]);
    let refused = Book::read(&files).unwrap_err();
    let found: Vec<_> = refused.errors.iter().map(|error| (error.primary.place.file.to_string(), error.code)).collect();
    for expected in
        [(PROVIDER, Code::UnknownKey), (GOLD, Code::UnknownKey), (SITE, Code::UnknownWord), (SSA, Code::NoSuchThing)]
    {
        assert!(found.contains(&(expected.0.to_owned(), expected.1)), "{found:#?}");
    }
    assert_eq!(found.len(), 4, "{found:#?}");
}

#[test]
fn holidays_that_end_while_coverage_goes_on_are_warned_about_in_time() {
    let open_ended = common::book(&[(SSA, "until = 2026-12-31\n", "")]);
    assert!(open_ended.warnings_on(date(2026, 9, 1)).is_empty());
    let warnings = open_ended.warnings_on(date(2026, 11, 16));
    assert_eq!(warnings.iter().map(|warning| warning.code).collect::<Vec<_>>(), [Code::HolidaysEnd]);
    assert_eq!(open_ended.warnings_on(date(2027, 3, 1)).len(), 1);
    let files = common::built();
    insta::assert_snapshot!(warnings[0].render_under("book/", &files, false));
    let ends_with_them = common::book(&[]);
    assert!(ends_with_them.warnings_on(date(2026, 11, 16)).is_empty());
}

#[test]
fn a_look_up_on_the_webhooks_own_host_is_read() {
    let secret = "secret = \"desk-webhook\"";
    for look_up in [
        "https://tickets.example.test/api/tickets?external_ref={reference}",
        "https://TICKETS.example.test:443/t/{reference}#top",
    ] {
        let with = format!("{secret}, look_up = \"{look_up}\"");
        let mut files = common::built();
        common::edit(&mut files, PROVIDER, secret, &with);
        let book = Book::read(&files).unwrap();
        let read = book.provider.channels.values().find_map(|channel| channel.webhook.as_ref()?.look_up.clone());
        assert_eq!(read.as_deref(), Some(look_up));
    }
}

#[test]
fn every_refusal_of_the_table_is_shown_by_a_test() {
    // Shown by book_limits and book_contradictions, or by the tests of this file that change the files themselves.
    let elsewhere =
        [Code::TooLarge, Code::UnknownFile, Code::MissingFile, Code::MoreMistakes, Code::PlanCircle, Code::NeverDue];
    let shown: BTreeSet<Code> = CASES.iter().flat_map(|(_, _, codes)| codes.iter().copied()).chain(elsewhere).collect();
    let missing: Vec<_> =
        Code::ALL.iter().filter(|code| code.severity() == Severity::Error && !shown.contains(code)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn a_hostile_file_moves_no_cursor() {
    let files = edited(&[(GOLD, "name = \"Gold\"", "name = \"Gold\"\n\"a\\u001b[2Jb\" = 1\n\"x\\u202Ey\" = 2")]);
    for error in Book::read(&files).unwrap_err().errors {
        let rendered = error.render(&files, false);
        assert!(!rendered.contains('\u{1b}') && !rendered.contains('\u{202e}'), "{rendered}");
    }
}

#[test]
fn a_file_cut_anywhere_is_read_or_refused_in_words() {
    let whole = common::built();
    for (path, text) in &whole {
        for cut in (0..text.len()).step_by(37).filter(|&cut| text.is_char_boundary(cut)) {
            let mut files = whole.clone();
            files.insert(path.clone(), format!("{}\u{e9}", &text[..cut]));
            if let Err(refused) = Book::read(&files) {
                assert!(!refused.errors.is_empty(), "{path} cut at {cut}");
                for error in refused.errors.iter().chain(&refused.warnings) {
                    let rendered = error.render(&files, true);
                    assert!(rendered.contains(error.code.as_str()), "{rendered}");
                }
            }
        }
    }
}

#[test]
fn holidays_may_stand_in_an_icalendar_file() {
    let mut files = common::built();
    let list =
        "BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART;VALUE=DATE:20261126\nSUMMARY:Thanksgiving\nEND:VEVENT\nEND:VCALENDAR\n";
    files.insert("holidays/national.ics".to_owned(), list.to_owned());
    common::edit(&mut files, BUSINESS, "holidays = [\"us-2026\"]", "holidays = [\"national\"]");
    let book = Book::read(&files).unwrap();
    let holidays = &book.calendars[&"business".parse().unwrap()].holidays;
    assert_eq!(holidays.iter().map(|day| day.date.as_str()).collect::<Vec<_>>(), ["2026-11-26"]);
    let soon = book.warnings_on("2026-11-01".parse().unwrap());
    assert!(soon.iter().all(|warning| warning.code == Code::HolidaysEnd), "{soon:?}");
    let text = files["holidays/national.ics"].clone();
    files.insert("holidays/us-2026.ics".to_owned(), text);
    assert_eq!(Book::read(&files).unwrap_err().errors[0].code, Code::Twice, "one name, two files");
}
