//! How the engine reaches a structure's members without knowing the structure: no generics, no code per type.

use std::any::Any as StdAny;

use crate::{Any, Scalar, Shape};

/// A generated structure, seen through its table.
///
/// Generated code implements the three methods; `member` and `member_mut` are a `match` on the position in
/// [`Table::members`](crate::Table::members), which are in the same order.
pub trait Structure: StdAny + Send + Sync {
    /// Its table.
    fn shape(&self) -> &'static Shape;

    /// The member at `index` of [`Table::members`](crate::Table::members).
    ///
    /// # Panics
    /// When `index` is not below the number of members.
    fn member(&self, index: usize) -> &dyn Value;

    /// The member at `index`, to be filled in.
    ///
    /// # Panics
    /// When `index` is not below the number of members.
    fn member_mut(&mut self, index: usize) -> &mut dyn Value;
}

/// A member's value: there, nil or absent.
pub trait Value: StdAny + Send + Sync {
    /// What is there.
    fn view(&self) -> View<'_>;

    /// Makes it present (with the type's default) and opens it to be filled in.
    fn open(&mut self) -> Slot<'_>;

    /// Makes it an explicit nil; for a type that has none, absent.
    fn set_nil(&mut self) {
        self.set_absent();
    }

    /// Makes it absent; for a type that can't be, its default.
    fn set_absent(&mut self);

    /// Makes it the same as a value of the same type.
    fn copy_from(&mut self, other: &dyn Value);

    /// Whether it is the same as a value of the same type.
    fn equals(&self, other: &dyn Value) -> bool;
}

/// What [`Value::copy_from`] and [`Value::equals`] are for a type that has them of Rust's own.
#[doc(hidden)]
#[macro_export]
macro_rules! copied_and_compared {
    () => {
        fn copy_from(&mut self, other: &dyn $crate::Value) {
            $crate::copy_value(self, other);
        }
        fn equals(&self, other: &dyn $crate::Value) -> bool {
            $crate::equal_values(self, other)
        }
    };
}

#[doc(hidden)]
pub fn copy_value<T: Clone + 'static>(to: &mut T, from: &dyn Value) {
    if let Some(from) = (from as &dyn StdAny).downcast_ref::<T>() {
        to.clone_from(from);
    }
}

#[doc(hidden)]
pub fn equal_values<T: PartialEq + 'static>(one: &T, other: &dyn Value) -> bool {
    (other as &dyn StdAny).downcast_ref::<T>() == Some(one)
}

/// A structure's `Clone`, member by member.
#[doc(hidden)]
pub fn cloned<T: Structure + Default>(from: &T) -> T {
    let mut to = T::default();
    copy_members(from, &mut to);
    to
}

fn copy_members(from: &dyn Structure, to: &mut dyn Structure) {
    for index in 0..from.shape().members.len() {
        to.member_mut(index).copy_from(from.member(index));
    }
}

/// A structure's `PartialEq`, member by member.
#[doc(hidden)]
pub fn equal(one: &dyn Structure, other: &dyn Structure) -> bool {
    (0..one.shape().members.len()).all(|index| one.member(index).equals(other.member(index)))
}

