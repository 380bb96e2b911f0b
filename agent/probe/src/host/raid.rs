//! Software RAID as the kernel shows it in `/proc/mdstat` (md(4)).

/// One array.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Array {
    pub(super) name: String,
    pub(super) is_active: bool,
    /// `raid1`, `raid6`, …; empty where it is not active.
    pub(super) level: String,
    /// Disks that the kernel has thrown out.
    pub(super) failed: Vec<String>,
    /// How many disks it is to have, and has; `None` for levels without redundancy.
    pub(super) disks: Option<(u32, u32)>,
    /// `recovery = 12.6%`, where it is at that.
    pub(super) work: Option<String>,
}

impl Array {
    /// What is wrong with it, in a sentence.
    pub(super) fn fault(&self) -> Option<String> {
        let Self { name, level, .. } = self;
        if !self.is_active {
            return Some(format!("RAID {name} is not active"));
        }
        let missing = self.missing();
        if missing == 0 && self.failed.is_empty() {
            return None;
        }
        let runs = match self.disks {
            Some((meant, there)) if missing > 0 => format!("runs on {there} of {meant} disks"),
            Some(_) | None => "has thrown out a disk".to_owned(),
        };
        let failed =
            if self.failed.is_empty() { String::new() } else { format!(", failed: {}", self.failed.join(", ")) };
        let work = self.work.as_ref().map(|work| format!(", {work}")).unwrap_or_default();
        Some(format!("RAID {name} ({level}) {runs}{failed}{work}"))
    }

    /// How many disks it lacks.
    pub(super) fn missing(&self) -> u32 {
        self.disks.map_or(0, |(meant, there)| meant.saturating_sub(there))
    }
}

/// The arrays of a text in the form of `/proc/mdstat`; what is no array is left out.
pub(super) fn read(text: &str) -> Vec<Array> {
    let mut arrays: Vec<Array> = Vec::new();
    for line in text.lines() {
        if let Some(array) = head(line) {
            arrays.push(array);
        } else if let (true, Some(array)) = (line.starts_with([' ', '\t']), arrays.last_mut()) {
            array.disks = array.disks.or_else(|| disks(line));
            array.work = array.work.take().or_else(|| work(line));
        }
    }
    arrays
}

/// `md0 : active (auto-read-only) raid1 sdb1[1](F) sda1[0]`
fn head(line: &str) -> Option<Array> {
    let (name, rest) = line.split_once(" : ")?;
    if !name.starts_with("md") || name.contains(char::is_whitespace) {
        return None;
    }
    let mut words = rest.split_whitespace().filter(|word| !word.starts_with('('));
    let is_active = words.next()? == "active";
    let (members, others): (Vec<&str>, Vec<&str>) = words.partition(|word| word.contains('['));
    let failed = members.iter().filter(|disk| disk.contains("(F)")).filter_map(|disk| disk.split('[').next());
    Some(Array {
        name: name.chars().take(32).collect(),
        is_active,
        level: others.first().map(|level| level.chars().take(32).collect()).unwrap_or_default(),
        failed: failed.take(16).map(str::to_owned).collect(),
        disks: None,
        work: None,
    })
}

/// `976630464 blocks super 1.2 [2/1] [U_]`
fn disks(line: &str) -> Option<(u32, u32)> {
    line.split_whitespace().find_map(|word| {
        let (meant, there) = word.strip_prefix('[')?.strip_suffix(']')?.split_once('/')?;
        Some((meant.parse().ok()?, there.parse().ok()?))
    })
}

/// `[==>......]  recovery = 12.6% (37043392/292945152) finish=127.5min speed=33440K/sec`
fn work(line: &str) -> Option<String> {
    let (_, behind) = line.split_once("]  ")?;
    let mut words = behind.split_whitespace();
    let (what, is, share) = (words.next()?, words.next()?, words.next()?);
    let is_work = ["recovery", "resync", "reshape", "check", "repair"].contains(&what) && is == "=";
    is_work.then(|| format!("{what} = {}", share.chars().take(8).collect::<String>()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEXT: &str = "Personalities : [raid1] [raid6] [raid5] [raid4] [raid0]
md1 : active raid1 sdb2[1] sda2[0]
      136448 blocks [2/2] [UU]

md2 : active raid5 sdl1[9] sdk1[8](F) sdj1[7]
      1318680576 blocks level 5, 1024k chunk, algorithm 2 [10/9] [UUUUUUUUU_]
      [=>...................]  recovery = 12.6% (37043392/292945152) finish=127.5min speed=33440K/sec

md3 : active (auto-read-only) raid0 sde1[1] sdd1[0]
      53128 blocks super 1.2 512k chunks

md127 : inactive sdc[0](S)
      976630464 blocks super 1.2

md5 : active raid6 sdm1[0] sdn1[1]
      100 blocks super 1.2 [2/2] [UU]
      [>....................]  check =  3.0% (1/2) finish=1min speed=1K/sec
unused devices: <none>
";

    #[test]
    fn an_array_that_lacks_a_disk_or_does_not_run_is_told_and_a_healthy_one_is_not() {
        let faults: Vec<Option<String>> = read(TEXT).iter().map(Array::fault).collect();
        let lost = "RAID md2 (raid5) runs on 9 of 10 disks, failed: sdk1, recovery = 12.6%".to_owned();
        assert_eq!(faults, [None, Some(lost), None, Some("RAID md127 is not active".to_owned()), None]);
        assert_eq!(read(TEXT)[1].missing(), 1);
        let thrown_out = "md0 : active raid1 sdc1[2] sdb1[1](F) sda1[0]\n 9 blocks [2/2] [UU]\n";
        assert_eq!(read(thrown_out)[0].fault().unwrap(), "RAID md0 (raid1) has thrown out a disk, failed: sdb1");
        assert_eq!(read("Personalities : \nunused devices: <none>\n"), []);
    }

    proptest! {
        #[test]
        fn no_text_breaks_it(text in "(md[0-9a-z :]{0,9}|active|raid1|\\PC{0,9}|\\[|\\]|[0-9/\\n ]{0,6}){0,40}") {
            for array in read(&text) {
                prop_assert!(array.name.len() <= 128 && array.failed.len() <= 16);
                let _ = array.fault();
            }
        }
    }
}
