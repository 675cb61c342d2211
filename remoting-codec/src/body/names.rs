//! A compact set of names.

/// A sorted set of names. It needs two allocations, however many names it has.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Names {
    text: String,
    /// The end of each name in the text.
    ends: Vec<u32>,
}

impl Names {
    /// The set of these names. Names that exceed 4 GiB together are left out.
    #[must_use]
    pub fn new<T: AsRef<str>>(names: impl IntoIterator<Item = T>) -> Self {
        // Copied together before they are sorted: comparing names all over the memory misses the
        // cache.
        let mut text = String::new();
        let mut spans: Vec<(u32, u32)> = Vec::new();
        for name in names {
            let name = name.as_ref();
            let Ok(end) = u32::try_from(text.len() + name.len()) else {
                break;
            };
            spans.push((text.len() as u32, end));
            text.push_str(name);
        }
        let of = |span: (u32, u32)| text.get(span.0 as usize..span.1 as usize);
        spans.sort_unstable_by(|a, b| of(*a).cmp(&of(*b)));
        spans.dedup_by(|a, b| of(*a) == of(*b));
        let mut set = Self {
            text: String::with_capacity(text.len()),
            ends: Vec::with_capacity(spans.len()),
        };
        for name in spans.into_iter().filter_map(of) {
            set.text.push_str(name);
            set.ends.push(set.text.len() as u32);
        }
        set
    }

    /// The number of names.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether the set is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// All names, in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).filter_map(|at| self.get(at))
    }

    /// The name at that place in the order.
    #[must_use]
    pub fn get(&self, at: usize) -> Option<&str> {
        let (begin, end) = self.span(at)?;
        self.text.get(begin..end)
    }

    /// Removes a name. Returns false when it is not in the set.
    pub fn remove(&mut self, name: &str) -> bool {
        let Some((at, (begin, end))) = self.find(name).and_then(|at| Some(at).zip(self.span(at)))
        else {
            return false;
        };
        self.text.drain(begin..end);
        self.ends.remove(at);
        let length = (end - begin) as u32;
        for end in self.ends.iter_mut().skip(at) {
            *end -= length;
        }
        true
    }

    /// The size in memory, in bytes.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.text.capacity() + self.ends.capacity() * size_of::<u32>()
    }

    fn span(&self, at: usize) -> Option<(usize, usize)> {
        let end = *self.ends.get(at)? as usize;
        let before = at.checked_sub(1).and_then(|before| self.ends.get(before));
        Some((before.map_or(0, |end| *end as usize), end))
    }

    fn find(&self, name: &str) -> Option<usize> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low.midpoint(high);
            match self.get(middle)?.cmp(name) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => return Some(middle),
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_stays_sorted_after_removals() {
        let names = ["b", "", "é", "a", "b", "ccc"];
        let mut set = Names::new(names);
        assert_eq!(set.iter().collect::<Vec<_>>(), ["", "a", "b", "ccc", "é"]);
        assert!(set.remove("b") && !set.remove("b") && !set.remove("d"));
        assert!(set.remove(""));
        assert_eq!(set.iter().collect::<Vec<_>>(), ["a", "ccc", "é"]);
        assert!(set.remove("é") && set.remove("a") && set.remove("ccc"));
        assert!(set.is_empty());
    }
}