/// A value as it can be looked at.
#[derive(Clone, Copy)]
#[allow(missing_docs)]
pub enum View<'a> {
    Absent,
    Nil,
    Scalar(&'a dyn Scalar),
    Structure(&'a dyn Structure),
    List(&'a dyn List),
    Any(&'a Any),
}

/// A value as it can be filled in.
#[allow(missing_docs)]
pub enum Slot<'a> {
    Scalar(&'a mut dyn Scalar),
    Structure(&'a mut dyn Structure),
    List(&'a mut dyn List),
    Any(&'a mut Any),
}

/// A list of values of one type.
pub trait List: Send + Sync {
    /// How many items there are.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The item at `index`.
    ///
    /// # Panics
    /// When `index` is not below [`List::len`].
    fn item(&self, index: usize) -> &dyn Value;

    /// The item at `index`, to be filled in.
    ///
    /// # Panics
    /// When `index` is not below [`List::len`].
    fn item_mut(&mut self, index: usize) -> &mut dyn Value;

    /// What an item takes in the list itself, in bytes.
    fn item_bytes(&self) -> usize;

    /// Adds a default item at the end and gives it out to be filled in.
    fn push(&mut self) -> &mut dyn Value;
}

/// A member that can say three things, because PortaBilling's updates need all three: left out the field stays
/// as it is, an explicit nil clears it, a value sets it.
///
/// ```
/// use soapstone_soap::Nillable::{self, Absent, Nil};
/// let clear: Nillable<i64> = Nil;
/// assert_ne!(clear, Absent);
/// assert_eq!(Nillable::from(5).value(), Some(&5));
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Nillable<T> {
    /// Left out.
    #[default]
    Absent,
    /// There and nil (`xsi:nil="true"`).
    Nil,
    /// There.
    Value(T),
}

impl<T> Nillable<T> {
    /// The value, where there is one.
    pub fn value(&self) -> Option<&T> {
        match self {
            Nillable::Value(value) => Some(value),
            Nillable::Absent | Nillable::Nil => None,
        }
    }

    /// The value, where there is one, by value.
    pub fn into_value(self) -> Option<T> {
        match self {
            Nillable::Value(value) => Some(value),
            Nillable::Absent | Nillable::Nil => None,
        }
    }
}

impl<T> From<T> for Nillable<T> {
    fn from(value: T) -> Self {
        Nillable::Value(value)
    }
}

impl<T: Value + Default + Clone + PartialEq> Value for Option<T> {
    crate::copied_and_compared!();
    fn view(&self) -> View<'_> {
        self.as_ref().map_or(View::Absent, Value::view)
    }
    fn open(&mut self) -> Slot<'_> {
        self.get_or_insert_default().open()
    }
    fn set_absent(&mut self) {
        *self = None;
    }
}

impl<T: Value + Default + Clone + PartialEq> Value for Nillable<T> {
    crate::copied_and_compared!();
    fn view(&self) -> View<'_> {
        match self {
            Nillable::Absent => View::Absent,
            Nillable::Nil => View::Nil,
            Nillable::Value(value) => value.view(),
        }
    }
    fn open(&mut self) -> Slot<'_> {
        if !matches!(self, Nillable::Value(_)) {
            *self = Nillable::Value(T::default());
        }
        match self {
            Nillable::Value(value) => value.open(),
            Nillable::Absent | Nillable::Nil => unreachable!("made a value above"),
        }
    }
    fn set_nil(&mut self) {
        *self = Nillable::Nil;
    }
    fn set_absent(&mut self) {
        *self = Nillable::Absent;
    }
}

/// A structure is a value as it stands: written once here and not for each of them.
impl<T: Structure + Default + Clone + PartialEq> Value for T {
    crate::copied_and_compared!();
    fn view(&self) -> View<'_> {
        View::Structure(self)
    }
    fn open(&mut self) -> Slot<'_> {
        Slot::Structure(self)
    }
    fn set_absent(&mut self) {
        *self = T::default();
    }
}

/// What a structure holds of its own kind is in a box.
impl<T: Structure> Structure for Box<T> {
    fn shape(&self) -> &'static Shape {
        (**self).shape()
    }
    fn member(&self, index: usize) -> &dyn Value {
        (**self).member(index)
    }
    fn member_mut(&mut self, index: usize) -> &mut dyn Value {
        (**self).member_mut(index)
    }
}

impl<T: Value + Default + Clone + PartialEq> Value for Vec<T> {
    crate::copied_and_compared!();
    fn view(&self) -> View<'_> {
        View::List(self)
    }
    fn open(&mut self) -> Slot<'_> {
        Slot::List(self)
    }
    fn set_absent(&mut self) {
        self.clear();
    }
}

impl<T: Value + Default + Clone + PartialEq> List for Vec<T> {
    fn len(&self) -> usize {
        Vec::len(self)
    }
    fn item(&self, index: usize) -> &dyn Value {
        &self[index]
    }
    fn item_mut(&mut self, index: usize) -> &mut dyn Value {
        &mut self[index]
    }
    fn item_bytes(&self) -> usize {
        size_of::<T>()
    }
    fn push(&mut self) -> &mut dyn Value {
        Vec::push(self, T::default());
        let last = self.len() - 1;
        &mut self[last]
    }
}

impl Value for Any {
    crate::copied_and_compared!();
    fn view(&self) -> View<'_> {
        match self {
            Any::Nil => View::Nil,
            _ => View::Any(self),
        }
    }
    fn open(&mut self) -> Slot<'_> {
        Slot::Any(self)
    }
    fn set_nil(&mut self) {
        *self = Any::Nil;
    }
    fn set_absent(&mut self) {
        *self = Any::Nil;
    }
}

/// What an alternative of a choice is that isn't the one chosen.
struct NotChosen;

impl Value for NotChosen {
    fn view(&self) -> View<'_> {
        View::Absent
    }
    fn open(&mut self) -> Slot<'_> {
        unreachable!("never given out to be filled in")
    }
    fn set_absent(&mut self) {}
    fn copy_from(&mut self, _: &dyn Value) {}
    fn equals(&self, other: &dyn Value) -> bool {
        matches!(other.view(), View::Absent)
    }
}

