//! The names of all audit events, as serde knows them: a list by hand would be one name short some day.
use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error, Visitor, value},
    forward_to_deserialize_any,
};

use super::AuditAction;

impl AuditAction {
    /// Every name in the log and in the store, in the order in which the events are listed.
    pub fn names() -> Vec<&'static str> {
        let mut names: &'static [&'static str] = &[];
        // It only asks for the names, and gets no event.
        let _ = Self::deserialize(Asking(&mut names));
        names.to_vec()
    }
}

/// Takes down which variants an enum has, and answers with none.
struct Asking<'a>(&'a mut &'static [&'static str]);

impl<'de> Deserializer<'de> for Asking<'_> {
    type Error = value::Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Self::Error> {
        Err(Self::Error::custom(NotAnEnum))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Self::Error> {
        *self.0 = variants;
        Err(Self::Error::custom(NotAnEnum))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

struct NotAnEnum;

impl fmt::Display for NotAnEnum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nothing is read here")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_are_written() {
        let names = AuditAction::names();
        for action in [AuditAction::AddMember, AuditAction::SignOut, AuditAction::UpdateOrganization] {
            assert!(names.contains(&action.name().as_str()), "{action:?}");
        }
        let mut once = names.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!(once.len(), names.len());
    }

    #[test]
    fn every_name_is_documented() {
        for name in AuditAction::names() {
            let entry = format!("| `{name}` |");
            assert!(include_str!("../../docs/WEBHOOKS.md").contains(&entry), "{entry}");
        }
    }
}
