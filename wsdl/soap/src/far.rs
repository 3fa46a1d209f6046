//! A pointer for definitions whose types are hundreds deep in each other.

use std::any::Any as StdAny;
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

use crate::{Shape, Structure, Value, show};

/// A structure in a box that the compiler doesn't look into.
///
/// Whether a structure is `Send` rustc finds out by going through all that it holds, and gives up after 128 levels,
/// which structures in each other's `Vec` reach with the thirty-second. So generated code has one of these where they
/// would get near it; anywhere else a structure stands by itself.
///
/// It is used like a `Box`:
///
/// ```
/// use soapstone_soap::{Far, Nothing};
/// let far = Far::from(Nothing);
/// assert!(*far == Nothing && far.clone() == far);
/// assert!(far.into_inner() == Nothing);
/// ```
pub struct Far<T> {
    /// A `T`.
    structure: Box<dyn Structure>,
    /// Not a `T` in its place: that would be looked into.
    of: PhantomData<fn() -> T>,
}

impl<T: Structure> Far<T> {
    /// What is in it.
    pub fn into_inner(self) -> T {
        let structure: Box<dyn StdAny> = self.structure;
        structure.downcast().map_or_else(|_| another(), |structure| *structure)
    }
}

/// Nothing but a `T` is ever put in.
fn another() -> ! {
    unreachable!("made of a structure of this type")
}

impl<T: Structure> From<T> for Far<T> {
    fn from(structure: T) -> Self {
        Self { structure: Box::new(structure), of: PhantomData }
    }
}

impl<T: Structure> Deref for Far<T> {
    type Target = T;

    fn deref(&self) -> &T {
        let structure: &dyn StdAny = &*self.structure;
        structure.downcast_ref().unwrap_or_else(|| another())
    }
}

impl<T: Structure> DerefMut for Far<T> {
    fn deref_mut(&mut self) -> &mut T {
        let structure: &mut dyn StdAny = &mut *self.structure;
        structure.downcast_mut().unwrap_or_else(|| another())
    }
}

impl<T: Structure + Default> Default for Far<T> {
    fn default() -> Self {
        T::default().into()
    }
}

impl<T: Structure + Clone> Clone for Far<T> {
    fn clone(&self) -> Self {
        T::clone(self).into()
    }
}

impl<T: Structure + PartialEq> PartialEq for Far<T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T> fmt::Debug for Far<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        show(&*self.structure, formatter)
    }
}

impl<T: Structure> Structure for Far<T> {
    fn shape(&self) -> &'static Shape {
        self.structure.shape()
    }
    fn member(&self, index: usize) -> &dyn Value {
        self.structure.member(index)
    }
    fn member_mut(&mut self, index: usize) -> &mut dyn Value {
        self.structure.member_mut(index)
    }
}
