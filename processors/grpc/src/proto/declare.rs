//! Declares messages, oneofs and enumerations once: as Rust types that `prost` writes and reads,
//! and as a [description](super::describe) of themselves that a test compares with the protocol's
//! own.

/// A message. Behind each field's Rust type stand its type on the wire, its label and its number:
/// `string(1)`, `string(1, optional)`, `enumeration<Code>(1)`, `message(2, repeated)`.
///
/// A field without a label is written unless it has its default value; one that is `optional` is
/// written when it is there. `oneof` names the numbers of the fields of which one can be there.
macro_rules! message {
    (
        $(#[$doc:meta])*
        pub struct $message:ident {
            $(
                $(#[$field_doc:meta])*
                $field:ident: $type:ty =
                    $kind:ident $([$how:tt])? $(<$($arg:ident),+>)?
                    ($number:tt $(, $label:ident)?),
            )*
        }
        $(oneof {
            $(#[$oneof_doc:meta])*
            $oneof:ident: $oneof_type:ident = $oneof_name:tt($numbers:tt),
        })?
    ) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, ::prost::Message)]
        pub struct $message {
            $(
                $(#[$field_doc])*
                #[prost($kind $(= $how)? $(($($arg),+))?, $($label,)? tag = $number)]
                pub $field: $type,
            )*
            $(
                $(#[$oneof_doc])*
                #[prost(oneof = $oneof_name, tags = $numbers)]
                pub $oneof: Option<$oneof_type>,
            )?
        }

        impl $crate::proto::weigh::Weigh for $message {
            fn weigh(value: &[u8]) -> usize {
                $crate::proto::weigh::sum(value, |number, _value| match number {
                    $($number => <$type as $crate::proto::weigh::Weigh>::weigh(_value),)*
                    _ => 0 $(+ $oneof_type::weigh_field(number, _value))?,
                })
            }
        }

        impl $crate::proto::describe::DescribedMessage for $message {
            const DESCRIPTION: $crate::proto::describe::MessageDescription =
                $crate::proto::describe::MessageDescription {
                    name: stringify!($message),
                    fields: &[$($crate::proto::describe::FieldDescription {
                        name: stringify!($field),
                        number: $number,
                        kind: stringify!($kind $(($($arg),+))?),
                        label: concat!("" $(, stringify!($label))?),
                        rust_type: stringify!($type),
                    }),*],
                    oneof: &[$((
                        stringify!($oneof),
                        $numbers,
                        <$oneof_type as $crate::proto::describe::DescribedOneof>::FIELDS,
                    ))?],
                };
        }
    };
}

/// The fields of which a message has one at most.
macro_rules! oneof {
    (
        $(#[$doc:meta])*
        pub enum $oneof:ident {
            $(
                $(#[$variant_doc:meta])*
                $variant:ident($type:ty) =
                    $name:ident: $kind:ident $(<$arg:ident>)? ($number:tt),
            )*
        }
    ) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, ::prost::Oneof)]
        pub enum $oneof {
            $(
                $(#[$variant_doc])*
                #[prost($kind $(($arg))?, tag = $number)]
                $variant($type),
            )*
        }

        impl $oneof {
            /// The memory that a field of the message takes; 0 if the field is not one of these.
            fn weigh_field(number: u64, value: &[u8]) -> usize {
                match number {
                    $($number => <$type as $crate::proto::weigh::Weigh>::weigh(value),)*
                    _ => 0,
                }
            }
        }

        impl $crate::proto::describe::DescribedOneof for $oneof {
            const FIELDS: &'static [$crate::proto::describe::FieldDescription] =
                &[$($crate::proto::describe::FieldDescription {
                    name: stringify!($name),
                    number: $number,
                    kind: stringify!($kind $(($arg))?),
                    label: "",
                    rust_type: stringify!($type),
                }),*];
        }
    };
}

/// An enumeration with the names that its values have in the protocol. A number that is not among
/// them is kept in the message, whose field is an `i32`.
macro_rules! enumeration {
    (
        $(#[$doc:meta])*
        pub enum $enumeration:ident {
            $(
                $(#[$variant_doc:meta])*
                $variant:ident = $number:tt $name:literal,
            )*
        }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, ::prost::Enumeration)]
        #[repr(i32)]
        pub enum $enumeration {
            $(
                $(#[$variant_doc])*
                $variant = $number,
            )*
        }

        impl $enumeration {
            /// Its name in the protocol.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }

        impl $crate::proto::describe::DescribedEnumeration for $enumeration {
            const DESCRIPTION: $crate::proto::describe::EnumerationDescription =
                $crate::proto::describe::EnumerationDescription {
                    name: stringify!($enumeration),
                    values: &[$(($name, $number)),*],
                };
        }
    };
}

pub(super) use {enumeration, message, oneof};
