//! One event as Windows writes it down: XML of the namespace `http://schemas.microsoft.com/win/2004/08/events/event`.
//!
//! Any program of the host may write into most logs, so nothing of it is trusted: size, depth and number of parts are
//! bounded, entities beyond the five of XML and document types are refused, and what is shown is cut.

use jiff::Timestamp;
use quick_xml::{XmlVersion, events::BytesStart, reader::Reader};

/// Windows' own bound of an event is 64 KiB, which are twice as many bytes at the most in its XML, and some for the frame.
pub(super) const XML_MAX: usize = 256 << 10;
/// An event has `Event/UserData/X/Y`; providers of their own may nest a little more.
const DEPTH_MAX: usize = 16;
/// Elements of one event.
const ELEMENTS_MAX: usize = 2_000;
/// What is kept of the data of an event.
const DATA_MAX: usize = 64;
/// What is kept of one piece of text.
const TEXT_MAX: usize = 4 << 10;

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    /// Who wrote it.
    pub(crate) provider: String,
    /// Its number, which means something together with the provider alone.
    pub(crate) id: u16,
    /// 1 critical, 2 error, 3 warning, 4 information; 0 always.
    pub(crate) level: u8,
    /// When it was written.
    pub(crate) at: Timestamp,
    /// Its data in order, each with its name where it has one.
    pub(crate) data: Vec<(String, String)>,
    /// The sentence for a person, where Windows could make one.
    pub(crate) message: Option<String>,
}

impl Event {
    /// A piece of its data by name.
    pub(crate) fn named(&self, name: &str) -> Option<&str> {
        self.data.iter().find(|(known, _)| known == name).map(|(_, text)| text.as_str())
    }

    /// A piece of its data by place.
    pub(crate) fn nth(&self, place: usize) -> Option<&str> {
        self.data.get(place).map(|(_, text)| text.as_str())
    }

    /// Its text: the sentence, or else its data.
    pub(crate) fn text(&self) -> String {
        let data = || {
            let texts = self.data.iter().map(|(_, text)| text.trim()).filter(|text| !text.is_empty());
            texts.collect::<Vec<_>>().join("; ")
        };
        self.message.clone().filter(|message| !message.trim().is_empty()).unwrap_or_else(data)
    }

    /// The word for its level.
    pub(crate) fn level_word(&self) -> &'static str {
        match self.level {
            1 => "critical",
            2 => "error",
            3 => "warning",
            5 => "verbose",
            _ => "information",
        }
    }
}

/// What stands for an event that cannot be read: it has happened all the same.
pub(super) fn unreadable(why: &str, now: Timestamp) -> Event {
    let data = vec![(String::new(), format!("an event that cannot be read: {why}"))];
    Event { provider: "?".to_owned(), id: 0, level: 0, at: now, data, message: None }
}

/// Where a text of the document belongs.
#[derive(Default)]
enum Part {
    Id,
    Level,
    Data(String),
    Message,
    #[default]
    Other,
}

/// Reads an event; `Err` says what is wrong with it.
pub(crate) fn read(xml: &str) -> Result<Event, &'static str> {
    use quick_xml::events::Event as Xml;
    if xml.len() > XML_MAX {
        return Err("it is too large");
    }
    let mut reader = Reader::from_str(xml);
    let (mut path, mut elements, mut text) = (Vec::<String>::new(), 0_usize, String::new());
    let mut seen = Seen::default();
    loop {
        let next = reader.read_event().map_err(|_| "it is no XML")?;
        match next {
            Xml::Start(start) => {
                elements += 1;
                if path.len() >= DEPTH_MAX || elements > ELEMENTS_MAX {
                    return Err("it has too many parts");
                }
                seen.begins(&path, &start)?;
                path.push(start.local_name().as_ref().to_owned());
                text.clear();
            }
            Xml::Empty(start) => {
                elements += 1;
                if elements > ELEMENTS_MAX {
                    return Err("it has too many parts");
                }
                seen.begins(&path, &start)?;
                seen.part = Part::Other;
            }
            Xml::End(_) => {
                seen.ends(std::mem::take(&mut text));
                path.pop();
                if path.is_empty() {
                    return seen.event();
                }
            }
            Xml::Text(more) => push(&mut text, &more.xml10_content()),
            Xml::CData(more) => push(&mut text, &more.xml10_content()),
            Xml::GeneralRef(reference) => match reference.resolve_char_ref() {
                Ok(Some(character)) => push(&mut text, character.encode_utf8(&mut [0; 4])),
                Ok(None) => push(&mut text, known(&reference.xml10_content()).ok_or("it has an entity of its own")?),
                Err(_) => return Err("it has a character that is none"),
            },
            Xml::DocType(_) => return Err("it has a document type"),
            Xml::Comment(_) | Xml::Decl(_) | Xml::PI(_) => {}
            Xml::Eof => return Err("it ends in the middle"),
        }
    }
}

