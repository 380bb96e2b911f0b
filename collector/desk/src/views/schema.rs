//! The model's closed vocabularies as schemas: the model itself knows nothing of the API.

use upheld_model::{Cause, IncidentClass, IncidentKind};
use utoipa::openapi::{
    ObjectBuilder, Schema,
    schema::{SchemaType, Type},
};

pub(crate) fn cause() -> Schema {
    words(Cause::ALL.iter().map(|cause| cause.as_str()))
}

pub(crate) fn class() -> Schema {
    words(IncidentClass::ALL.iter().map(|class| class.as_str()))
}

pub(crate) fn kind() -> Schema {
    words(IncidentKind::ALL.iter().map(|kind| kind.as_str()))
}

/// A class, or null.
pub(crate) fn optional_class() -> Schema {
    let words = IncidentClass::ALL.iter().map(|class| Some(class.as_str())).chain([None]);
    let types = SchemaType::from_iter([Type::String, Type::Null]);
    ObjectBuilder::new().schema_type(types).enum_values(Some(words)).into()
}

fn words(words: impl Iterator<Item = &'static str>) -> Schema {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words)).into()
}
