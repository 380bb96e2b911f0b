//! What `smartctl --json` prints (smartmontools 7.0 and later), as far as it is read. A field that is not there is a disk
//! that does not tell it.

use serde::Deserialize;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Report {
    pub(super) smartctl: Smartctl,
    pub(super) local_time: Option<LocalTime>,
    pub(super) device: Device,
    pub(super) model_name: Option<String>,
    pub(super) serial_number: Option<String>,
    pub(super) smart_status: Option<Status>,
    pub(super) ata_smart_attributes: Attributes,
    pub(super) ata_smart_self_test_log: SelfTests,
    pub(super) nvme_smart_health_information_log: Option<Nvme>,
    pub(super) nvme_self_test_log: NvmeTests,
    pub(super) temperature: Temperature,
    pub(super) power_on_time: PowerOn,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Smartctl {
    /// Bit by bit: smartctl(8), EXIT STATUS.
    pub(super) exit_status: u32,
    pub(super) messages: Vec<Message>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Message {
    pub(super) string: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct LocalTime {
    pub(super) time_t: i64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Device {
    pub(super) name: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Status {
    pub(super) passed: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Attributes {
    pub(super) table: Vec<Attribute>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Attribute {
    pub(super) id: u32,
    pub(super) name: String,
    #[serde(default)]
    pub(super) when_failed: String,
    pub(super) raw: Raw,
}

#[derive(Debug, Deserialize)]
pub(super) struct Raw {
    pub(super) value: u64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct SelfTests {
    pub(super) standard: Tests,
    pub(super) extended: Tests,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Tests {
    /// The latest first.
    pub(super) table: Vec<Test>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Test {
    pub(super) status: TestStatus,
    pub(super) lifetime_hours: Option<u64>,
}

#[derive(Debug, Deserialize)]
pub(super) struct TestStatus {
    pub(super) string: String,
    /// Not told of one that runs.
    pub(super) passed: Option<bool>,
}

/// The health log of an NVMe disk.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Nvme {
    /// Bit by bit: NVM Express Base Specification, SMART / Health Information.
    pub(super) critical_warning: u32,
    pub(super) percentage_used: Option<u32>,
    pub(super) media_errors: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct NvmeTests {
    pub(super) table: Vec<NvmeTest>,
}

#[derive(Debug, Deserialize)]
pub(super) struct NvmeTest {
    pub(super) self_test_result: NvmeResult,
    pub(super) power_on_hours: Option<u64>,
}

#[derive(Debug, Deserialize)]
pub(super) struct NvmeResult {
    /// 0 is passed; 5, 6 and 7 are a failed segment or a fatal error; the others were ended by somebody.
    pub(super) value: u32,
    pub(super) string: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Temperature {
    pub(super) current: Option<f64>,
    /// What the maker allows in use, where the disk tells it.
    pub(super) op_limit_max: Option<f64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct PowerOn {
    pub(super) hours: Option<f64>,
}

impl Report {
    pub(super) fn has(&self, bit: u32) -> bool {
        self.smartctl.exit_status & (1 << bit) != 0
    }

    pub(super) fn attribute(&self, id: u32) -> Option<u64> {
        self.ata_smart_attributes.table.iter().find(|attribute| attribute.id == id).map(|attribute| attribute.raw.value)
    }

    /// How the latest self-test that came to an end went, in the disk's words, and at which hour of its life, if it failed.
    pub(super) fn failed_test(&self) -> Option<(String, Option<u64>)> {
        let log = &self.ata_smart_self_test_log;
        let ata = log.extended.table.iter().chain(&log.standard.table).find(|test| test.status.passed.is_some());
        let ata = ata.filter(|test| test.status.passed == Some(false));
        let nvme = self.nvme_self_test_log.table.iter().find(|test| matches!(test.self_test_result.value, 0 | 5..=7));
        let nvme = nvme.filter(|test| test.self_test_result.value != 0);
        let told = |words: &str, hours| (words.to_owned(), hours);
        ata.map(|test| told(&test.status.string, test.lifetime_hours))
            .or(nvme.map(|test| told(&test.self_test_result.string, test.power_on_hours)))
    }
}
