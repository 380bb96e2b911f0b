//! The contrast of every colour that has a name, computed from the stylesheet, in light and dark (UX 2.8).

use std::{collections::BTreeMap, path::Path};

/// Text needs this much.
const TEXT: f64 = 4.5;
/// What only shapes are drawn with needs this much.
const GRAPHIC: f64 = 3.0;

/// The colours of text, and those of the grounds on which any of them may stand.
const TEXTS: &[&str] = &["ink", "mute", "link", "ok", "warn", "bad", "pause"];
const GROUNDS: &[&str] = &["bg", "panel", "soft", "cov", "warn-bg", "bad-bg"];
/// Text on a ground of its own.
const PAIRS: &[(&str, &str)] = &[("btn-ink", "btn")];
/// Shapes that carry a state, on the grounds on which they are drawn.
const GRAPHICS: &[(&str, &[&str])] = &[
    ("ok-fill", &["panel", "bg"]),
    ("warn-fill", &["panel", "cov"]),
    ("bad-fill", &["panel", "cov", "bg"]),
    ("pause-fill", &["panel", "cov"]),
    // The frame of a field is how one sees that it is one.
    ("mute", &["panel", "bg"]),
];
/// Below the bound by choice, each with its reason.
const EXCEPTIONS: &[(&str, &str)] = &[
    ("line", "a rule between things that space sets apart already"),
    ("soft", "the ground of what has the focus of a row; the words on it are held above"),
    ("cov", "covered hours behind a plot; the table beside it says each of them"),
];
/// The good bars are drawn in `ok-fill` at this share, so that what is worse stands out: state is also in text, height and
/// table. Never paler than this.
const PALE_UP: (f64, f64) = (0.55, 1.5);

#[test]
fn every_named_colour_can_be_read_in_light_and_dark() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../collector/web/assets/app.css");
    let style = std::fs::read_to_string(path).expect("the stylesheet");
    let light = tokens(&style, 0);
    let dark_at = style.find("@media (prefers-color-scheme: dark)").expect("a dark theme");
    let dark = tokens(&style, dark_at);
    assert_eq!(light.keys().collect::<Vec<_>>(), dark.keys().collect::<Vec<_>>(), "each colour has both themes");
    assert_eq!(judge(&light), Vec::<String>::new(), "light");
    assert_eq!(judge(&dark), Vec::<String>::new(), "dark");
    let of = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    let mut held: Vec<String> = [of(TEXTS), of(GROUNDS)].concat();
    held.extend(PAIRS.iter().flat_map(|(text, ground)| of(&[text, ground])));
    held.extend(GRAPHICS.iter().map(|(name, _)| (*name).to_owned()));
    held.extend(EXCEPTIONS.iter().map(|(name, _)| (*name).to_owned()));
    for name in light.keys() {
        assert!(held.contains(name), "--{name} is held by nothing: say here what it is for");
    }
    // What finds nothing must be seen to find something.
    let pale = BTreeMap::from_iter(light.into_iter().map(|(name, colour)| match name.as_str() {
        "mute" => (name, [0xAA; 3]),
        _ => (name, colour),
    }));
    assert!(judge(&pale).len() >= 3, "{:?}", judge(&pale));
}

/// Every pair that is below its bound.
fn judge(colours: &BTreeMap<String, [u8; 3]>) -> Vec<String> {
    let mut faults = Vec::new();
    let mut hold = |one: &str, other: &str, least: f64| {
        let found = contrast(luminance(colours[one]), luminance(colours[other]));
        if found < least {
            faults.push(format!("--{one} on --{other}: {found:.2}, needs {least}"));
        }
    };
    for text in TEXTS {
        GROUNDS.iter().for_each(|ground| hold(text, ground, TEXT));
    }
    PAIRS.iter().for_each(|(text, ground)| hold(text, ground, TEXT));
    for (graphic, grounds) in GRAPHICS {
        grounds.iter().for_each(|ground| hold(graphic, ground, GRAPHIC));
    }
    let (share, least) = PALE_UP;
    let mixed = [0, 1, 2].map(|part| {
        let (up, ground) = (f64::from(colours["ok-fill"][part]), f64::from(colours["panel"][part]));
        (up * share + ground * (1.0 - share)) / 255.0
    });
    let pale = contrast(luminance_of(mixed), luminance(colours["panel"]));
    if pale < least {
        faults.push(format!("the pale bars of what is up: {pale:.2}, never below {least}"));
    }
    faults
}

/// The custom properties of the first `:root` behind a place, those that are colours.
fn tokens(style: &str, from: usize) -> BTreeMap<String, [u8; 3]> {
    let rest = &style[from..];
    let (_, block) = rest.split_once(":root {").expect("a root");
    let block = &block[..block.find('}').expect("its end")];
    let declared = block.split(';').filter_map(|line| line.split_once(':'));
    let named =
        declared.filter_map(|(name, value)| Some((name.rsplit_once("--")?.1.trim().to_owned(), hex(value.trim())?)));
    named.collect()
}

fn hex(text: &str) -> Option<[u8; 3]> {
    let digits = text.strip_prefix('#')?;
    let whole = if digits.len() == 3 { digits.chars().flat_map(|c| [c, c]).collect() } else { digits.to_owned() };
    let part = |at: usize| u8::from_str_radix(whole.get(at..at + 2)?, 16).ok();
    Some([part(0)?, part(2)?, part(4)?])
}

fn luminance(colour: [u8; 3]) -> f64 {
    luminance_of(colour.map(|part| f64::from(part) / 255.0))
}

/// Relative luminance (WCAG 2.2).
fn luminance_of(colour: [f64; 3]) -> f64 {
    let linear = colour.map(|part| if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) });
    0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
}

fn contrast(one: f64, other: f64) -> f64 {
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}
