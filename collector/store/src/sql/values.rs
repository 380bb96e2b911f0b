//! The four kinds of value that a database holds for us, and how Rust's own types become one.

/// A value as it lies in a row or goes into a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    Null,
    Int(i64),
    Text(&'a str),
    Blob(&'a [u8]),
}

impl Value<'_> {
    fn kind(self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Int(_) => "a number",
            Self::Text(_) => "a text",
            Self::Blob(_) => "bytes",
        }
    }

    pub(crate) fn int(self) -> Result<i64, String> {
        if let Self::Int(value) = self { Ok(value) } else { Err(format!("{} where a number belongs", self.kind())) }
    }
}

impl<'a> Value<'a> {
    pub(crate) fn text(self) -> Result<&'a str, String> {
        if let Self::Text(value) = self { Ok(value) } else { Err(format!("{} where a text belongs", self.kind())) }
    }

    pub(crate) fn blob(self) -> Result<&'a [u8], String> {
        if let Self::Blob(value) = self { Ok(value) } else { Err(format!("{} where bytes belong", self.kind())) }
    }
}

/// A [`Value`] that waits.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Owned {
    Null,
    Int(i64),
    Text(String),
    Blob(Vec<u8>),
}

impl Owned {
    pub(crate) fn value(&self) -> Value<'_> {
        match self {
            Self::Null => Value::Null,
            Self::Int(value) => Value::Int(*value),
            Self::Text(value) => Value::Text(value),
            Self::Blob(value) => Value::Blob(value),
        }
    }

    /// How much room it takes.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Null | Self::Int(_) => 8,
            Self::Text(value) => value.len(),
            Self::Blob(value) => value.len(),
        }
    }
}

impl From<Value<'_>> for Owned {
    fn from(value: Value<'_>) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Int(value) => Self::Int(value),
            Value::Text(value) => Self::Text(value.to_owned()),
            Value::Blob(value) => Self::Blob(value.to_owned()),
        }
    }
}

/// Values that are all texts.
pub(crate) fn texts<const N: usize>(texts: [&str; N]) -> Vec<Value<'_>> {
    texts.map(Value::Text).to_vec()
}

/// What may stand as a parameter.
pub(crate) trait Param {
    fn value(&self) -> Value<'_>;
}

/// What a column may be read as.
pub(crate) trait Column: Sized {
    fn read(value: Value<'_>) -> Result<Self, String>;
}

impl<P: Param + ?Sized> Param for &P {
    fn value(&self) -> Value<'_> {
        (**self).value()
    }
}

impl<P: Param> Param for Option<P> {
    fn value(&self) -> Value<'_> {
        self.as_ref().map_or(Value::Null, Param::value)
    }
}

impl<C: Column> Column for Option<C> {
    fn read(value: Value<'_>) -> Result<Self, String> {
        if value == Value::Null { Ok(None) } else { C::read(value).map(Some) }
    }
}

impl Param for str {
    fn value(&self) -> Value<'_> {
        Value::Text(self)
    }
}

impl Param for String {
    fn value(&self) -> Value<'_> {
        Value::Text(self)
    }
}

impl Column for String {
    fn read(value: Value<'_>) -> Result<Self, String> {
        value.text().map(str::to_owned)
    }
}

impl Param for i64 {
    fn value(&self) -> Value<'_> {
        Value::Int(*self)
    }
}

impl Column for i64 {
    fn read(value: Value<'_>) -> Result<Self, String> {
        value.int()
    }
}

impl Param for u32 {
    fn value(&self) -> Value<'_> {
        Value::Int(i64::from(*self))
    }
}

impl Column for u32 {
    fn read(value: Value<'_>) -> Result<Self, String> {
        let value = value.int()?;
        Self::try_from(value).map_err(|_| format!("{value} where a count of 32 bits belongs"))
    }
}

impl Column for bool {
    fn read(value: Value<'_>) -> Result<Self, String> {
        value.int().map(|value| value != 0)
    }
}

impl<const N: usize> Param for [u8; N] {
    fn value(&self) -> Value<'_> {
        Value::Blob(self)
    }
}

impl<const N: usize> Column for [u8; N] {
    fn read(value: Value<'_>) -> Result<Self, String> {
        let bytes = value.blob()?;
        Self::try_from(bytes).map_err(|_| format!("{} bytes where {N} belong", bytes.len()))
    }
}

/// All parameters of a query.
pub(crate) trait Params {
    fn values(&self) -> Vec<Value<'_>>;
}

impl Params for &[&dyn Param] {
    fn values(&self) -> Vec<Value<'_>> {
        self.iter().map(|param| param.value()).collect()
    }
}

impl<P: Param, const N: usize> Params for [P; N] {
    fn values(&self) -> Vec<Value<'_>> {
        self.iter().map(Param::value).collect()
    }
}
