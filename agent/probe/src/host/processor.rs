//! The processor's share on Windows: by `GetSystemTimes`, one cheap call. sysinfo asks the performance counters, which
//! take long to open, hold memory, and are broken on many a host.
#![allow(unsafe_code)]

use windows_sys::Win32::{Foundation::FILETIME, System::Threading::GetSystemTimes};

/// What all processors did since the boot, in units of 100 ns.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    idle: u64,
    all: u64,
}

impl Times {
    /// As it stands; `None` where Windows does not say.
    pub(super) fn now() -> Option<Self> {
        let [mut idle, mut kernel, mut user] = [FILETIME::default(); 3];
        // SAFETY: the call writes the three that it is given.
        let is_told = unsafe { GetSystemTimes(&mut idle, &mut kernel, &mut user) } != 0;
        // The kernel's time has the idle time in it.
        is_told.then(|| Self { idle: ticks(idle), all: ticks(kernel) + ticks(user) })
    }

    /// The share that was worked between an earlier look and this one, 0 to 100.
    pub(super) fn busy_percent_since(self, before: Self) -> f64 {
        let (all, idle) = (self.all.saturating_sub(before.all), self.idle.saturating_sub(before.idle));
        super::percent(all.saturating_sub(idle), all)
    }
}

fn ticks(time: FILETIME) -> u64 {
    u64::from(time.dwHighDateTime) << 32 | u64::from(time.dwLowDateTime)
}
