//! The event log as Windows gives it: `EvtQuery`, `EvtNext`, `EvtRender`, and its bookmarks.
//!
//! Wrapped by no kept crate without a thread of its own, therefore `unsafe`. Each call is short: the log is on this host.
#![allow(unsafe_code)]

use std::{collections::BTreeMap, io, ptr::null};

use jiff::Timestamp;
use upheld_model::UnknownReason;
use windows_sys::Win32::{
    Foundation::{
        ERROR_ACCESS_DENIED, ERROR_CALL_NOT_IMPLEMENTED, ERROR_EVT_CHANNEL_NOT_FOUND, ERROR_INSUFFICIENT_BUFFER,
        ERROR_NO_MORE_ITEMS, SetLastError,
    },
    System::EventLog::{
        EVT_HANDLE, EvtClose, EvtCreateBookmark, EvtFormatMessage, EvtFormatMessageEvent, EvtNext,
        EvtOpenPublisherMetadata, EvtQuery, EvtQueryChannelPath, EvtQueryForwardDirection, EvtQueryReverseDirection,
        EvtRender, EvtRenderBookmark, EvtRenderEventXml, EvtSeek, EvtSeekRelativeToBookmark, EvtSeekStrict,
        EvtUpdateBookmark,
    },
};

use super::event::{self, Event, XML_MAX};
use crate::{deadline::Deadline, fault};

/// The log's service does not run (`RPC_S_SERVER_UNAVAILABLE`).
const NO_SERVICE: u32 = 1_722;
/// The most events that one look reads; more wait for the next one.
const READ_MAX: usize = 1_000;
/// Asked for at once.
const BATCH: usize = 32;
/// Longer than most sentences of events; of a longer one its data are shown.
const MESSAGE_MAX: usize = 4 << 10;
/// Sources whose sentences are kept at hand during one look.
const SOURCES_MAX: usize = 32;

/// What a look has read.
pub(super) struct Read {
    pub(super) events: Vec<Event>,
    /// The bookmark of the last of them; `None` where there was none.
    pub(super) place: Option<String>,
    /// Whether the look ended before the log did.
    pub(super) is_more: bool,
}

/// Why a log cannot be read.
#[derive(Debug)]
pub(crate) struct Unread {
    pub(crate) reason: UnknownReason,
    pub(crate) why: String,
}

/// The bookmark of the newest event of a query; `None` where it has no event.
pub(super) fn end(channel: &str, query: &str) -> Result<Option<String>, Unread> {
    let found = Handle::query(channel, query, EvtQueryReverseDirection)?;
    let newest = next(&found, 1, 1_000)?;
    newest.first().map(bookmark_of).transpose()
}

/// The newest events of a query, at most `max`, the newest first, without sentences; what cannot be read is left out.
pub(crate) fn latest(channel: &str, query: &str, max: usize) -> Result<Vec<Event>, Unread> {
    let found = Handle::query(channel, query, EvtQueryReverseDirection)?;
    let mut events = Vec::new();
    while events.len() < max {
        let batch = next(&found, max - events.len(), 1_000)?;
        if batch.is_empty() {
            break;
        }
        events.extend(batch.iter().filter_map(|event| event::read(&render(event, EvtRenderEventXml).ok()?).ok()));
    }
    Ok(events)
}

