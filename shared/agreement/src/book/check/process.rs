//! Checks of processes: `{ kind = "process", process = "nginx", at_least = 1, memory_max = "2GiB" }`.

use upheld_model::{ProbeSpec, check::ProcessSpec};

use super::small;
use crate::{
    book::{
        fields::{Fields, Node, Read, Reading, shown},
        schema::Shape,
    },
    ratio::Ratio,
};

/// Reads what `process` asks.
pub(super) fn read(fields: &mut Fields<'_, '_>, reading: &mut Reading<'_>) -> Option<ProbeSpec> {
    let process = fields.required("process", reading);
    let argument = fields.optional("argument", reading);
    let user = fields.optional("user", reading);
    let at_least = small(fields, "at_least", reading).unwrap_or(1);
    let at_most = small(fields, "at_most", reading);
    let memory_max = fields.optional::<Size>("memory_max", reading).map(|size| size.0);
    let cpu_max = fields.optional::<Ratio>("cpu_max", reading);
    let cpu_max_percent = cpu_max.map(|share| u32::try_from(share.of(100)).unwrap_or(u32::MAX));
    let process = process?;
    Some(ProbeSpec::Process(ProcessSpec { process, argument, user, at_least, at_most, memory_max, cpu_max_percent }))
}

/// A size in bytes: `512MiB`, `2GiB`.
struct Size(u64);

impl Size {
    fn parse(text: &str) -> Option<Self> {
        let units = [("KiB", 10), ("MiB", 20), ("GiB", 30), ("TiB", 40)];
        let (number, shift) = units.iter().find_map(|(unit, shift)| Some((text.strip_suffix(unit)?, *shift)))?;
        let number: u64 = number.trim_end().parse().ok()?;
        number.checked_mul(1 << shift).map(Self)
    }
}

impl Read for Size {
    fn read(value: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        let text = String::read(value, reading)?;
        let size = Self::parse(&text);
        if size.is_none() {
            let message = format!("{:?} is not a size: write \"512MiB\" or \"2GiB\"", shown(&text));
            reading.bad_value(value, message);
        }
        size
    }

    fn shape() -> Shape {
        Shape::Text
    }
}

#[cfg(test)]
mod tests {
    use super::Size;

    #[test]
    fn sizes_are_whole_numbers_with_a_unit() {
        let bytes = |text: &str| Size::parse(text).map(|size| size.0);
        assert_eq!(bytes("512MiB"), Some(512 << 20));
        assert_eq!(bytes("2 GiB"), Some(2 << 30));
        for bad in ["2", "2GB", "-1GiB", "1.5GiB", "GiB", "99999999999TiB"] {
            assert_eq!(bytes(bad), None, "{bad}");
        }
    }
}
