//! Topic patterns in a trie: `*` is one word, `#` any number of words, none included.
//!
//! A key is matched by walking all branches at once, so that the work is bounded by the words of the key times the
//! nodes reached. Trying one branch after the other would be exponential for patterns like `#.a.#.a.#.a`.

use std::collections::HashMap;

const ROOT: usize = 0;

#[derive(Debug)]
struct Node<T> {
    children: HashMap<Box<str>, usize>,
    values: Vec<T>,
    /// The word that leads here is `#`: any word leads here again.
    many: bool,
}

impl<T> Node<T> {
    fn new(many: bool) -> Self {
        Self {
            children: HashMap::new(),
            values: Vec::new(),
            many,
        }
    }
}

/// Values under patterns; a value may be there more than once.
#[derive(Debug)]
pub(crate) struct Topics<T> {
    nodes: Vec<Node<T>>,
    free: Vec<usize>,
}

impl<T: PartialEq> Topics<T> {
    pub(crate) fn new() -> Self {
        Self {
            nodes: vec![Node::new(false)],
            free: Vec::new(),
        }
    }

    pub(crate) fn insert(&mut self, pattern: &str, value: T) {
        let mut at = ROOT;
        for word in pattern.split('.') {
            at = match self.nodes[at].children.get(word) {
                Some(&child) => child,
                None => {
                    let node = Node::new(word == "#");
                    let child = match self.free.pop() {
                        Some(free) => {
                            self.nodes[free] = node;
                            free
                        }
                        None => {
                            self.nodes.push(node);
                            self.nodes.len() - 1
                        }
                    };
                    self.nodes[at].children.insert(word.into(), child);
                    child
                }
            };
        }
        self.nodes[at].values.push(value);
    }

    /// Removes the value once.
    pub(crate) fn remove(&mut self, pattern: &str, value: &T) {
        let mut path = Vec::new();
        let mut at = ROOT;
        for word in pattern.split('.') {
            let Some(&child) = self.nodes[at].children.get(word) else {
                return;
            };
            path.push((at, word));
            at = child;
        }
        let Some(place) = self.nodes[at].values.iter().position(|other| other == value) else {
            return;
        };
        self.nodes[at].values.swap_remove(place);
        while let Some((parent, word)) = path.pop() {
            if !self.nodes[at].values.is_empty() || !self.nodes[at].children.is_empty() {
                break;
            }
            self.nodes[parent].children.remove(word);
            self.free.push(at);
            at = parent;
        }
    }

    /// Calls `found` with every value whose pattern matches.
    pub(crate) fn matches<'a>(&'a self, key: &str, mut found: impl FnMut(&'a T)) {
        let mut states = Vec::new();
        self.enter(ROOT, &mut states);
        for word in key.split('.') {
            let mut next = Vec::new();
            for &state in &states {
                let node = &self.nodes[state];
                if node.many {
                    self.enter(state, &mut next);
                }
                // A `*` or `#` in a key is a word like others, which no pattern names.
                let named = if word == "*" || word == "#" {
                    None
                } else {
                    node.children.get(word)
                };
                for &child in named.into_iter().chain(node.children.get("*")) {
                    self.enter(child, &mut next);
                }
            }
            next.sort_unstable();
            next.dedup();
            states = next;
        }
        for state in states {
            self.nodes[state].values.iter().for_each(&mut found);
        }
    }

    /// Adds a node, and those that need no word after it.
    fn enter(&self, node: usize, states: &mut Vec<usize>) {
        let mut at = node;
        loop {
            states.push(at);
            match self.nodes[at].children.get("#") {
                Some(&child) => at = child,
                None => break,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn naive(pattern: &[&str], key: &[&str]) -> bool {
        match (pattern.split_first(), key.split_first()) {
            (None, None) => true,
            (None, Some(_)) => false,
            (Some((&"#", rest)), _) => naive(rest, key) || (!key.is_empty() && naive(pattern, &key[1..])),
            (Some((_, _)), None) => false,
            (Some((word, rest)), Some((first, others))) => {
                (*word == "*" || word == first) && naive(rest, others)
            }
        }
    }

    fn words(max: usize, alphabet: &'static [&'static str]) -> impl Strategy<Value = String> {
        prop::collection::vec(prop::sample::select(alphabet), 1..max).prop_map(|words| words.join("."))
    }

    fn found(topics: &Topics<usize>, key: &str) -> BTreeSet<usize> {
        let mut all = BTreeSet::new();
        topics.matches(key, |value| {
            all.insert(*value);
        });
        all
    }

    proptest! {
        #[test]
        fn agrees_with_the_naive_matcher(
            patterns in prop::collection::vec(words(6, &["a", "b", "", "*", "#"]), 1..12),
            keys in prop::collection::vec(words(7, &["a", "b", "c", ""]), 1..8),
            removed in prop::collection::vec(any::<bool>(), 12),
        ) {
            let mut topics = Topics::new();
            for (index, pattern) in patterns.iter().enumerate() {
                topics.insert(pattern, index);
            }
            for (index, pattern) in patterns.iter().enumerate() {
                if removed[index] {
                    topics.remove(pattern, &index);
                }
            }
            for key in &keys {
                let expected = patterns.iter().enumerate().filter(|(index, pattern)| {
                    !removed[*index]
                        && naive(&pattern.split('.').collect::<Vec<_>>(), &key.split('.').collect::<Vec<_>>())
                }).map(|(index, _)| index).collect::<BTreeSet<_>>();
                prop_assert_eq!(found(&topics, key), expected, "key {:?}", key);
            }
            for (index, pattern) in patterns.iter().enumerate() {
                topics.remove(pattern, &index);
            }
            prop_assert_eq!(topics.nodes.len(), topics.free.len() + 1, "removed nodes are free again");
        }
    }

    #[test]
    fn many_hashes_stay_cheap() {
        let mut topics = Topics::new();
        topics.insert(&["#"; 100].join(".a."), 1);
        let started = std::time::Instant::now();
        assert!(found(&topics, &["b"; 127].join(".")).is_empty());
        assert_eq!(found(&topics, &["a"; 127].join(".")).len(), 1);
        assert!(started.elapsed() < std::time::Duration::from_secs(2));
    }
}