/// What a query has beyond `place`, a bookmark. Where the log has lost that event (it was cleared, or is full and goes
/// round), `newer`, the same query for all that was written after it, is read from its begin.
pub(super) fn read(
    channel: &str,
    query: &str,
    newer: &str,
    place: Option<&str>,
    deadline: Deadline,
) -> Result<Read, Unread> {
    let mut found = Handle::query(channel, query, EvtQueryForwardDirection)?;
    if let Some(place) = place {
        if found.seek(place) {
            // The one that was read last.
            next(&found, 1, 1_000)?;
        } else {
            found = Handle::query(channel, newer, EvtQueryForwardDirection)?;
        }
    }
    let mut read = Read { events: Vec::new(), place: None, is_more: false };
    let (mut sources, mut last) = (Sources::default(), None);
    // Some of the time is for the rest of the look.
    let reserve = deadline.left() / 4;
    loop {
        if read.events.len() >= READ_MAX || deadline.left() <= reserve {
            read.is_more = true;
            break;
        }
        let mut batch = next(&found, BATCH, 1_000)?;
        if batch.is_empty() {
            break;
        }
        for event in &batch {
            read.events.push(sources.read(event)?);
        }
        last = batch.pop();
    }
    read.place = last.as_ref().map(bookmark_of).transpose()?;
    Ok(read)
}

/// A handle of the event log, closed when dropped.
struct Handle(EVT_HANDLE);

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: opened by us, closed once.
        unsafe { EvtClose(self.0) };
    }
}

impl Handle {
    /// A handle that a call has just given; 0 is none.
    fn of(handle: EVT_HANDLE) -> io::Result<Self> {
        if handle == 0 { Err(io::Error::last_os_error()) } else { Ok(Self(handle)) }
    }

    fn query(channel: &str, query: &str, direction: u32) -> Result<Self, Unread> {
        let (path, query) = (wide(channel), wide(query));
        // SAFETY: both texts end with a zero and outlive the calls.
        let handle = unsafe {
            SetLastError(0);
            EvtQuery(0, path.as_ptr(), query.as_ptr(), EvtQueryChannelPath | direction)
        };
        Self::of(handle).map_err(|error| unread(&error))
    }

    /// Goes to the event of a bookmark; whether it is there.
    fn seek(&self, place: &str) -> bool {
        let place = wide(place);
        // SAFETY: the text ends with a zero.
        let Ok(bookmark) = Self::of(unsafe { EvtCreateBookmark(place.as_ptr()) }) else { return false };
        // SAFETY: both handles are open.
        unsafe { EvtSeek(self.0, 0, bookmark.0, 0, EvtSeekRelativeToBookmark | EvtSeekStrict) != 0 }
    }
}

/// The next events of a query; none at its end.
fn next(found: &Handle, max: usize, wait_ms: u32) -> Result<Vec<Handle>, Unread> {
    let mut handles = [0 as EVT_HANDLE; BATCH];
    let (room, mut returned) = (max.min(BATCH) as u32, 0_u32);
    // SAFETY: there is room for as many handles as are asked for.
    let is_there = unsafe {
        SetLastError(0);
        EvtNext(found.0, room, handles.as_mut_ptr(), wait_ms, 0, &mut returned)
    };
    if is_there == 0 {
        let error = io::Error::last_os_error();
        return if code(&error) == ERROR_NO_MORE_ITEMS { Ok(Vec::new()) } else { Err(unread(&error)) };
    }
    Ok(handles.into_iter().take(returned as usize).map(Handle).collect())
}

fn bookmark_of(event: &Handle) -> Result<String, Unread> {
    // SAFETY: no text makes an empty bookmark.
    let bookmark = Handle::of(unsafe { EvtCreateBookmark(null()) }).map_err(|error| unread(&error))?;
    // SAFETY: both handles are open.
    if unsafe { EvtUpdateBookmark(bookmark.0, event.0) } == 0 {
        return Err(unread(&io::Error::last_os_error()));
    }
    render(&bookmark, EvtRenderBookmark).map_err(|error| unread(&error))
}

/// An event or a bookmark as XML.
fn render(of: &Handle, what: u32) -> io::Result<String> {
    let mut buffer = vec![0_u16; 2 << 10];
    loop {
        let (mut used, mut parts) = (0_u32, 0_u32);
        let bytes = (buffer.len() * 2) as u32;
        // SAFETY: the handle is open, and the buffer has as many bytes as are said.
        let is_done = unsafe { EvtRender(0, of.0, what, bytes, buffer.as_mut_ptr().cast(), &mut used, &mut parts) };
        if is_done != 0 {
            return Ok(text(&buffer[..(used as usize / 2).min(buffer.len())]));
        }
        let error = io::Error::last_os_error();
        let needed = used as usize / 2 + 1;
        if code(&error) != ERROR_INSUFFICIENT_BUFFER || needed <= buffer.len() || needed > XML_MAX {
            return Err(error);
        }
        buffer.resize(needed, 0);
    }
}

