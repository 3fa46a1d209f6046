//! Enumerations: the values that a definition knows, and whatever else comes.

use std::borrow::Cow;

use crate::{Invalid, Scalar, Xsd};

/// What [`crate::enumerations`] says of each; the rest of a scalar is written once, here.
#[doc(hidden)]
pub trait Enumeration: for<'t> From<&'t str> + Send + Sync {
    /// The values that the definition knows.
    const VALUES: &'static [&'static str];

    /// The value as it stands on the wire.
    fn text(&self) -> &str;
}

impl<T: Enumeration> Scalar for T {
    fn xsd(&self) -> Xsd {
        Xsd::String
    }
    fn read(&mut self, text: Cow<'_, str>) -> Result<(), Invalid> {
        let trimmed = text.trim();
        let known = T::VALUES.contains(&trimmed) && !T::VALUES.contains(&&*text);
        *self = T::from(if known { trimmed } else { &text });
        Ok(())
    }
    fn write(&self, out: &mut String) {
        out.push_str(self.text());
    }
    fn as_text(&self) -> Option<&str> {
        Some(self.text())
    }
    fn values(&self) -> &'static [&'static str] {
        T::VALUES
    }
    fn is_known(&self) -> bool {
        T::VALUES.contains(&self.text())
    }
}

/// Declares enumerations: each an enum of the values that the definition knows and `Other` for those it doesn't.
///
/// ```
/// soapstone_soap::enumerations! {
///     /// How an account pays.
///     pub enum Billing {
///         Debit = "debit",
///         Credit = "credit",
///     }
/// }
/// assert_eq!(Billing::from("credit"), Billing::Credit);
/// assert_eq!(Billing::from("voucher").as_str(), "voucher");
/// ```
#[macro_export]
macro_rules! enumerations {
    ($(
        $(#[$attribute:meta])*
        pub enum $name:ident { $($(#[$inner:meta])* $variant:ident = $text:literal,)* }
    )*) => {$(
        $(#[$attribute])*
        #[derive(Debug, Clone, PartialEq, Hash)]
        pub enum $name {
            $($(#[$inner])* $variant,)*
            /// A value that the definition doesn't have; empty where none was given yet.
            Other(::std::string::String),
        }
        impl $name {
            /// The value as it stands on the wire.
            pub fn as_str(&self) -> &str {
                match self {
                    $($name::$variant => $text,)*
                    $name::Other(text) => text,
                }
            }
        }
        impl ::core::default::Default for $name {
            fn default() -> Self {
                $name::Other(::std::string::String::new())
            }
        }
        impl ::core::convert::From<&str> for $name {
            fn from(text: &str) -> Self {
                match text {
                    $($text => $name::$variant,)*
                    text => $name::Other(text.into()),
                }
            }
        }
        impl ::core::fmt::Display for $name {
            fn fmt(&self, formatter: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                formatter.write_str(self.as_str())
            }
        }
        impl ::core::cmp::Eq for $name {}
        impl $crate::Enumeration for $name {
            const VALUES: &'static [&'static str] = &[$($text,)*];
            fn text(&self) -> &str {
                self.as_str()
            }
        }
        impl $crate::Value for $name {
            $crate::copied_and_compared!();
            fn view(&self) -> $crate::View<'_> {
                $crate::View::Scalar(self)
            }
            fn open(&mut self) -> $crate::Slot<'_> {
                $crate::Slot::Scalar(self)
            }
            fn set_absent(&mut self) {
                *self = ::core::default::Default::default();
            }
        }
    )*};
}
