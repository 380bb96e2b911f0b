//! The canonical form: one text for one meaning, so that a hash names it.
//!
//! JSON with sorted keys, no spaces, and no floating point anywhere. What is hashed never depends on the order in
//! which something was written, nor on which features of serde_json the rest of the program switched on.

use serde::Serialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use upheld_model::Digest;

/// The canonical JSON of `meaning`.
pub fn canonical_json<T: Serialize>(meaning: &T) -> String {
    // Serialising to a `Value` fails for map keys that are not strings and for a Serialize that says no; the types of
    // this crate have neither, which the tests of each of them show by calling this.
    let value = serde_json::to_value(meaning).expect("the agreement's types are plain data with string keys");
    let mut text = String::new();
    write(&value, &mut text);
    text
}

/// The SHA-256 of the canonical JSON.
pub fn digest<T: Serialize>(meaning: &T) -> Digest {
    Digest(Sha256::digest(canonical_json(meaning).as_bytes()).into())
}

fn write(value: &Value, text: &mut String) {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => text.push_str(&value.to_string()),
        Value::Array(items) => {
            let mut separator = '[';
            for item in items {
                text.push(separator);
                write(item, text);
                separator = ',';
            }
            text.push_str(if items.is_empty() { "[]" } else { "]" });
        }
        Value::Object(fields) => {
            let mut sorted: Vec<_> = fields.iter().collect();
            sorted.sort_by_key(|(key, _)| *key);
            let mut separator = '{';
            for (key, item) in sorted {
                text.push(separator);
                text.push_str(&Value::String(key.clone()).to_string());
                text.push(':');
                write(item, text);
                separator = ',';
            }
            text.push_str(if fields.is_empty() { "{}" } else { "}" });
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_order_of_writing_does_not_show() {
        let text = r#"{"b":[1,{"z":null,"a":"x\"y"}],"a":{},"c":[]}"#;
        let value: Value = serde_json::from_str(text).unwrap();
        assert_eq!(canonical_json(&value), r#"{"a":{},"b":[1,{"a":"x\"y","z":null}],"c":[]}"#);
        assert_eq!(digest(&json!({"a":1,"b":2})), digest(&json!({"b":2,"a":1})));
        assert_ne!(digest(&json!([1, 2])), digest(&json!([2, 1])));
    }
}
