//! JSON as clients send it: strict where two readers could understand two things, bounded everywhere (V-18).
//!
//! A tree of its own keeps the order of an object's keys, in which a PATCH without a path is carried out, and takes a fraction
//! of the memory of maps where a group of 50,000 members comes in.
use std::{cell::Cell, fmt};

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::{
    error::{Reason, ScimError},
    limits::{JSON_DEPTH_MAX, JSON_KEYS_MAX, JSON_VALUES_MAX, TEXT_BYTES_MAX},
};

/// One value, as it came.
#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    Null,
    Bool(bool),
    Number(Number),
    Text(Box<str>),
    Array(Vec<Node>),
    /// No two keys are equal, not even without regard to case (RFC 7643 2.1).
    Object(Vec<(Box<str>, Node)>),
}

impl Node {
    /// Reads a body of up to `bytes_max` bytes.
    pub fn parse(body: &[u8], bytes_max: usize) -> Result<Self, ScimError> {
        if body.len() > bytes_max {
            return Err(Reason::BodyTooLarge.error(format!("The body is longer than {bytes_max} bytes.")));
        }
        let why = Cell::new(None);
        let values = Cell::new(0);
        let mut json = serde_json::Deserializer::from_slice(body);
        let read = Reader { depth: 0, values: &values, why: &why }
            .deserialize(&mut json)
            .and_then(|node| json.end().map(|()| node));
        read.map_err(|error| match why.get() {
            Some(reason) => reason.bare(),
            None => Reason::NotJson.error(format!(
                "The body is no JSON: line {}, column {}.",
                error.line(),
                error.column()
            )),
        })
    }

    /// [`Self::parse`], of what must be an object.
    pub fn parse_object(body: &[u8], bytes_max: usize) -> Result<Self, ScimError> {
        let node = Self::parse(body, bytes_max)?;
        match node {
            Self::Object(_) => Ok(node),
            _ => Err(Reason::NotAnObject.bare()),
        }
    }

    /// The value under a key, without regard to case.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entries().iter().find(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, node)| node)
    }

    /// [`Self::get`], to be changed.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Node> {
        let Self::Object(entries) = self else { return None };
        entries.iter_mut().find(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, node)| node)
    }

    /// The value under a key, taken out.
    pub fn take(&mut self, key: &str) -> Option<Node> {
        let Self::Object(entries) = self else { return None };
        let at = entries.iter().position(|(name, _)| name.eq_ignore_ascii_case(key))?;
        Some(entries.swap_remove(at).1)
    }

    /// The value, or the only one of an array of one, in which it may stand.
    pub fn only(&self) -> &Node {
        match self {
            Self::Array(items) if items.len() == 1 => items.first().unwrap_or(self),
            _ => self,
        }
    }

    /// What an object holds; nothing for anything else.
    pub fn entries(&self) -> &[(Box<str>, Node)] {
        match self {
            Self::Object(entries) => entries,
            _ => &[],
        }
    }

    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Whether it says that there is nothing: null, an empty array (RFC 7643 2.5), or the empty text that some clients send.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Null => true,
            Self::Text(text) => text.is_empty(),
            Self::Array(items) => items.is_empty(),
            _ => false,
        }
    }

    /// As the rest of the world knows it.
    pub fn to_value(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(bool) => Value::Bool(*bool),
            Self::Number(number) => Value::Number(number.clone()),
            Self::Text(text) => Value::String(text.to_string()),
            Self::Array(items) => Value::Array(items.iter().map(Self::to_value).collect()),
            Self::Object(entries) => {
                let pairs = entries.iter().map(|(key, node)| (key.to_string(), node.to_value()));
                Value::Object(pairs.collect::<Map<_, _>>())
            }
        }
    }
}

impl From<&Value> for Node {
    fn from(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(bool) => Self::Bool(*bool),
            Value::Number(number) => Self::Number(number.clone()),
            Value::String(text) => Self::Text(text.as_str().into()),
            Value::Array(items) => Self::Array(items.iter().map(Self::from).collect()),
            Value::Object(map) => {
                Self::Object(map.iter().map(|(key, value)| (key.as_str().into(), value.into())).collect())
            }
        }
    }
}

#[derive(Clone, Copy)]
struct Reader<'a> {
    depth: usize,
    values: &'a Cell<usize>,
    /// Why it failed, which the error type of JSON cannot say.
    why: &'a Cell<Option<Reason>>,
}

impl<'a> Reader<'a> {
    fn fail<E: Error>(&self, reason: Reason) -> E {
        self.why.set(Some(reason));
        E::custom(reason.message())
    }

    fn count<E: Error>(&self) -> Result<(), E> {
        self.values.set(self.values.get() + 1);
        if self.values.get() > JSON_VALUES_MAX { Err(self.fail(Reason::TooManyValues)) } else { Ok(()) }
    }

    fn below<E: Error>(&self) -> Result<Reader<'a>, E> {
        if self.depth >= JSON_DEPTH_MAX {
            return Err(self.fail(Reason::TooDeep));
        }
        Ok(Reader { depth: self.depth + 1, ..*self })
    }

    fn text<E: Error>(&self, text: &str) -> Result<Box<str>, E> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(self.fail(Reason::TextTooLong));
        }
        if text.contains('\0') {
            return Err(self.fail(Reason::TextForbidden));
        }
        Ok(text.into())
    }
}

