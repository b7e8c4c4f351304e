//! The form in which events are shown: `event_fields` and `event_format` of a filter (Client-Server API, Filtering).

use serde_json::{Map, Value, value::RawValue};

/// How events are shown.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shape {
    /// Paths of the fields to show; `None`: all.
    fields: Option<Vec<Vec<String>>>,
    /// As other servers know them.
    federation: bool,
}

impl Shape {
    pub(crate) fn new(fields: Option<&[String]>, federation: bool) -> Self {
        Self { fields: fields.map(|fields| fields.iter().map(|field| path(field)).collect()), federation }
    }

    /// Whether the JSON of other servers is needed.
    pub(crate) fn is_federation(&self) -> bool {
        self.federation
    }

    /// `client`, an event as clients see it, in this form. `pdu` is how other servers know it, where that was asked for: then shown with
    /// the event's id and with what `unsigned` tells this client.
    pub(crate) fn of(&self, client: String, pdu: Option<&[u8]>) -> Result<Box<RawValue>, serde_json::Error> {
        if self.fields.is_none() && pdu.is_none() {
            return RawValue::from_string(client);
        }
        let mut event: Map<String, Value> = serde_json::from_str(&client)?;
        if let Some(pdu) = pdu {
            let shown = event;
            event = serde_json::from_slice(pdu)?;
            for name in ["event_id", "unsigned"] {
                event.extend(shown.get(name).map(|value| (name.to_owned(), value.clone())));
            }
        }
        match &self.fields {
            None => serde_json::value::to_raw_value(&event),
            Some(fields) => {
                let mut selected = Map::new();
                for path in fields {
                    select(path, &event, &mut selected);
                }
                serde_json::value::to_raw_value(&selected)
            }
        }
    }
}

/// The names of a dot-separated path (Appendices, Dot-separated property paths).
fn path(field: &str) -> Vec<String> {
    let (mut names, mut chars) = (vec![String::new()], field.chars().peekable());
    while let Some(char) = chars.next() {
        let escaped = if char == '\\' { chars.next_if(|next| matches!(next, '.' | '\\')) } else { None };
        match (escaped, char) {
            (None, '.') => names.push(String::new()),
            (escaped, char) => names.last_mut().into_iter().for_each(|name| name.push(escaped.unwrap_or(char))),
        }
    }
    names
}

/// Puts what is at `path` in `from` to the same place in `to`.
fn select(path: &[String], from: &Map<String, Value>, to: &mut Map<String, Value>) {
    let Some((name, rest)) = path.split_first() else { return };
    let Some(value) = from.get(name) else { return };
    match (rest, value) {
        ([], value) => drop(to.insert(name.clone(), value.clone())),
        (rest, Value::Object(from)) => {
            let mut below = match to.remove(name) {
                Some(Value::Object(below)) => below,
                _ => Map::new(),
            };
            select(rest, from, &mut below);
            if !below.is_empty() {
                to.insert(name.clone(), below.into());
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn paths() {
        for (field, names) in [
            ("content.body", &["content", "body"][..]),
            (r"content.m\.relates_to.event_id", &["content", "m.relates_to", "event_id"]),
            (r"content.m\\foo", &["content", r"m\foo"]),
            (r"a\x", &[r"a\x"]),
            (r"a\", &[r"a\"]),
            ("", &[""]),
        ] {
            assert_eq!(path(field), names, "{field}");
        }
    }

    #[test]
    fn fields() {
        let event =
            json!({ "type": "m.room.message", "content": { "body": "hello", "msgtype": "m.text", "m.x": { "y": 1 } } });
        let shown = |fields: &[&str]| {
            let fields: Vec<String> = fields.iter().map(|field| (*field).to_owned()).collect();
            let shown = Shape::new(Some(&fields), false).of(event.to_string(), None).unwrap();
            serde_json::from_str::<Value>(shown.get()).unwrap()
        };
        assert_eq!(
            shown(&["content.body", r"content.m\.x.y"]),
            json!({ "content": { "body": "hello", "m.x": { "y": 1 } } })
        );
        assert_eq!(shown(&["type", "sender", "content.none", "type.x"]), json!({ "type": "m.room.message" }));
        assert_eq!(shown(&["content", "content.body"])["content"]["body"], "hello");
        assert_eq!(shown(&[]), json!({}));
        assert_eq!(Shape::default().of(event.to_string(), None).unwrap().get(), event.to_string());
    }

    #[test]
    fn as_other_servers_know_it() {
        let client = json!({ "event_id": "$1", "content": {}, "unsigned": { "age": 5 }, "type": "x" }).to_string();
        let pdu = json!({ "content": { "a": 1 }, "depth": 3, "hashes": {}, "type": "x", "unsigned": { "age": 7 } })
            .to_string();
        let shown = Shape::new(None, true).of(client, Some(pdu.as_bytes())).unwrap();
        let expected = json!({
            "content": { "a": 1 }, "depth": 3, "hashes": {}, "type": "x", "event_id": "$1", "unsigned": { "age": 5 },
        });
        assert_eq!(serde_json::from_str::<Value>(shown.get()).unwrap(), expected);
    }
}
