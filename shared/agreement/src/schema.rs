//! The words of explanations as schemas, for the description of the API. Closed vocabularies list their words; names of
//! the book are text. No machine of this crate reads them.

use std::borrow::Cow;

use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, Schema, schema::Type},
};

use crate::{
    clock::{CancelReason, DisputeOutcome},
    ratio::Ratio,
    terms::CoveredSeconds,
    words::{BookName, Manner, MeasuredFrom, PauseReason, Priority, Stage},
};

macro_rules! vocabularies {
    ($($name:ident),+) => {$(
        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                let words = Self::ALL.iter().map(|word| word.as_str());
                ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words)).into()
            }
        }

        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                Cow::Borrowed(stringify!($name))
            }
        }
    )+};
}

macro_rules! texts {
    ($($name:ident: $what:literal, $example:literal);+) => {$(
        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                let text = ObjectBuilder::new().schema_type(Type::String).description(Some($what));
                text.examples([$example]).into()
            }
        }

        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                Cow::Borrowed(stringify!($name))
            }
        }
    )+};
}

vocabularies!(Stage, Manner, MeasuredFrom, Priority, CancelReason, DisputeOutcome);
texts!(
    BookName: "The name of a file of the book, without its ending.", "business";
    PauseReason: "A reason for which the terms let a clock stand.", "site-access";
    Ratio: "A fraction.", "3/4"
);

impl PartialSchema for CoveredSeconds {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0)).into()
    }
}

impl ToSchema for CoveredSeconds {}
