//! Reasons: an enum whose variants are counted each by itself, and shown by a word.

/// Makes such an enum of lines `Variant = "word",` with their documentation, below a line `Name:` with its own.
macro_rules! reasons {
    ($(#[doc = $about:literal])+ $name:ident: $($(#[doc = $doc:literal])+ $variant:ident = $word:literal,)+) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum $name {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl $name {
            /// Every reason, in the order of its position.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// How many reasons there are.
            pub const COUNT: usize = Self::ALL.len();

            /// Its position among all: for arrays of counters.
            #[must_use]
            pub const fn index(self) -> usize {
                self as usize
            }

            /// A stable word for answers and logs.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}

pub(super) use reasons;

#[cfg(test)]
mod tests {
    use crate::wire::Unparsed;
    use crate::wire::exporter::Refusal;

    fn check<T: Copy>(all: &[T], name: fn(T) -> &'static str, index: fn(T) -> usize) {
        for (position, reason) in all.iter().enumerate() {
            assert_eq!(index(*reason), position);
            let word = name(*reason);
            assert!(word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'));
            assert_eq!(all.iter().filter(|other| name(**other) == word).count(), 1);
        }
    }

    #[test]
    fn words_are_distinct_and_indices_are_positions() {
        check(Unparsed::ALL, Unparsed::name, Unparsed::index);
        check(Refusal::ALL, Refusal::name, Refusal::index);
    }
}
