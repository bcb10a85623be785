//! Values behind small numbers.

/// Values that the other side knows by number. A number that was given back is given out again.
#[derive(Debug)]
pub(crate) struct Slab<V> {
    values: Vec<Option<V>>,
    free: Vec<u32>,
}

impl<V> Default for Slab<V> {
    fn default() -> Self {
        Self {
            values: Vec::new(),
            free: Vec::new(),
        }
    }
}

impl<V: Clone> Slab<V> {
    pub(crate) fn put(&mut self, value: V) -> u32 {
        if let Some(number) = self.free.pop() {
            self.values[number as usize] = Some(value);
            return number;
        }
        self.values.push(Some(value));
        u32::try_from(self.values.len() - 1).unwrap_or(u32::MAX)
    }

    pub(crate) fn get(&self, number: u32) -> Option<V> {
        self.values.get(number as usize).cloned().flatten()
    }

    pub(crate) fn take(&mut self, number: u32) -> Option<V> {
        let value = self.values.get_mut(number as usize)?.take();
        if value.is_some() {
            self.free.push(number);
        }
        value
    }
}