impl<'de> DeserializeSeed<'de> for Reader<'_> {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        self.count()?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reader<'_> {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E: Error>(self, bool: bool) -> Result<Node, E> {
        Ok(Node::Bool(bool))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Node, E> {
        Ok(Node::Number(number.into()))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Node, E> {
        Ok(Node::Number(number.into()))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Node, E> {
        Number::from_f64(number).map(Node::Number).ok_or_else(|| self.fail(Reason::NotJson))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Node, E> {
        self.text(text).map(Node::Text)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let below = self.below()?;
        let mut array = Vec::new();
        while let Some(item) = items.next_element_seed(below)? {
            array.push(item);
        }
        Ok(Node::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let below = self.below()?;
        let mut entries: Vec<(Box<str>, Node)> = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            let key = self.text(&key)?;
            if entries.len() >= JSON_KEYS_MAX {
                return Err(self.fail(Reason::TooManyValues));
            }
            if entries.iter().any(|(other, _)| other.eq_ignore_ascii_case(&key)) {
                return Err(self.fail(Reason::DuplicateKey));
            }
            entries.push((key, map.next_value_seed(below)?));
        }
        entries.shrink_to_fit();
        Ok(Node::Object(entries))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::scim::limits::GROUP_BODY_BYTES_MAX;

    fn code(body: &[u8]) -> Option<&'static str> {
        Node::parse(body, 1024 * 1024).err().map(|error| error.code)
    }

    #[test]
    fn v_18_what_two_readers_could_understand_differently_is_refused() {
        for (body, expected) in [
            (r#"{"active":true,"active":false}"#, "scim_duplicate_key"),
            (r#"{"active":true,"Active":false}"#, "scim_duplicate_key"),
            (r#"{"a":{"b":[{"c":1,"C":2}]}}"#, "scim_duplicate_key"),
            (r#"{"a":"b\u0000c"}"#, "scim_text_forbidden"),
            (r#"{"a\u0000":1}"#, "scim_text_forbidden"),
            (r#"{"a":"\ud800"}"#, "scim_not_json"),
            (r#"{"a":NaN}"#, "scim_not_json"),
            (r#"{"a":1e999}"#, "scim_not_json"),
            (r#"{"a":1} {"a":2}"#, "scim_not_json"),
            (r#"{"a":1,}"#, "scim_not_json"),
            ("\u{feff}{}", "scim_not_json"),
            ("", "scim_not_json"),
        ] {
            assert_eq!(code(body.as_bytes()), Some(expected), "{body}");
        }
        assert_eq!(code(b"\"\xff\""), Some("scim_not_json"));
        assert_eq!(code(br#"{"a":18446744073709551616,"b":-1,"c":1.5,"d":"\ud83d\ude00"}"#), None);
        let not_object = Node::parse_object(b"[]", 10).unwrap_err();
        assert_eq!(not_object.code, "scim_not_an_object");
    }

    #[test]
    fn v_18_bodies_are_bounded() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(code(nested(JSON_DEPTH_MAX).as_bytes()), None);
        assert_eq!(code(nested(JSON_DEPTH_MAX + 1).as_bytes()), Some("scim_too_deep"));
        assert_eq!(code(nested(500_000).as_bytes()), Some("scim_too_deep"));
        assert_eq!(code("{\"a\":".repeat(200_000).as_bytes()), Some("scim_too_deep"));

        let values = |count: usize| format!("[{}]", vec!["1"; count - 1].join(","));
        assert_eq!(code(values(JSON_VALUES_MAX).as_bytes()), None);
        assert_eq!(code(values(JSON_VALUES_MAX + 1).as_bytes()), Some("scim_too_many_values"));
        let keys = |count: usize| {
            format!("{{{}}}", (0..count).map(|n| format!("\"k{n}\":0")).collect::<Vec<_>>().join(","))
        };
        assert_eq!(code(keys(JSON_KEYS_MAX).as_bytes()), None);
        assert_eq!(code(keys(JSON_KEYS_MAX + 1).as_bytes()), Some("scim_too_many_values"));

        assert_eq!(code(format!("\"{}\"", "a".repeat(TEXT_BYTES_MAX)).as_bytes()), None);
        assert_eq!(
            code(format!("\"{}\"", "a".repeat(TEXT_BYTES_MAX + 1)).as_bytes()),
            Some("scim_text_too_long")
        );
        let member = r#"{"value":"v","display":"d","type":"User","$ref":null}"#;
        let group = format!("{{\"displayName\":\"g\",\"members\":[{}]}}", vec![member; 50_000].join(","));
        assert!(Node::parse(group.as_bytes(), GROUP_BODY_BYTES_MAX).is_ok());
        let long = Node::parse(b"[1,2]", 4).unwrap_err();
        assert_eq!((long.status, long.code), (413, "scim_body_too_large"));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn v_18_no_octets_panic(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Node::parse(&octets, 1024);
        }
    }
}