/// The five entities of XML.
fn known(name: &str) -> Option<&'static str> {
    Some(match name {
        "lt" => "<",
        "gt" => ">",
        "amp" => "&",
        "apos" => "'",
        "quot" => "\"",
        _ => return None,
    })
}

/// Adds to a text that is kept up to its bound.
fn push(text: &mut String, more: &str) {
    let fits = more.floor_char_boundary(TEXT_MAX.saturating_sub(text.len()));
    text.push_str(&more[..fits]);
}

/// What has been read of an event so far.
#[derive(Default)]
struct Seen {
    provider: Option<String>,
    id: Option<u16>,
    level: u8,
    at: Option<Timestamp>,
    data: Vec<(String, String)>,
    message: Option<String>,
    part: Part,
}

impl Seen {
    fn begins(&mut self, path: &[String], start: &BytesStart<'_>) -> Result<(), &'static str> {
        let above: Vec<&str> = path.iter().map(String::as_str).collect();
        self.part = match (above.as_slice(), start.local_name().as_ref()) {
            ([], "Event") => Part::Other,
            ([], _) => return Err("it is no event"),
            (["Event", "System"], "Provider") => {
                self.provider = attribute(start, "Name");
                Part::Other
            }
            (["Event", "System"], "TimeCreated") => {
                self.at = attribute(start, "SystemTime").and_then(|at| at.parse().ok());
                Part::Other
            }
            (["Event", "System"], "EventID") => Part::Id,
            (["Event", "System"], "Level") => Part::Level,
            (["Event", "EventData"], "Data") => Part::Data(attribute(start, "Name").unwrap_or_default()),
            (["Event", "UserData", _, ..], name) => Part::Data(name.to_owned()),
            (["Event", "RenderingInfo"], "Message") => Part::Message,
            _ => Part::Other,
        };
        Ok(())
    }

    fn ends(&mut self, text: String) {
        match std::mem::take(&mut self.part) {
            // An id of older programs is a number of 32 bits, of which the log shows the lower half.
            Part::Id => self.id = text.trim().parse::<u32>().ok().and_then(|id| u16::try_from(id & 0xffff).ok()),
            Part::Level => self.level = text.trim().parse().unwrap_or_default(),
            Part::Data(name) if self.data.len() < DATA_MAX => self.data.push((name, text)),
            Part::Message => self.message = Some(text),
            Part::Data(_) | Part::Other => {}
        }
    }

    fn event(self) -> Result<Event, &'static str> {
        Ok(Event {
            provider: self.provider.ok_or("it does not say who wrote it")?,
            id: self.id.ok_or("it has no number")?,
            level: self.level,
            at: self.at.ok_or("it does not say when it was written")?,
            data: self.data,
            message: self.message,
        })
    }
}

