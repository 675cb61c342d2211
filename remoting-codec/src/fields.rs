//! The ext fields that one request code has, declared as data and read in one pass.

use crate::error::FieldError;
use crate::ext_fields::ExtFields;
use crate::field_spec::{FieldKind, FieldSpec};
use crate::header::Entry;
use crate::header::value::ExtValue;

/// Most fields that one request code may declare.
pub const MAX_FIELDS: usize = 16;

/// The values of declared fields, each at the index of its declaration.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a> {
    values: [Option<ExtValue<'a>>; MAX_FIELDS],
}

impl<'a> Fields<'a> {
    /// Reads the fields that `specs` declares, and ignores all others. Declarations beyond
    /// [`MAX_FIELDS`] are not read.
    ///
    /// # Errors
    /// Names the first field that is required and has no value, or that is not of its type. The
    /// reference checks neither: a missing field fails later, deep in the broker.
    pub fn read(
        ext_fields: ExtFields<'a>,
        specs: &'static [FieldSpec],
    ) -> Result<Self, FieldError> {
        let mut values = [None; MAX_FIELDS];
        if ext_fields.head.index.is_partial() {
            Self::read_all(ext_fields, specs, &mut values);
        } else {
            let header = ext_fields.header;
            for (spec, value) in specs.iter().zip(&mut values) {
                let is_it = |entry: &Entry| entry.key.of(header) == spec.name.as_bytes();
                let index = &ext_fields.head.index;
                *value = index
                    .last(spec.first, spec.name.len(), is_it)
                    .map(|entry| ExtValue::new(entry.value.of(header), entry.escaped))
                    .filter(|value| !value.is_empty());
            }
        }
        for (spec, value) in specs.iter().zip(&values) {
            check(spec, value.as_ref())?;
        }
        Ok(Self { values })
    }

    /// The same for a header whose index is incomplete: it is scanned again.
    #[cold]
    fn read_all(
        ext_fields: ExtFields<'a>,
        specs: &'static [FieldSpec],
        values: &mut [Option<ExtValue<'a>>],
    ) {
        ext_fields.visit_bytes(|key, value| {
            let is_declared = |spec: &FieldSpec| spec.name.as_bytes() == key;
            let found = specs.iter().position(is_declared);
            if let Some(place) = found.and_then(|at| values.get_mut(at)) {
                *place = Some(value).filter(|value| !value.is_empty());
            }
        });
    }

    /// The value of the field with that index in the declaration.
    #[must_use]
    pub fn value(&self, declared: usize) -> Option<ExtValue<'a>> {
        self.values.get(declared).copied().flatten()
    }
}

/// The values of `N` declared fields, each at the index of its declaration, read in one pass and
/// not checked.
#[inline]
#[must_use]
pub fn values<'a, const N: usize>(
    ext_fields: ExtFields<'a>,
    specs: &'static [FieldSpec],
) -> [Option<ExtValue<'a>>; N] {
    let mut values = [None; N];
    if ext_fields.head.index.is_partial() {
        Fields::read_all(ext_fields, specs, &mut values);
        return values;
    }
    let header = ext_fields.header;
    for (spec, value) in specs.iter().zip(&mut values) {
        let is_it = |entry: &Entry| entry.key.of(header) == spec.name.as_bytes();
        let index = &ext_fields.head.index;
        *value = index
            .last(spec.first, spec.name.len(), is_it)
            .map(|entry| ExtValue::new(entry.value.of(header), entry.escaped))
            .filter(|value| !value.is_empty());
    }
    values
}

fn check(spec: &FieldSpec, value: Option<&ExtValue<'_>>) -> Result<(), FieldError> {
    let Some(value) = value else {
        return if spec.required {
            Err(FieldError::Missing(spec.name))
        } else {
            Ok(())
        };
    };
    let expected = match spec.kind {
        FieldKind::Int if value.int().is_none() => "a 32 bit number",
        FieldKind::Long if value.long().is_none() => "a 64 bit number",
        _ => return Ok(()),
    };
    Err(FieldError::Malformed {
        name: spec.name,
        expected,
        found: value.text().chars().take(40).collect(),
    })
}
