//! How the type of a header's field is read and written; for [`header!`](super::header).

use crate::error::FieldError;
use crate::field_spec::{FieldKind, FieldSpec};
pub use crate::fields::values;
use crate::header::value::ExtValue;

/// The type of a header's field: a value, or an `Option` of one.
pub trait Field<'a>: Sized {
    /// The type of its text.
    const KIND: FieldKind;
    /// Whether the header cannot be read without it.
    const REQUIRED: bool;

    /// Reads it.
    ///
    /// # Errors
    /// When it is required and absent, or malformed.
    fn read(name: &'static str, value: Option<ExtValue<'a>>) -> Result<Self, FieldError>;

    /// Calls `each` with the text, if there is any.
    fn visit(&self, name: &'static str, each: &mut dyn FnMut(&'static str, &str));
}

/// The declaration of a field of that type.
#[must_use]
pub const fn spec<'a, T: Field<'a>>(name: &'static str) -> FieldSpec {
    match T::REQUIRED {
        true => FieldSpec::required(name, T::KIND),
        false => FieldSpec::optional(name, T::KIND),
    }
}

/// A value that can be a field, required or, in an `Option`, optional.
pub trait Value<'a>: Sized {
    /// The type of its text.
    const KIND: FieldKind;

    /// `None` when the text is not of this type.
    fn of(value: ExtValue<'a>) -> Option<Self>;

    /// Calls `each` with the text.
    fn visit(&self, name: &'static str, each: &mut dyn FnMut(&'static str, &str));
}

impl<'a> Value<'a> for i32 {
    const KIND: FieldKind = FieldKind::Int;

    #[inline]
    fn of(value: ExtValue<'a>) -> Option<Self> {
        value.int()
    }

    fn visit(&self, name: &'static str, each: &mut dyn FnMut(&'static str, &str)) {
        each(name, itoa::Buffer::new().format(*self));
    }
}

impl<'a> Value<'a> for i64 {
    const KIND: FieldKind = FieldKind::Long;

    #[inline]
    fn of(value: ExtValue<'a>) -> Option<Self> {
        value.long()
    }

    fn visit(&self, name: &'static str, each: &mut dyn FnMut(&'static str, &str)) {
        each(name, itoa::Buffer::new().format(*self));
    }
}

/// As Java reads it: `true` in any case; all other text is false.
impl<'a> Value<'a> for bool {
    const KIND: FieldKind = FieldKind::Text;

    #[inline]
    fn of(value: ExtValue<'a>) -> Option<Self> {
        Some(value.is_true())
    }

    fn visit(&self, name: &'static str, each: &mut dyn FnMut(&'static str, &str)) {
        each(name, if *self { "true" } else { "false" });
    }
}

impl<'a> Value<'a> for ExtValue<'a> {
    const KIND: FieldKind = FieldKind::Text;

    #[inline]
    fn of(value: ExtValue<'a>) -> Option<Self> {
        Some(value)
    }

    fn visit(&self, name: &'static str, each: &mut dyn FnMut(&'static str, &str)) {
        each(name, &self.text());
    }
}

impl<'a, T: Value<'a>> Field<'a> for Option<T> {
    const KIND: FieldKind = T::KIND;
    const REQUIRED: bool = false;

    #[inline]
    fn read(name: &'static str, value: Option<ExtValue<'a>>) -> Result<Self, FieldError> {
        value.map(|value| read(name, value)).transpose()
    }

    fn visit(&self, name: &'static str, each: &mut dyn FnMut(&'static str, &str)) {
        if let Some(value) = self {
            value.visit(name, each);
        }
    }
}

/// Makes fields of values: without the value, the header cannot be read.
macro_rules! required {
    ($($type:ty)*) => {
        $(
            impl<'a> Field<'a> for $type {
                const KIND: FieldKind = <Self as Value<'a>>::KIND;
                const REQUIRED: bool = true;

                #[inline]
                fn read(
                    name: &'static str,
                    value: Option<ExtValue<'a>>,
                ) -> Result<Self, FieldError> {
                    read(name, value.ok_or(FieldError::Missing(name))?)
                }

                fn visit(&self, name: &'static str, each: &mut dyn FnMut(&'static str, &str)) {
                    Value::visit(self, name, each);
                }
            }
        )*
    };
}

required! { i32 i64 bool ExtValue<'a> }

#[inline]
fn read<'a, T: Value<'a>>(name: &'static str, value: ExtValue<'a>) -> Result<T, FieldError> {
    T::of(value).ok_or_else(|| FieldError::malformed(name, T::KIND, value))
}
