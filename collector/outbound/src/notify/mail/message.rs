//! The mail as it goes over the wire: the same for every try of one delivery, byte for byte.

use lettre::{
    Address, Message,
    message::{
        Mailbox, MultiPart, MultiPartKind, SinglePart,
        header::{HeaderName, HeaderValue},
    },
};

use super::{Letter, Sender};
use crate::{Delivery, DeliveryKey};

/// The whole mail. Nothing in it depends on when or how often it is tried. `Err` says what cannot be put into a mail.
pub fn eml(delivery: &Delivery, letter: &Letter, sender: &Sender, to: &Address, base: &str) -> Result<Vec<u8>, String> {
    let rendered = letter.render(base).map_err(|error| error.to_string())?;
    let from = &sender.from.email;
    let mut builder = Message::builder()
        .from(sender.from.clone())
        .to(Mailbox::new(None, to.clone()))
        .subject(rendered.subject)
        .date(delivery.created.into())
        .message_id(Some(id(&delivery.key, from)))
        .raw_header(header("Auto-Submitted", "auto-generated".to_owned()))
        .raw_header(header("X-Upheld-Event", delivery.kind.to_string()))
        .raw_header(header("X-Upheld-Key", delivery.key.to_string()));
    if let Some(reply_to) = &sender.reply_to {
        builder = builder.reply_to(reply_to.clone());
    }
    if let Some(thread) = letter.thread.as_ref().and_then(|thread| thread.parse::<DeliveryKey>().ok()) {
        builder = builder.references(id(&thread, from));
    }
    let parts = MultiPart::builder()
        .kind(MultiPartKind::Alternative)
        .boundary(format!("=_{}", &delivery.key.as_str()[..delivery.key.as_str().len().min(60)]))
        .singlepart(SinglePart::plain(rendered.text))
        .singlepart(SinglePart::html(rendered.html));
    Ok(builder.multipart(parts).map_err(|error| error.to_string())?.formatted())
}

/// The `Message-ID`: the delivery's key at the sender's domain.
pub(super) fn id(key: &DeliveryKey, from: &Address) -> String {
    format!("<{key}@{}>", from.domain())
}

fn header(name: &'static str, value: String) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value)
}
