//! What a key of the file is: its value, its meaning, and the macro that declares the tables.

use std::fmt;

use serde::Deserialize;

/// A value as the file writes it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Value {
    Number(u64),
    Flag(bool),
    Text(String),
    List(Vec<String>),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Flag(flag) => flag.fmt(f),
            Self::Text(text) => write!(f, "{text:?}"),
            Self::List(list) => write!(f, "{list:?}"),
        }
    }
}

/// A type that a key may have.
pub(super) trait ToValue {
    /// `None` when the key is not set.
    fn to_value(&self) -> Option<Value>;
}

impl ToValue for u64 {
    fn to_value(&self) -> Option<Value> {
        Some(Value::Number(*self))
    }
}

impl ToValue for bool {
    fn to_value(&self) -> Option<Value> {
        Some(Value::Flag(*self))
    }
}

impl ToValue for String {
    fn to_value(&self) -> Option<Value> {
        Some(Value::Text(self.clone()))
    }
}

impl ToValue for Vec<String> {
    fn to_value(&self) -> Option<Value> {
        Some(Value::List(self.clone()))
    }
}

impl<T: ToValue> ToValue for Option<T> {
    fn to_value(&self) -> Option<Value> {
        self.as_ref().and_then(T::to_value)
    }
}

/// One of several words, with the default that it has where the file does not have the key.
#[derive(Clone, Debug, Deserialize)]
#[serde(from = "String")]
pub struct Choice {
    word: String,
    is_given: bool,
}

impl Choice {
    pub(super) fn default_to(word: &str) -> Self {
        Self {
            word: word.to_owned(),
            is_given: false,
        }
    }

    /// The word in effect: the given one, or the default.
    #[must_use]
    pub fn word(&self) -> &str {
        &self.word
    }

    /// Whether the file has the key, be it with its default.
    #[must_use]
    pub fn is_given(&self) -> bool {
        self.is_given
    }
}

impl From<String> for Choice {
    fn from(word: String) -> Self {
        Self {
            word,
            is_given: true,
        }
    }
}

impl ToValue for Choice {
    fn to_value(&self) -> Option<Value> {
        self.word.to_value()
    }
}

/// A key of the file, and its value.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) key: &'static str,
    /// The documentation of the key, from which the documents and the example file are made.
    pub(super) doc: String,
    /// Whether a changed value applies on SIGHUP; otherwise it waits for a restart.
    pub(super) live: bool,
    pub(super) value: Option<Value>,
}

/// A table of the file.
pub(super) trait TakeLive {
    /// Takes the values of live keys from another; all others stay.
    fn take_live(&mut self, from: &Self);
}

/// A table that may be given several times: none of these has live keys.
impl<T> TakeLive for Vec<T> {
    fn take_live(&mut self, _from: &Self) {}
}

/// Declares a table of the file: its keys in order, each with its meaning, type, default and, if it
/// is live, `=> live`; and the tables within it.
macro_rules! table {
    ($(#[doc = $about:literal])+ $name:ident {
        $($(#[doc = $doc:literal])+ $key:ident: $kind:ty = $default:expr $(=> $live:ident)?,)*
    } $(with { $($(#[doc = $sub_doc:literal])+ $sub:ident: $table:ty,)* })?) => {
        $(#[doc = $about])+
        #[derive(Clone, Debug, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct $name {
            $($(#[doc = $doc])+ pub $key: $kind,)*
            $($($(#[doc = $sub_doc])+ pub $sub: $table,)*)?
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($key: $default,)* $($($sub: Default::default(),)*)? }
            }
        }

        impl $name {
            /// The documentation of the table itself.
            pub(super) fn about() -> String {
                concat!($($about),+).trim().to_owned()
            }

            /// The keys of the table, in the order of their declaration.
            pub(super) fn entries(&self) -> Vec<Entry> {
                vec![$(Entry {
                    key: stringify!($key),
                    doc: concat!($($doc),+).trim().to_owned(),
                    live: table!(@is_live $($live)?),
                    value: self.$key.to_value(),
                },)*]
            }
        }

        impl TakeLive for $name {
            #[allow(unused_variables, reason = "a table may have no live key")]
            fn take_live(&mut self, from: &Self) {
                $($(table!(@take $live, self.$key, from.$key);)?)*
                $($(self.$sub.take_live(&from.$sub);)*)?
            }
        }
    };
    (@is_live) => { false };
    (@is_live live) => { true };
    (@take live, $to:expr, $from:expr) => { $to.clone_from(&$from) };
}

pub(super) use table;
