//! Who may do what with the agent's folder and its pipe: SYSTEM, administrators, the service's own account, and a user
//! who is none of these and runs the agent for himself. What root and one user are on Linux.
//!
//! Windows keeps this in access lists; they are written here in its own language for them (SDDL) and put in place by
//! calls that no library wraps whole.
#![allow(unsafe_code)]

use std::{
    ffi::c_void,
    io,
    path::Path,
    ptr::{null, null_mut},
};

use windows_sys::{
    Win32::{
        Foundation::{CloseHandle, ERROR_ALREADY_EXISTS, HANDLE, LocalFree},
        Security::{
            Authorization::{
                ConvertSecurityDescriptorToStringSecurityDescriptorW, ConvertSidToStringSidW,
                ConvertStringSecurityDescriptorToSecurityDescriptorW, GetNamedSecurityInfoW, SDDL_REVISION_1,
                SE_FILE_OBJECT, SetNamedSecurityInfoW,
            },
            CheckTokenMembership, CreateWellKnownSid, DACL_SECURITY_INFORMATION, GetSecurityDescriptorDacl,
            GetTokenInformation, OWNER_SECURITY_INFORMATION, PROTECTED_DACL_SECURITY_INFORMATION, PSECURITY_DESCRIPTOR,
            PSID, SECURITY_ATTRIBUTES, SECURITY_MAX_SID_SIZE, TOKEN_QUERY, TOKEN_USER, TokenUser,
            WinBuiltinAdministratorsSid,
        },
        Storage::FileSystem::CreateDirectoryW,
        System::Threading::{GetCurrentProcess, OpenProcessToken},
    },
    core::PWSTR,
};

use super::{machine::wide, manager, service_sid};

const SYSTEM: &str = "S-1-5-18";
const ADMINISTRATORS: &str = "S-1-5-32-544";

/// A descriptor that Windows made from its text, given back when dropped.
pub(crate) struct Descriptor {
    raw: PSECURITY_DESCRIPTOR,
}

impl Descriptor {
    /// For the agent's folder; what is made in it inherits it.
    fn for_folder() -> io::Result<Self> {
        Self::parse(&rights("OICI")?)
    }

    /// For the agent's pipe.
    pub(crate) fn for_pipe() -> io::Result<Self> {
        Self::parse(&rights("")?)
    }

    fn parse(text: &str) -> io::Result<Self> {
        let text: Vec<u16> = text.encode_utf16().chain([0]).collect();
        let mut raw: PSECURITY_DESCRIPTOR = null_mut();
        // SAFETY: the text ends with a zero; what the call makes is ours and freed in `drop`.
        let is_made = unsafe {
            ConvertStringSecurityDescriptorToSecurityDescriptorW(text.as_ptr(), SDDL_REVISION_1, &mut raw, null_mut())
        };
        if is_made == 0 { Err(io::Error::last_os_error()) } else { Ok(Self { raw }) }
    }

    /// As calls that make something take it; good for as long as the descriptor lives.
    pub(crate) fn attributes(&self) -> SECURITY_ATTRIBUTES {
        SECURITY_ATTRIBUTES {
            nLength: size_of::<SECURITY_ATTRIBUTES>() as u32,
            lpSecurityDescriptor: self.raw,
            bInheritHandle: 0,
        }
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        // SAFETY: made by a call whose result is freed so, once.
        unsafe { LocalFree(self.raw) };
    }
}

/// Makes the folder for those alone who may use the agent's, or takes what others may away from one that is there. One
/// that belongs to somebody else is refused: he could give himself the rights back.
pub(crate) fn private_folder(path: &Path) -> io::Result<()> {
    let descriptor = Descriptor::for_folder()?;
    let (name, attributes) = (wide(path), descriptor.attributes());
    // SAFETY: the path ends with a zero, and the descriptor outlives the call.
    if unsafe { CreateDirectoryW(name.as_ptr(), &attributes) } != 0 {
        return Ok(());
    }
    let error = io::Error::last_os_error();
    if error.raw_os_error() != Some(ERROR_ALREADY_EXISTS as i32) || !path.is_dir() {
        return Err(error);
    }
    let owner = owner(path)?;
    if ![SYSTEM, ADMINISTRATORS, &service_sid::of(manager::NAME), &current_user()?].contains(&owner.as_str()) {
        let why = format!("it belongs to somebody else ({owner}): look at what is in it and remove it");
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
    }
    // What is right already is left alone: writing it anew goes through all that is inside.
    if others_in(path)?.is_empty() { Ok(()) } else { restrict(&name, &descriptor) }
}

fn restrict(name: &[u16], descriptor: &Descriptor) -> io::Result<()> {
    let (mut is_there, mut is_default, mut list) = (0, 0, null_mut());
    // SAFETY: the descriptor lives; the list that the call points to lies within it.
    if unsafe { GetSecurityDescriptorDacl(descriptor.raw, &mut is_there, &mut list, &mut is_default) } == 0 {
        return Err(io::Error::last_os_error());
    }
    let what = DACL_SECURITY_INFORMATION | PROTECTED_DACL_SECURITY_INFORMATION;
    // SAFETY: the path ends with a zero, and the list lives as long as the descriptor.
    let code =
        unsafe { SetNamedSecurityInfoW(name.as_ptr(), SE_FILE_OBJECT, what, null_mut(), null_mut(), list, null()) };
    told(code)
}

