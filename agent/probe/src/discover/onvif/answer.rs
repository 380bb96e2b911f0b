//! A ProbeMatches message, read within bounds (SECURITY 7): no document type, no entity but XML's own, so deep, so many
//! nodes, whole. Names are compared without their prefixes, as devices choose them.

use quick_xml::{Reader, events::Event};
use upheld_model::DeviceText;

use crate::discover::Camera;

const DEPTH_MAX: usize = 64;
const NODES_MAX: usize = 2_000;
/// The most text of one element, in bytes.
const TEXT_BYTES_MAX: usize = 8 << 10;

/// What the device says of itself, if it is one that sends video and answers the question of this name.
pub(super) fn read(bytes: &[u8], question: &str) -> Option<Camera> {
    let text = std::str::from_utf8(bytes).ok()?;
    let mut reader = Reader::from_str(text);
    let (mut path, mut nodes): (Vec<String>, usize) = (Vec::new(), 0);
    let mut said = Said::default();
    let mut has_root = false;
    loop {
        nodes += 1;
        if nodes > NODES_MAX {
            return None;
        }
        match reader.read_event().ok()? {
            Event::Start(start) => {
                let name = start.local_name().as_ref().to_owned();
                if path.is_empty() && (has_root || name != "Envelope") {
                    return None;
                }
                has_root = true;
                path.push(name);
                if path.len() > DEPTH_MAX {
                    return None;
                }
            }
            Event::End(_) => {
                // That the names fit the reader has seen.
                path.pop()?;
            }
            Event::Text(text) => said.hear(&path, &text)?,
            Event::CData(text) => said.hear(&path, &text)?,
            Event::GeneralRef(entity) => {
                let c = match entity.as_ref() {
                    "amp" => "&",
                    "lt" => "<",
                    "gt" => ">",
                    "quot" => "\"",
                    "apos" => "'",
                    _ => return None,
                };
                said.hear(&path, c)?;
            }
            Event::DocType(_) | Event::PI(_) => return None,
            Event::Empty(_) | Event::Comment(_) | Event::Decl(_) => {}
            Event::Eof => break,
        }
    }
    let is_whole = has_root && path.is_empty();
    let is_ours = said.relates_to.trim() == question;
    let is_video =
        said.types.split_ascii_whitespace().any(|word| word.rsplit(':').next() == Some("NetworkVideoTransmitter"));
    (is_whole && is_ours && is_video).then(|| said.camera())
}

#[derive(Default)]
struct Said {
    relates_to: String,
    types: String,
    scopes: String,
}

impl Said {
    /// Keeps the text of an element that counts; `None` when it is longer than any is.
    fn hear(&mut self, path: &[String], text: &str) -> Option<()> {
        let field = match path.last().map(String::as_str) {
            Some("RelatesTo") => &mut self.relates_to,
            Some("Types") => &mut self.types,
            Some("Scopes") => &mut self.scopes,
            _ => return Some(()),
        };
        field.push_str(text);
        (field.len() <= TEXT_BYTES_MAX).then_some(())
    }

    fn camera(&self) -> Camera {
        let of = |kind: &str| {
            let scopes = self.scopes.split_ascii_whitespace();
            let scope = scopes.filter_map(|scope| scope.strip_prefix("onvif://www.onvif.org/")?.strip_prefix(kind));
            let said = scope.map(decoded).find(|said| !said.trim().is_empty())?;
            Some(DeviceText::new(&said.chars().take(64).collect::<String>()))
        };
        Camera { name: of("name/"), hardware: of("hardware/") }
    }
}

/// A scope's word, as its URI writes it (RFC 3986, 2.1); what is no text stays as it is.
fn decoded(word: &str) -> String {
    let mut bytes = Vec::with_capacity(word.len());
    let mut rest = word.as_bytes();
    while let Some((&byte, more)) = rest.split_first() {
        let hex = (byte == b'%').then(|| more.get(..2)).flatten();
        match hex.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &more[2..];
            }
            None => {
                bytes.push(byte);
                rest = more;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| word.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUESTION: &str = "urn:uuid:1";

    /// As devices write it.
    fn answer(relates_to: &str, types: &str, scopes: &str) -> String {
        format!(
            "<?xml version=\"1.0\"?><s:Envelope xmlns:s=\"x\"><s:Header><a:RelatesTo>{relates_to}</a:RelatesTo></s:Header><s:Body>\
             <d:ProbeMatches><d:ProbeMatch><d:Types>{types}</d:Types><d:Scopes>{scopes}</d:Scopes>\
             <d:XAddrs>http://10.40.0.2/onvif/device_service</d:XAddrs></d:ProbeMatch></d:ProbeMatches></s:Body></s:Envelope>"
        )
    }

    #[test]
    fn a_camera_says_its_name_and_model() {
        let scopes = "onvif://www.onvif.org/type/video_encoder onvif://www.onvif.org/name/Dome%203%20%26%20yard onvif://www.onvif.org/hardware/DS-2CD";
        let camera =
            read(answer(QUESTION, "dn:NetworkVideoTransmitter tds:Device", scopes).as_bytes(), QUESTION).unwrap();
        assert_eq!(camera.name, Some(DeviceText::new("Dome 3 & yard")));
        assert_eq!(camera.hardware, Some(DeviceText::new("DS-2CD")));
        let silent = read(answer(QUESTION, "NetworkVideoTransmitter", "").as_bytes(), QUESTION).unwrap();
        assert_eq!(silent, Camera::default());
        let hostile = "onvif://www.onvif.org/name/%1b%5b2J%E2%80%AE%0A";
        let text =
            read(answer(QUESTION, "NetworkVideoTransmitter", hostile).as_bytes(), QUESTION).unwrap().name.unwrap();
        assert_eq!(text.as_str(), r"\u{1b}[2J\u{202e}\u{a}");
    }

    #[test]
    fn what_is_no_answer_of_a_camera_to_this_question_is_none() {
        let good = answer(QUESTION, "dn:NetworkVideoTransmitter", "");
        let deep = format!("<Envelope>{}{}</Envelope>", "<a>".repeat(80), "</a>".repeat(80));
        let many = format!("<Envelope>{}</Envelope>", "<a/>".repeat(3_000));
        let long = answer(QUESTION, &"NetworkVideoTransmitter ".repeat(1_000), "");
        for (what, text) in [
            ("another question", answer("urn:uuid:2", "dn:NetworkVideoTransmitter", "")),
            ("a printer", answer(QUESTION, "wprt:PrintDeviceType", "")),
            ("a document type", good.replacen("?>", "?><!DOCTYPE a [<!ENTITY b \"c\">]>", 1)),
            ("an entity", good.replace("<d:Types>", "<d:Types>&b;")),
            ("cut short", good[..good.len() - 20].to_owned()),
            ("two roots", format!("{good}{good}")),
            ("another root", good.replace("s:Envelope", "s:Letter")),
            ("names that do not fit", good.replace("</d:Types>", "</d:Type>")),
            ("deep", deep),
            ("many nodes", many),
            ("a long text", long),
            ("nothing", String::new()),
        ] {
            assert_eq!(read(text.as_bytes(), QUESTION), None, "{what}");
        }
        assert_eq!(read(b"\xff\xfe<Envelope/>", QUESTION), None);
    }
}
