//! What the answer to a look-up says: whether the receiver has a message.
//!
//! | answer | the message |
//! |---|---|
//! | 404 | is not there |
//! | 200, a JSON list, or an object with a list [`LISTS`] names: empty | is not there |
//! | the same, and an entry has the key in one of its texts | is there; the entry's `reference` names it |
//! | 200, an object without such a list, `{"reference": "TKT-17"}` | is there, by that name |
//! | anything else | nobody knows |
//!
//! A list in which no entry has the key is nobody's answer to the question: a search that ignores what it is asked for
//! lists other tickets, and a message that was never taken would count as delivered.

use reqwest::Response;
use serde_json::Value;

use super::answer;
use crate::{DeliveryKey, LookUp};

/// What ticket systems call the list in the answer to a search.
const LISTS: &[&str] = &["results", "result", "tickets", "issues"];

/// What an answered look-up says.
pub(super) async fn to_look_up(response: Response, key: &DeliveryKey) -> LookUp {
    let status = response.status();
    match status.as_u16() {
        404 => LookUp::NotFound,
        200 => match answer::body(response).await {
            Ok(body) => said(&body, key),
            Err(why) => failed(&why),
        },
        _ => LookUp::Failed { why: format!("the look-up was answered with {status}") },
    }
}

/// What the body of a 200 says.
fn said(body: &[u8], key: &DeliveryKey) -> LookUp {
    let Ok(answer) = serde_json::from_slice::<Value>(body) else { return failed("is not JSON") };
    let lists: Vec<&Vec<Value>> = match &answer {
        Value::Array(list) => vec![list],
        Value::Object(fields) => LISTS.iter().filter_map(|name| fields.get(*name)?.as_array()).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => vec![],
    };
    let named = |of: &Value| of.get("reference").and_then(Value::as_str).and_then(answer::plain);
    match (lists.is_empty(), named(&answer)) {
        (true, Some(reference)) => return LookUp::Found { reference },
        (true, None) => {
            return failed("is neither a list, nor has it \"results\" or a \"reference\"");
        }
        (false, Some(_)) => return failed("has both a \"reference\" and a list"),
        (false, None) => {}
    }
    let mut entries = lists.iter().copied().flatten();
    match entries.clone().count() {
        0 => LookUp::NotFound,
        count => match entries.find(|entry| has(entry, key)) {
            Some(entry) => LookUp::Found { reference: named(entry).unwrap_or_else(|| key.to_string()) },
            None => failed(&format!(
                "lists {count}, none of which has the webhook-id {key} in it: does look_up search for it, \
                 and is the field among what is answered?"
            )),
        },
    }
}

/// Whether the key stands in a text of an entry. How deep one may be is bounded by the JSON reader.
fn has(entry: &Value, key: &DeliveryKey) -> bool {
    match entry {
        Value::String(text) => text.contains(key.as_str()),
        Value::Array(list) => list.iter().any(|value| has(value, key)),
        Value::Object(fields) => fields.values().any(|value| has(value, key)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

fn failed(why: &str) -> LookUp {
    LookUp::Failed { why: format!("the answer to the look-up {why}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(body: &str) -> Result<Option<String>, String> {
        match said(body.as_bytes(), &"inc-2041-opened".parse().unwrap()) {
            LookUp::Found { reference } => Ok(Some(reference)),
            LookUp::NotFound => Ok(None),
            LookUp::Failed { why } => Err(why),
            LookUp::Unsupported => panic!("it was asked"),
        }
    }

    #[test]
    fn an_entry_with_the_key_or_a_reference_is_there_and_an_empty_list_is_not() {
        for (body, reference) in [
            (r#"{"reference": "TKT-17"}"#, "TKT-17"),
            (r#"{"reference": "\u001bTKT-17", "title": "x"}"#, "TKT-17"),
            (r#"[{"id": 17, "external_ref": "inc-2041-opened"}]"#, "inc-2041-opened"),
            (r#"[{"id": 16, "fields": []}, {"reference": "TKT-17", "text": "upheld: inc-2041-opened."}]"#, "TKT-17"),
            (r#"["inc-2041-opened"]"#, "inc-2041-opened"),
            (r#"{"count": 1, "results": [{"custom": {"fields": [{"value": "inc-2041-opened"}]}}]}"#, "inc-2041-opened"),
            (r#"{"tickets": [], "issues": [{"reference": "A-1", "k": "inc-2041-opened"}]}"#, "A-1"),
        ] {
            assert_eq!(asked(body), Ok(Some(reference.to_owned())), "{body}");
        }
        for body in ["[]", r#"{"results": []}"#, r#"{"query": "inc-2041-opened", "result": [], "total": 0}"#] {
            assert_eq!(asked(body), Ok(None), "{body}");
        }
    }

    #[test]
    fn whatever_else_it_says_nobody_knows() {
        let deep = "[".repeat(50_000);
        for (body, why) in [
            ("", "not JSON"),
            ("<html>log in</html>", "not JSON"),
            (r#"[{"external_ref": "inc-2041-opened"}"#, "not JSON"),
            (deep.as_str(), "not JSON"),
            ("null", "neither"),
            ("{}", "neither"),
            ("true", "neither"),
            (r#""inc-2041-opened""#, "neither"),
            (r#"{"error": "no ticket inc-2041-opened"}"#, "neither"),
            (r#"{"results": null}"#, "neither"),
            (r#"{"reference": ""}"#, "neither"),
            (r#"{"reference": "inc-2041-opened", "results": []}"#, "both"),
            (
                r#"[{"external_ref": "inc-2040-opened"}, 17]"#,
                "lists 2, none of which has the webhook-id inc-2041-opened",
            ),
            ("[null]", "lists 1"),
        ] {
            let said = asked(body).unwrap_err();
            assert!(said.contains(why), "{body}: {said}");
        }
    }
}