/// The identifier of whoever owns a file or folder.
pub(crate) fn owner(path: &Path) -> io::Result<String> {
    let name = wide(path);
    let (mut owner, mut raw): (PSID, PSECURITY_DESCRIPTOR) = (null_mut(), null_mut());
    let what = OWNER_SECURITY_INFORMATION;
    // SAFETY: the path ends with a zero; the owner lies within the descriptor, which is ours.
    told(unsafe {
        GetNamedSecurityInfoW(
            name.as_ptr(),
            SE_FILE_OBJECT,
            what,
            &mut owner,
            null_mut(),
            null_mut(),
            null_mut(),
            &mut raw,
        )
    })?;
    let _descriptor = Descriptor { raw };
    in_words(owner)
}

/// All rights for those who may, none for others, and none from the folder above. `inherited` says how what is made
/// inside gets them.
fn rights(inherited: &str) -> io::Result<String> {
    let mut who = vec![SYSTEM.to_owned(), ADMINISTRATORS.to_owned(), service_sid::of(manager::NAME)];
    if !is_administrator()? {
        who.push(current_user()?);
    }
    who.dedup();
    Ok(who.iter().fold("D:P".to_owned(), |list, sid| format!("{list}(A;{inherited};FA;;;{sid})")))
}

/// Whether this process has an administrator's rights.
pub(crate) fn is_administrator() -> io::Result<bool> {
    let mut sid = [0_u8; SECURITY_MAX_SID_SIZE as usize];
    let (mut size, mut is_member) = (sid.len() as u32, 0);
    let at: PSID = sid.as_mut_ptr().cast();
    // SAFETY: the buffer is as large as any identifier, and the second call only reads it.
    let is_told = unsafe {
        CreateWellKnownSid(WinBuiltinAdministratorsSid, null_mut(), at, &mut size) != 0
            && CheckTokenMembership(null_mut(), at, &mut is_member) != 0
    };
    if is_told { Ok(is_member != 0) } else { Err(io::Error::last_os_error()) }
}

/// The identifier of the user as whom this process runs.
fn current_user() -> io::Result<String> {
    let mut token: HANDLE = null_mut();
    // SAFETY: the pseudo handle needs no closing; the token that the call opens is closed below.
    if unsafe { OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &mut token) } == 0 {
        return Err(io::Error::last_os_error());
    }
    // Of words, so that the structure at its begin is aligned; an identifier has at most 68 bytes.
    let mut buffer = [0_u64; 32];
    let mut size = 0;
    let (at, room): (*mut c_void, u32) = (buffer.as_mut_ptr().cast(), size_of_val(&buffer) as u32);
    // SAFETY: the call writes at most the bytes that it is told.
    let is_told = unsafe { GetTokenInformation(token, TokenUser, at, room, &mut size) } != 0;
    let said = if is_told { Ok(()) } else { Err(io::Error::last_os_error()) };
    // SAFETY: opened above, closed once.
    unsafe { CloseHandle(token) };
    said?;
    // SAFETY: the call has filled the buffer with this structure, which is aligned, and whose identifier lies in it.
    in_words(unsafe { (*buffer.as_ptr().cast::<TOKEN_USER>()).User.Sid })
}

/// `sid` must point to an identifier.
fn in_words(sid: PSID) -> io::Result<String> {
    let mut text = null_mut();
    // SAFETY: both callers have just been given the identifier; the text is ours and freed below.
    if unsafe { ConvertSidToStringSidW(sid, &mut text) } == 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(taken(text))
}

/// A text of Windows, which is given back. `text` must be one that a call has just made.
fn taken(text: PWSTR) -> String {
    let mut length = 0;
    // SAFETY: the text ends with a zero.
    while unsafe { *text.add(length) } != 0 {
        length += 1;
    }
    // SAFETY: so many characters were just read there.
    let said = String::from_utf16_lossy(unsafe { std::slice::from_raw_parts(text, length) });
    // SAFETY: made by a call whose result is freed so, once.
    unsafe { LocalFree(text.cast()) };
    said
}

fn told(code: u32) -> io::Result<()> {
    if code == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(code as i32)) }
}

/// Whom else a folder's access list names beside those who may use the agent's.
pub(crate) fn others_in(path: &Path) -> io::Result<Vec<String>> {
    let mut text = null_mut();
    let (name, mut raw): (_, PSECURITY_DESCRIPTOR) = (wide(path), null_mut());
    let what = DACL_SECURITY_INFORMATION;
    // SAFETY: the path ends with a zero; the descriptor is ours.
    told(unsafe {
        GetNamedSecurityInfoW(
            name.as_ptr(),
            SE_FILE_OBJECT,
            what,
            null_mut(),
            null_mut(),
            null_mut(),
            null_mut(),
            &mut raw,
        )
    })?;
    let descriptor = Descriptor { raw };
    // SAFETY: the descriptor lives; the text is ours, ends with a zero and is freed by `taken`.
    let is_said = unsafe {
        ConvertSecurityDescriptorToStringSecurityDescriptorW(
            descriptor.raw,
            SDDL_REVISION_1,
            what,
            &mut text,
            null_mut(),
        )
    };
    if is_said == 0 {
        return Err(io::Error::last_os_error());
    }
    let known = [SYSTEM.to_owned(), ADMINISTRATORS.to_owned(), service_sid::of(manager::NAME), current_user()?];
    Ok(service_sid::allowed(&taken(text)).into_iter().filter(|who| !known.contains(who)).collect())
}
