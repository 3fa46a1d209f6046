//! The JSON face of a structure: PortaBilling's JSON API has the same structures, with looser types.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};

use crate::{Any, JsonScalar, Slot, Structure, Value, View};

/// A structure as JSON: absent members are left out, nil is `null`.
///
/// Secrets are written, as JSON is a wire form too; what is shown to people goes through `Debug`.
pub struct Json<'a>(pub &'a dyn Structure);

/// Reads a structure, taking what PortaBilling's JSON does: numbers as strings and strings as numbers, `Y`/`N` and
/// `0`/`1`, `[]` for an empty structure, members it doesn't know.
///
/// # Errors
/// Those of the deserializer, and values that can't be of their member's type.
pub fn from_json<'de, T: Structure + Default, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    let mut structure = T::default();
    StructureSeed(&mut structure).deserialize(deserializer)?;
    Ok(structure)
}

/// Reads JSON over a structure that is there already: members that the JSON doesn't have stay as they are, `null`
/// makes a member nil, a list replaces a list.
///
/// # Errors
/// As for [`from_json`]; the structure may then be filled in part.
pub fn fill_json<'de, D: Deserializer<'de>>(
    structure: &mut dyn Structure,
    deserializer: D,
) -> Result<(), D::Error> {
    StructureSeed(structure).deserialize(deserializer)
}

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (index, member) in self.0.shape().members.iter().enumerate() {
            match self.0.member(index).view() {
                View::Absent => {}
                View::List(list) if list.is_empty() && member.optional => {}
                view => map.serialize_entry(member.name, &Face(view))?,
            }
        }
        map.end()
    }
}

struct Face<'a>(View<'a>);

impl Serialize for Face<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            View::Absent | View::Nil => serializer.serialize_unit(),
            View::Scalar(scalar) => match scalar.json() {
                JsonScalar::Text(text) => serializer.serialize_str(&text),
                JsonScalar::Integer(number) => serializer.serialize_i64(number),
                JsonScalar::Unsigned(number) => serializer.serialize_u64(number),
                JsonScalar::Number(number) => serializer.serialize_f64(number),
                JsonScalar::Boolean(flag) => serializer.serialize_bool(flag),
            },
            View::Structure(structure) => Json(structure).serialize(serializer),
            View::List(list) => {
                let mut seq = serializer.serialize_seq(Some(list.len()))?;
                for index in 0..list.len() {
                    seq.serialize_element(&Face(list.item(index).view()))?;
                }
                seq.end()
            }
            View::Any(any) => any.serialize(serializer),
        }
    }
}

impl Serialize for Any {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Any::Nil => serializer.serialize_unit(),
            Any::Text(text) => serializer.serialize_str(text),
            Any::Structure(members) => {
                serializer.collect_map(members.iter().map(|(name, value)| (name, value)))
            }
            Any::List(items) => serializer.collect_seq(items),
        }
    }
}

impl<'de> serde::Deserialize<'de> for Any {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut any = Any::Nil;
        ValueSeed(&mut any).deserialize(deserializer)?;
        Ok(any)
    }
}

struct StructureSeed<'a>(&'a mut dyn Structure);

impl<'de> DeserializeSeed<'de> for StructureSeed<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for StructureSeed<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "an object with the members of {}", self.0.shape().name)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let shape = self.0.shape();
        let mut hint = 0;
        while let Some(name) = map.next_key::<Cow<'de, str>>()? {
            match shape.index_of(&name, hint) {
                Some(index) => {
                    hint = index + 1;
                    map.next_value_seed(ValueSeed(self.0.member_mut(index))).map_err(|error| {
                        // nested structures put their own name in front: the message reads as a path
                        A::Error::custom(format_args!("{}: {error}", shape.members[index].name))
                    })?;
                }
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }

    /// An empty structure may come as `[]`: Perl's JSON can't tell.
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        match seq.next_element::<IgnoredAny>()? {
            None => Ok(()),
            Some(_) => Err(A::Error::custom("a list where a structure belongs")),
        }
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

struct ValueSeed<'a>(&'a mut dyn Value);

impl<'de> DeserializeSeed<'de> for ValueSeed<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl ValueSeed<'_> {
    fn text<E: serde::de::Error>(self, text: Cow<'_, str>) -> Result<(), E> {
        let invalid = match self.0.open() {
            Slot::Scalar(scalar) => {
                let empty = text.trim().is_empty() && !scalar.xsd().is_text();
                if !empty {
                    return scalar.read(text).map_err(E::custom);
                }
                None
            }
            Slot::Any(any) => {
                *any = Any::Text(text.into_owned());
                return Ok(());
            }
            // an empty string is Perl's nothing
            Slot::Structure(_) if text.is_empty() => None,
            Slot::List(_) if text.is_empty() => None,
            Slot::Structure(structure) => Some(structure.shape().name),
            Slot::List(_) => Some("list"),
        };
        match invalid {
            None => {
                self.0.set_absent();
                Ok(())
            }
            Some(expected) => Err(E::custom(format_args!("a simple value where a {expected} belongs"))),
        }
    }
}

impl<'de> Visitor<'de> for ValueSeed<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value of the member's type")
    }
    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        self.text(Cow::Borrowed(text))
    }
    fn visit_string<E: serde::de::Error>(self, text: String) -> Result<(), E> {
        self.text(Cow::Owned(text))
    }
    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<(), E> {
        self.text(Cow::Owned(number.to_string()))
    }
    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<(), E> {
        self.text(Cow::Owned(number.to_string()))
    }
    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<(), E> {
        self.text(Cow::Owned(number.to_string()))
    }
    fn visit_bool<E: serde::de::Error>(self, flag: bool) -> Result<(), E> {
        self.text(Cow::Borrowed(if flag { "1" } else { "0" }))
    }
    fn visit_unit<E>(self) -> Result<(), E> {
        self.0.set_nil();
        Ok(())
    }
    fn visit_none<E>(self) -> Result<(), E> {
        self.0.set_nil();
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        if let Slot::List(_) = self.0.open() {
            self.0.set_absent();
        }
        match self.0.open() {
            Slot::List(list) => {
                let mut index = 0;
                // an item that isn't there is pushed only when the sequence has one more
                while seq
                    .next_element_seed(ItemSeed(list))
                    .map_err(|error| A::Error::custom(format_args!("[{index}]: {error}")))?
                    .is_some()
                {
                    index += 1;
                }
                Ok(())
            }
            Slot::Structure(structure) => StructureSeed(structure).visit_seq(seq),
            Slot::Any(any) => {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element::<Any>()? {
                    items.push(item);
                }
                *any = Any::List(items);
                Ok(())
            }
            Slot::Scalar(_) => match seq.next_element::<IgnoredAny>()? {
                None => {
                    self.0.set_absent();
                    Ok(())
                }
                Some(_) => Err(A::Error::custom("a list where a simple value belongs")),
            },
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        match self.0.open() {
            Slot::Structure(structure) => StructureSeed(structure).visit_map(map),
            Slot::Any(any) => {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry::<String, Any>()? {
                    members.push(member);
                }
                *any = Any::Structure(members);
                Ok(())
            }
            Slot::Scalar(_) => Err(A::Error::custom("an object where a simple value belongs")),
            Slot::List(_) => Err(A::Error::custom("an object where a list belongs")),
        }
    }
}

struct ItemSeed<'a>(&'a mut dyn crate::List);

impl<'de> DeserializeSeed<'de> for ItemSeed<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        ValueSeed(self.0.push()).deserialize(deserializer)
    }
}
