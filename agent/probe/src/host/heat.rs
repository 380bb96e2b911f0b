//! Temperatures of this host's parts, where they are told.

use sysinfo::Components;

/// So many are sent.
const SENSORS_MAX: usize = 16;

/// One sensor.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sensor {
    pub(super) label: String,
    pub(super) celsius: f32,
    /// At which the part's maker calls it critical.
    pub(super) critical: Option<f32>,
}

impl Sensor {
    /// That it is too hot, in a sentence.
    pub(super) fn fault(&self) -> Option<String> {
        let critical = self.critical.filter(|critical| (30.0..=150.0).contains(critical))?;
        let Self { label, celsius, .. } = self;
        (*celsius >= critical).then(|| format!("{label} is at {celsius:.0} °C, which its maker calls critical"))
    }
}

/// Those that give a number that can be one.
pub(super) fn sensors(components: &mut Option<Components>) -> Vec<Sensor> {
    match components {
        Some(components) => components.refresh(true),
        None => *components = Components::new_with_refreshed_list().ok(),
    }
    let Some(components) = components else { return Vec::new() };
    let sensor = |part: &sysinfo::Component| {
        let celsius = part.temperature().filter(|celsius| (-60.0..=200.0).contains(celsius))?;
        let label: String = part.label().chars().filter(|c| !c.is_control()).take(48).collect();
        Some(Sensor { label, celsius, critical: part.critical() })
    };
    components.iter().filter_map(sensor).take(SENSORS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_reaches_its_makers_limit_is_told_and_a_limit_that_cannot_be_one_is_not_believed() {
        let sensor = |celsius, critical| Sensor { label: "coretemp Core 0".to_owned(), celsius, critical };
        let told = sensor(101.4, Some(100.0)).fault().unwrap();
        assert_eq!(told, "coretemp Core 0 is at 101 °C, which its maker calls critical");
        assert_eq!(sensor(99.0, Some(100.0)).fault(), None);
        assert_eq!(sensor(99.0, None).fault(), None);
        assert_eq!(sensor(40.0, Some(0.0)).fault(), None);
    }
}