fn attribute(start: &BytesStart<'_>, name: &str) -> Option<String> {
    let found = start.attributes().flatten().find(|attribute| attribute.key.local_name().as_ref() == name)?;
    let mut value = String::new();
    push(&mut value, &found.normalized_value(XmlVersion::Implicit1_0).ok()?);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `wevtutil qe System /c:1 /f:xml` prints one.
    const DISK: &str = "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System>\
        <Provider Name='disk'/><EventID Qualifiers='32772'>153</EventID><Version>0</Version><Level>3</Level><Task>0</Task>\
        <Opcode>0</Opcode><Keywords>0x80000000000000</Keywords><TimeCreated SystemTime='2026-11-16T16:02:03.1234567Z'/>\
        <EventRecordID>4711</EventRecordID><Correlation/><Execution ProcessID='4' ThreadID='8'/><Channel>System</Channel>\
        <Computer>NVR-02</Computer><Security/></System><EventData><Data>\\Device\\Harddisk1\\DR1</Data>\
        <Data>0x1f &amp; &#60;more&gt;</Data><Binary>0F01</Binary></EventData></Event>";

    #[test]
    fn an_event_is_read_with_its_data_in_order() {
        let event = read(DISK).unwrap();
        assert_eq!((event.provider.as_str(), event.id, event.level_word()), ("disk", 153, "warning"));
        assert_eq!(event.at, "2026-11-16T16:02:03.1234567Z".parse().unwrap());
        assert_eq!(event.text(), "\\Device\\Harddisk1\\DR1; 0x1f & <more>");
        assert_eq!((event.nth(0), event.nth(2)), (Some("\\Device\\Harddisk1\\DR1"), None));
    }

    #[test]
    fn names_user_data_and_the_sentence_are_read_where_they_are() {
        let named = DISK.replace("<Data>\\", "<Data Name='Device'>\\");
        assert_eq!(read(&named).unwrap().named("Device"), Some("\\Device\\Harddisk1\\DR1"));
        let user = "<UserData><EventXML xmlns='x'><JobName>nightly</JobName><Nothing/></EventXML></UserData>";
        let (start, end) = (DISK.find("<EventData>").unwrap(), DISK.find("</Event>").unwrap());
        let user = format!("{}{user}{}", &DISK[..start], &DISK[end..]);
        assert_eq!(read(&user).unwrap().named("JobName"), Some("nightly"));
        let said =
            "<RenderingInfo Culture='en-US'><Message>The IO operation was retried.</Message></RenderingInfo></Event>";
        assert_eq!(read(&DISK.replace("</Event>", said)).unwrap().text(), "The IO operation was retried.");
    }

    #[test]
    fn hostile_xml_is_refused_or_cut_and_never_grows() {
        let bomb = format!("<!DOCTYPE x [<!ENTITY a \"aaaa\">]>{}", DISK.replace("0x1f", "&a;"));
        let deep = format!("{}{}", "<Event>", "<a>".repeat(100_000 / 3));
        let wide = DISK.replace("<Binary>0F01</Binary>", &"<Data>x</Data>".repeat(3_000));
        for (xml, why) in [
            (bomb.as_str(), "document type"),
            (&DISK.replace("0x1f", "&a;"), "entity of its own"),
            (&deep, "too many parts"),
            (&wide, "too many parts"),
            (&DISK[..DISK.len() - 3], "no XML"),
            (&DISK[..DISK.find("<EventData>").unwrap()], "ends in the middle"),
            (&"<Event>".repeat(XML_MAX), "too large"),
            ("<html><body/></html>", "no event"),
            ("", "ends in the middle"),
            (&DISK.replace("<Provider Name='disk'/>", ""), "who wrote it"),
            (&DISK.replace("153", "a"), "no number"),
            (&DISK.replace("SystemTime", "Time"), "when it was written"),
        ] {
            let refused = read(xml).unwrap_err();
            assert!(refused.contains(why), "{refused} and not {why}: {}", &xml[..xml.len().min(80)]);
        }
        let many = DISK.replace("<Binary>0F01</Binary>", &"<Data>é</Data>".repeat(1_000));
        assert_eq!(read(&many).unwrap().data.len(), DATA_MAX);
        let long = DISK.replace("0x1f", &"é".repeat(TEXT_MAX));
        assert!(read(&long).unwrap().data[1].1.len() <= TEXT_MAX);
    }

    proptest::proptest! {
        #[test]
        fn whatever_stands_there_is_read_or_refused(cut in 0_usize..DISK.len(), more in "[<>&;='/a-z0-9!\\[\\]]{0,40}") {
            if DISK.is_char_boundary(cut) {
                let _ = read(&format!("{}{more}{}", &DISK[..cut], &DISK[cut..]));
            }
        }
    }
}