#[doc(hidden)]
pub fn not_chosen() -> &'static dyn Value {
    &NotChosen
}

/// A message that there is nothing in: the answer to an operation that has none, the detail of a fault that is
/// declared nowhere.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Nothing;

/// The table of [`Nothing`].
pub static NOTHING: Shape = Shape::new("Nothing", "", &[]);

impl Structure for Nothing {
    fn shape(&self) -> &'static Shape {
        &NOTHING
    }
    fn member(&self, index: usize) -> &dyn Value {
        no_member(&NOTHING, index)
    }
    fn member_mut(&mut self, index: usize) -> &mut dyn Value {
        no_member(&NOTHING, index)
    }
}

crate::structures! { Nothing }

/// How generated code gets from a structure's table to its fields: one for each member, in their order.
#[macro_export]
macro_rules! members {
    ($($name:ident $table:ident { $($index:literal $field:ident,)* })*) => {$(
        impl ::core::clone::Clone for $name {
            fn clone(&self) -> Self {
                $crate::cloned(self)
            }
        }
        impl ::core::cmp::PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                $crate::equal(self, other)
            }
        }
        impl $crate::Structure for $name {
            fn shape(&self) -> &'static $crate::Shape {
                &$table
            }
            fn member(&self, index: usize) -> &dyn $crate::Value {
                match index {
                    $($index => &self.$field,)*
                    _ => $crate::no_member(&$table, index),
                }
            }
            fn member_mut(&mut self, index: usize) -> &mut dyn $crate::Value {
                match index {
                    $($index => &mut self.$field,)*
                    _ => $crate::no_member(&$table, index),
                }
            }
        }
    )*};
}

/// What generated code says for each structure that is a choice: an enum whose variants are the members, in their
/// order. Opening a member chooses it; `start` is what a new one is.
#[macro_export]
macro_rules! choices {
    ($($name:ident $table:ident start $start:ident { $($index:literal $variant:ident,)* })*) => {$(
        impl ::core::default::Default for $name {
            fn default() -> Self {
                $name::$start(::core::default::Default::default())
            }
        }
        impl $crate::Structure for $name {
            fn shape(&self) -> &'static $crate::Shape {
                &$table
            }
            fn member(&self, index: usize) -> &dyn $crate::Value {
                match (index, self) {
                    $(($index, $name::$variant(value)) => value,)*
                    _ => $crate::not_chosen(),
                }
            }
            fn member_mut(&mut self, index: usize) -> &mut dyn $crate::Value {
                match (index, &*self) {
                    $(($index, $name::$variant(_)) => {})*
                    $(($index, _) => *self = $name::$variant(::core::default::Default::default()),)*
                    _ => $crate::no_member(&$table, index),
                }
                match self {
                    $($name::$variant(value) => value,)*
                }
            }
        }
    )*};
}

/// Where generated code ends up when it is asked for a member that isn't there.
#[doc(hidden)]
pub fn no_member(shape: &Shape, index: usize) -> ! {
    panic!("{} has {} members, none at {index}", shape.name, shape.members.len())
}

/// What generated code says for each structure, beside [`Structure`] itself: it shows itself without its secrets.
#[macro_export]
macro_rules! structures {
    ($($name:ident)*) => {$(
        impl ::core::fmt::Debug for $name {
            fn fmt(&self, formatter: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                $crate::show(self, formatter)
            }
        }
    )*};
}

/// What generated code says where structures shall have serde's traits of their own (`Config::json`); empty without
/// feature `json`. Without it any of them is JSON through [`crate::Json`] and [`crate::fill_json`].
#[doc(hidden)]
#[cfg(feature = "json")]
#[macro_export]
macro_rules! json_faces {
    ($($name:ident)*) => {$(
        impl $crate::serde::Serialize for $name {
            fn serialize<S: $crate::serde::Serializer>(
                &self,
                serializer: S,
            ) -> ::core::result::Result<S::Ok, S::Error> {
                $crate::serde::Serialize::serialize(&$crate::Json(self), serializer)
            }
        }
        impl<'de> $crate::serde::Deserialize<'de> for $name {
            fn deserialize<D: $crate::serde::Deserializer<'de>>(
                deserializer: D,
            ) -> ::core::result::Result<Self, D::Error> {
                $crate::from_json(deserializer)
            }
        }
    )*};
}

/// Empty without feature `json`.
#[doc(hidden)]
#[cfg(not(feature = "json"))]
#[macro_export]
macro_rules! json_faces {
    ($($name:ident)*) => {};
}
