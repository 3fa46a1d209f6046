//! Enumerations: the values that a definition knows, and whatever else comes.

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
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
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
        impl $crate::Scalar for $name {
            fn xsd(&self) -> $crate::Xsd {
                $crate::Xsd::String
            }
            fn read(&mut self, text: ::std::borrow::Cow<'_, str>) -> ::core::result::Result<(), $crate::Invalid> {
                *self = $name::from(&*text);
                if let ($name::Other(_), trimmed) = (&*self, text.trim()) && trimmed.len() < text.len() {
                    *self = $name::from(trimmed);
                }
                Ok(())
            }
            fn write(&self, out: &mut ::std::string::String) {
                out.push_str(self.as_str());
            }
            fn as_text(&self) -> ::core::option::Option<&str> {
                Some(self.as_str())
            }
            fn values(&self) -> &'static [&'static str] {
                &[$($text,)*]
            }
            fn is_known(&self) -> bool {
                !matches!(self, $name::Other(_))
            }
        }
        impl $crate::Value for $name {
            fn view(&self) -> $crate::View<'_> {
                $crate::View::Scalar(self)
            }
            fn open(&mut self) -> $crate::Slot<'_> {
                $crate::Slot::Scalar(self)
            }
            fn set_nil(&mut self) {
                *self = ::core::default::Default::default();
            }
            fn set_absent(&mut self) {
                *self = ::core::default::Default::default();
            }
        }
    )*};
}
