//! How Upheld's types lie in columns.

use std::{fmt::Display, str::FromStr};

use jiff::Timestamp;
use upheld_model::{Digest, RecordId};

use super::values::{Column, Param, Value};

/// An instant, in microseconds: jiff's whole range fits 64 bits so.
pub(crate) struct At(pub(crate) Timestamp);

impl Param for At {
    fn value(&self) -> Value<'_> {
        Value::Int(self.0.as_microsecond())
    }
}

impl Column for At {
    fn read(value: Value<'_>) -> Result<Self, String> {
        Timestamp::from_microsecond(value.int()?).map(Self).map_err(|error| error.to_string())
    }
}

/// A text column that is parsed into one of our types.
pub(crate) struct Parsed<T>(pub(crate) T);

impl<T: FromStr<Err: Display>> Column for Parsed<T> {
    fn read(value: Value<'_>) -> Result<Self, String> {
        value.text()?.parse().map(Self).map_err(|error: T::Err| error.to_string())
    }
}

/// A digest, 32 bytes.
pub(crate) struct Sha(pub(crate) Digest);

impl Column for Sha {
    fn read(value: Value<'_>) -> Result<Self, String> {
        Column::read(value).map(|bytes| Self(Digest(bytes)))
    }
}

/// A record's id, or a salt: 16 bytes.
pub(crate) struct Id16(pub(crate) RecordId);

impl Column for Id16 {
    fn read(value: Value<'_>) -> Result<Self, String> {
        Column::read(value).map(|bytes| Self(RecordId(bytes)))
    }
}

/// A count or a random number of 64 bits: columns are signed, the bits are kept.
pub(crate) struct Bits(pub(crate) u64);

impl Param for Bits {
    fn value(&self) -> Value<'_> {
        Value::Int(self.0.cast_signed())
    }
}

impl Column for Bits {
    fn read(value: Value<'_>) -> Result<Self, String> {
        value.int().map(|bits| Self(bits.cast_unsigned()))
    }
}
