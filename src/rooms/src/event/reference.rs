//! How an event names others: by their ids, and in rooms of version 2 each with a hash (Matrix specification, Room Version 1,
//! Event format; Room Version 3, Event format).

use std::{collections::HashMap, fmt};

use ruma::{CanonicalJsonObject, CanonicalJsonValue, OwnedEventId, room_version_rules::EventsReferenceFormatVersion};
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, SeqAccess, Visitor},
};

use crate::RoomError;

/// Reference hashes by event id. Empty in rooms whose references have none.
pub(crate) type Hashes = HashMap<OwnedEventId, String>;

/// The JSON of references to `ids`.
///
/// # Errors
/// A hash is missing: a fault of the caller.
pub(crate) fn references(
    format: EventsReferenceFormatVersion,
    ids: &[OwnedEventId],
    hashes: &Hashes,
) -> Result<CanonicalJsonValue, RoomError> {
    let reference = |id: &OwnedEventId| -> Result<CanonicalJsonValue, RoomError> {
        if format != EventsReferenceFormatVersion::V1 {
            return Ok(id.as_str().into());
        }
        let hash = hashes.get(id).ok_or_else(|| RoomError::BadJson(format!("no hash of {id} is known")))?;
        let hash = CanonicalJsonObject::from([("sha256".to_owned(), hash.as_str().into())]);
        Ok(vec![CanonicalJsonValue::from(id.as_str()), hash.into()].into())
    };
    Ok(ids.iter().map(reference).collect::<Result<Vec<_>, _>>()?.into())
}

/// The ids that references of either form name.
pub(super) fn ids<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<OwnedEventId>, D::Error> {
    let references = Vec::<Reference>::deserialize(deserializer)?;
    Ok(references.into_iter().map(|reference| reference.0).collect())
}

struct Reference(OwnedEventId);

impl<'de> Deserialize<'de> for Reference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ReferenceVisitor)
    }
}

struct ReferenceVisitor;

impl<'de> Visitor<'de> for ReferenceVisitor {
    type Value = Reference;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event id, or a pair of an event id and hashes")
    }

    fn visit_str<E: serde::de::Error>(self, id: &str) -> Result<Reference, E> {
        ruma::EventId::parse(id).map(Reference).map_err(E::custom)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut pair: A) -> Result<Reference, A::Error> {
        let short = |length| serde::de::Error::invalid_length(length, &"a pair");
        let id: OwnedEventId = pair.next_element()?.ok_or_else(|| short(0))?;
        pair.next_element::<IgnoredAny>()?.ok_or_else(|| short(1))?;
        match pair.next_element::<IgnoredAny>()? {
            None => Ok(Reference(id)),
            Some(_) => Err(short(3)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read_and_nothing_else() {
        let read = |json: &str| ids(&mut serde_json::Deserializer::from_str(json));
        let expected: Vec<OwnedEventId> = vec!["$a:b.c".try_into().unwrap(), "$d".try_into().unwrap()];
        assert_eq!(read(r#"[["$a:b.c", {"sha256": "x"}], "$d"]"#).unwrap(), expected);
        for bad in [r#"["a"]"#, r#"[["$a"]]"#, "[[]]", r#"[["$a", {}, 1]]"#, "[1]", "{}", r#"[{"$a": 1}]"#] {
            assert!(read(bad).is_err(), "{bad}");
        }
        let hashes = Hashes::from([(expected[0].clone(), "x".to_owned()), (expected[1].clone(), "y".to_owned())]);
        for (format, json) in [
            (EventsReferenceFormatVersion::V1, r#"[["$a:b.c",{"sha256":"x"}],["$d",{"sha256":"y"}]]"#),
            (EventsReferenceFormatVersion::V2, r#"["$a:b.c","$d"]"#),
        ] {
            let written = serde_json::to_string(&references(format, &expected, &hashes).unwrap()).unwrap();
            assert_eq!(written, json);
            assert_eq!(read(&written).unwrap(), expected);
        }
        assert!(references(EventsReferenceFormatVersion::V1, &expected, &Hashes::new()).is_err());
    }
}
