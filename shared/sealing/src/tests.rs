use getrandom::SysRng;
use proptest::prelude::*;
use rand_core::UnwrapErr;

use super::*;

fn key() -> SealingKey {
    SealingKey::generate(&mut UnwrapErr(SysRng))
}

/// Four ids of a purpose.
#[derive(Debug, Clone, PartialEq)]
struct Ids(ClientId, SiteId, AgentId, SecretName);

impl Ids {
    fn of(texts: [&str; 4]) -> Self {
        let [client, site, agent, name] = texts;
        Self(client.parse().unwrap(), site.parse().unwrap(), agent.parse().unwrap(), name.parse().unwrap())
    }

    fn purpose(&self) -> Purpose<'_> {
        Purpose { client: &self.0, site: &self.1, agent: &self.2, name: &self.3 }
    }
}

fn seal_to(key: &SealingKey, ids: &Ids, value: &str) -> SealedBox {
    seal(&key.public(), ids.purpose(), value, &mut UnwrapErr(SysRng)).unwrap()
}

fn ids() -> impl Strategy<Value = Ids> {
    // Few letters and the characters between, so that wrong joins would meet.
    let id = || "[ab][ab.-]{0,2}";
    (id(), id(), id(), id()).prop_map(|(client, site, agent, name)| Ids::of([&client, &site, &agent, &name]))
}

proptest! {
    #[test]
    fn a_box_opens_for_its_agent_site_and_name_alone(made in ids(), asked in ids(), value in "[ -~é]{1,80}") {
        let (right, wrong) = (key(), key());
        let sealed = seal_to(&right, &made, &value);
        prop_assert!(!sealed.as_str().contains(&value) || value.len() < 8);
        prop_assert_eq!(&*open(&right, made.purpose(), &sealed).unwrap(), &value);
        prop_assert_eq!(open(&wrong, made.purpose(), &sealed), Err(OpenError));
        prop_assert_eq!(open(&right, asked.purpose(), &sealed).is_ok(), made == asked);
    }

    #[test]
    fn a_box_that_was_changed_anywhere_or_cut_does_not_open(at in 0usize..200, cut in 0usize..200, value in "[a-z]{1,40}") {
        let (key, ids) = (key(), Ids::of(["acme", "plant", "a-1", "nvr"]));
        let sealed = seal_to(&key, &ids, &value);
        let mut digits = sealed.as_str().to_owned().into_bytes();
        let at = at % digits.len();
        digits[at] = if digits[at] == b'0' { b'1' } else { b'0' };
        let changed = SealedBox::from_text(String::from_utf8(digits).unwrap());
        prop_assert_eq!(open(&key, ids.purpose(), &changed), Err(OpenError));
        let short = sealed.as_str()[..cut % sealed.as_str().len()].to_owned();
        prop_assert_eq!(open(&key, ids.purpose(), &SealedBox::from_text(short)), Err(OpenError));
    }

    #[test]
    fn any_text_in_a_boxs_place_is_refused(text in "\\PC{0,300}") {
        let ids = Ids::of(["acme", "plant", "a-1", "nvr"]);
        prop_assert_eq!(open(&key(), ids.purpose(), &SealedBox::from_text(text)), Err(OpenError));
    }
}

#[test]
fn two_boxes_of_one_value_differ() {
    let (key, ids) = (key(), Ids::of(["acme", "plant", "a-1", "nvr"]));
    assert_ne!(seal_to(&key, &ids, "same"), seal_to(&key, &ids, "same"));
}

#[test]
fn keys_survive_their_text_and_the_private_one_does_not_print() {
    let made = key();
    let kept = made.to_text();
    assert_eq!(kept.len(), 64);
    assert_eq!(SealingKey::from_text(&format!("{}\n", *kept)).unwrap().public(), made.public());
    assert_eq!(made.public().to_string().parse::<PublicKey>().unwrap(), made.public());
    assert_eq!(format!("{made:?}"), "SealingKey(REDACTED)");
    for bad in ["", "zz", "00", &"g".repeat(64), &"0".repeat(63)] {
        assert!(SealingKey::from_text(bad).is_err() && bad.parse::<PublicKey>().is_err(), "{bad:?}");
    }
}

#[test]
fn a_key_to_which_nothing_can_be_sealed_is_an_error() {
    let ids = Ids::of(["acme", "plant", "a-1", "nvr"]);
    let zero: PublicKey = "0".repeat(64).parse().unwrap();
    assert_eq!(seal(&zero, ids.purpose(), "x", &mut UnwrapErr(SysRng)), Err(SealError));
}

#[test]
fn a_secret_is_one_line_of_bounded_length() {
    assert_eq!(check_value("pä ss:word"), Ok(()));
    assert_eq!(check_value(""), Err(ValueError::Empty));
    assert_eq!(check_value("a\nb"), Err(ValueError::Control));
    assert_eq!(check_value("a\0"), Err(ValueError::Control));
    assert_eq!(check_value(&"x".repeat(VALUE_BYTES_MAX + 1)), Err(ValueError::TooLong));
}
