//! How the findings of an incident are written: a list of pairs, because a finding's name is no JSON key.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serializer};
use upheld_model::FindingId;

use super::Symptom;

pub(super) fn serialize<S: Serializer>(
    symptoms: &BTreeMap<FindingId, Symptom>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(symptoms)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<FindingId, Symptom>, D::Error> {
    Ok(Vec::<(FindingId, Symptom)>::deserialize(deserializer)?.into_iter().collect())
}
