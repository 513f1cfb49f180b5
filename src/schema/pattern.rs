//! Patterns of text: the small part of regular expressions that names, numbers and digests need.
//!
//! A pattern is a sequence of characters and classes between `^` and `$`, each with how often it may come. Other systems read
//! it as the regular expression it is, so there is no dialect of ours to explain. Decided against a crate: groups and
//! alternatives are not needed, and a sequence is matched in time linear in the text, which no sender can make worse.

/// One character or class, and how often it comes.
struct Item<'a> {
    class: Class<'a>,
    min: usize,
    max: usize,
}

enum Class<'a> {
    One(char),
    /// What stands between `[` and `]`.
    Set(&'a str),
}

impl Class<'_> {
    fn holds(&self, c: char) -> bool {
        match self {
            Self::One(one) => *one == c,
            Self::Set(set) => {
                let mut rest = set.chars();
                while let Some(low) = rest.next() {
                    let mut after = rest.clone();
                    let high = match (after.next(), after.next()) {
                        (Some('-'), Some(high)) => {
                            rest = after;
                            high
                        }
                        _ => low,
                    };
                    if (low..=high).contains(&c) {
                        return true;
                    }
                }
                false
            }
        }
    }
}

/// Whether all of the text matches; nothing matches a pattern that cannot be read.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    let Some(items) = read(pattern) else { return false };
    let text: Vec<char> = text.chars().collect();
    // Places that the items so far can have brought us to.
    let mut here = vec![false; text.len() + 1];
    if let Some(start) = here.first_mut() {
        *start = true;
    }
    for item in items {
        here = step(&item, &text, &here);
    }
    here.last().copied().unwrap_or(false)
}

/// Where one item can lead from those places.
fn step(item: &Item, text: &[char], here: &[bool]) -> Vec<bool> {
    // `before[n]`: how many of the first n places are among `here`.
    let before: Vec<usize> = std::iter::once(0)
        .chain(here.iter().scan(0, |sum, is| {
            *sum += usize::from(*is);
            Some(*sum)
        }))
        .collect();
    let mut run_began = 0;
    (0..here.len())
        .map(|end| {
            if end > 0 && !text.get(end - 1).is_some_and(|c| item.class.holds(*c)) {
                run_began = end;
            }
            let first = run_began.max(end.saturating_sub(item.max));
            let Some(last) = end.checked_sub(item.min) else { return false };
            first <= last && before.get(last + 1) > before.get(first)
        })
        .collect()
}

/// Whether a pattern can be read.
#[cfg(test)]
pub(super) fn is_readable(pattern: &str) -> bool {
    read(pattern).is_some()
}

fn read(pattern: &str) -> Option<Vec<Item<'_>>> {
    let mut rest = pattern.strip_prefix('^')?.strip_suffix('$')?;
    let mut items = Vec::new();
    while let Some(first) = rest.chars().next() {
        let class;
        (class, rest) = match first {
            '[' => {
                let (set, after) = rest.get(1..)?.split_once(']')?;
                (Class::Set(set), after)
            }
            '\\' => {
                let escaped = rest.get(1..)?.chars().next()?;
                (Class::One(escaped), rest.get(1 + escaped.len_utf8()..)?)
            }
            '(' | ')' | '|' | '.' | '^' | '$' | ']' | '?' | '*' | '+' | '{' | '}' => return None,
            c => (Class::One(c), rest.get(c.len_utf8()..)?),
        };
        let (min, max);
        (min, max, rest) = match rest.chars().next() {
            Some('?') => (0, 1, rest.get(1..)?),
            Some('*') => (0, usize::MAX, rest.get(1..)?),
            Some('+') => (1, usize::MAX, rest.get(1..)?),
            Some('{') => {
                let (count, after) = rest.get(1..)?.split_once('}')?;
                let (min, max) = count.split_once(',').unwrap_or((count, count));
                (min.parse().ok()?, if max.is_empty() { usize::MAX } else { max.parse().ok()? }, after)
            }
            _ => (1, 1, rest),
        };
        items.push(Item { class, min, max });
    }
    Some(items)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_the_regular_expression_it_looks_like() {
        let cases: &[(&str, &[&str], &[&str])] = &[
            ("^$", &[""], &["a"]),
            ("^a[0-9]+b$", &["a1b", "a123b"], &["ab", "a1", "a1bb", "xa1b"]),
            ("^[a-z._-]*$", &["", "a.b", "_-"], &["A", "a b"]),
            ("^[a-c]{2}[c-d]{1,2}$", &["aac", "abcd", "cccc"], &["aa", "aaccc", "aaccd"]),
            ("^a*a$", &["a", "aaaa"], &["", "b"]),
            ("^a?a?aa$", &["aa", "aaa", "aaaa"], &["a", "aaaaa"]),
            ("^x\\.y$", &["x.y"], &["x\\.y", "xay"]),
            ("^[ä-ü]{2,}$", &["öü", "äöü"], &["ö"]),
        ];
        for (pattern, good, bad) in cases {
            assert!(good.iter().all(|text| matches(pattern, text)), "{pattern} {good:?}");
            assert!(!bad.iter().any(|text| matches(pattern, text)), "{pattern} {bad:?}");
        }
    }

    #[test]
    fn what_cannot_be_read_matches_nothing() {
        for pattern in ["", "a", "^a", "a$", "^(a)$", "^a|b$", "^[a$", "^a{$", "^a{x}$", "^+$", "^.$"] {
            assert!(!is_readable(pattern) && !matches(pattern, "a"), "{pattern}");
        }
    }

    #[test]
    fn a_pattern_that_would_make_others_search_for_ever_takes_linear_time() {
        let text = "a".repeat(65_536);
        let expression = format!("^{}b$", "a*".repeat(64));
        assert!(!matches(&expression, &text));
    }
}