/// Who makes sentences of events, by name; `None` where this host does not know the source.
#[derive(Default)]
struct Sources(BTreeMap<String, Option<Handle>>);

impl Sources {
    /// An event. One that cannot be read is one all the same: Windows says that it is wanted.
    fn read(&mut self, handle: &Handle) -> Result<Event, Unread> {
        let xml = match render(handle, EvtRenderEventXml) {
            Ok(xml) => xml,
            Err(error) if code(&error) == ERROR_INSUFFICIENT_BUFFER => {
                return Ok(event::unreadable("it is too large", Timestamp::now()));
            }
            Err(error) => return Err(unread(&error)),
        };
        let mut event = event::read(&xml).unwrap_or_else(|why| event::unreadable(why, Timestamp::now()));
        if event.message.is_none() {
            event.message = self.sentence(&event.provider, handle);
        }
        Ok(event)
    }

    fn sentence(&mut self, provider: &str, event: &Handle) -> Option<String> {
        if self.0.len() >= SOURCES_MAX && !self.0.contains_key(provider) {
            return None;
        }
        let source = self.0.entry(provider.to_owned()).or_insert_with(|| {
            let name = wide(provider);
            // SAFETY: the name ends with a zero; of this host, in its own language.
            Handle::of(unsafe { EvtOpenPublisherMetadata(0, name.as_ptr(), null(), 0, 0) }).ok()
        });
        let source = source.as_ref()?;
        let (mut buffer, mut used) = (vec![0_u16; MESSAGE_MAX], 0_u32);
        // SAFETY: both handles are open; the buffer has as many characters as are said, and no values are given.
        let is_done = unsafe {
            let room = MESSAGE_MAX as u32;
            EvtFormatMessage(
                source.0,
                event.0,
                0,
                0,
                null(),
                EvtFormatMessageEvent,
                room,
                buffer.as_mut_ptr(),
                &mut used,
            )
        };
        (is_done != 0).then(|| text(&buffer[..(used as usize).min(MESSAGE_MAX)]))
    }
}

/// What keeps a log from being read, and what to do.
fn unread(error: &io::Error) -> Unread {
    let (reason, why) = match code(error) {
        ERROR_EVT_CHANNEL_NOT_FOUND => {
            let why = "this host has no such log; `wevtutil el` lists those that it has; correct `channel` in the book";
            (UnknownReason::CannotProbe, why.to_owned())
        }
        ERROR_ACCESS_DENIED => {
            let why = "the agent may not read this log: add NT SERVICE\\UpheldAgent to the group Event Log Readers";
            (UnknownReason::Permission, why.to_owned())
        }
        NO_SERVICE => (UnknownReason::Local, "Windows' event log does not run: start the service EventLog".to_owned()),
        // Wine answers so.
        0 | ERROR_CALL_NOT_IMPLEMENTED => {
            (UnknownReason::CannotProbe, "this system has no event log that could be asked".to_owned())
        }
        _ => (UnknownReason::Local, format!("the event log cannot be read: {}", fault::in_words(error))),
    };
    Unread { reason, why }
}

fn code(error: &io::Error) -> u32 {
    error.raw_os_error().unwrap_or_default().cast_unsigned()
}

fn wide(text: &str) -> Vec<u16> {
    text.encode_utf16().filter(|unit| *unit != 0).chain([0]).collect()
}

/// Up to its first zero.
fn text(units: &[u16]) -> String {
    let end = units.iter().position(|unit| *unit == 0).unwrap_or(units.len());
    String::from_utf16_lossy(&units[..end])
}
