//! Patterns of push rules (Client-Server API, Push rules, `event_match`): case does not matter, `*` and `?` are wildcards.

/// Whether all of `text` is like `pattern`; both in lower case.
pub(crate) fn is_like(text: &str, pattern: &str) -> bool {
    if !has_wildcards(pattern) {
        return text == pattern;
    }
    let (text, pattern): (Vec<char>, Vec<char>) = (text.chars().collect(), pattern.chars().collect());
    let (mut at, mut in_pattern) = (0, 0);
    // Where the last `*` stands, and up to where it was taken to reach.
    let mut star: Option<(usize, usize)> = None;
    while at < text.len() {
        match pattern.get(in_pattern) {
            Some('*') => {
                star = Some((in_pattern, at));
                in_pattern += 1;
            }
            Some(wanted) if *wanted == '?' || *wanted == text[at] => {
                at += 1;
                in_pattern += 1;
            }
            _ => {
                let Some((place, reach)) = star else { return false };
                star = Some((place, reach + 1));
                (at, in_pattern) = (reach + 1, place + 1);
            }
        }
    }
    pattern[in_pattern..].iter().all(|rest| *rest == '*')
}

pub(crate) fn has_wildcards(pattern: &str) -> bool {
    pattern.contains(['*', '?'])
}

/// The longest part of `pattern` without wildcards: what is like the pattern contains it. Empty where there is none.
pub(crate) fn longest_literal(pattern: &str) -> &str {
    pattern.split(['*', '?']).max_by_key(|part| part.len()).unwrap_or_default()
}

/// Whether `word`, which has no wildcards, stands in `text` for itself: not inside of a longer word. Both in lower case.
pub(crate) fn has_word(text: &str, word: &str) -> bool {
    !word.is_empty() && text.match_indices(word).any(|(at, _)| stands_alone(text, at, at + word.len()))
}

/// Whether what stands from `start` to `end` is no part of a longer word of letters, digits and underscores.
pub(crate) fn stands_alone(text: &str, start: usize, end: usize) -> bool {
    let of_word = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    let bytes = text.as_bytes();
    let before = start.checked_sub(1).and_then(|at| bytes.get(at));
    let (first, last) = (bytes.get(start), end.checked_sub(1).and_then(|at| bytes.get(at)));
    let goes_on = |left: Option<&u8>, right: Option<&u8>| of_word(left) && of_word(right);
    !goes_on(before, first) && !goes_on(last, bytes.get(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards() {
        for (text, pattern) in
            [("m.notice", "m.*"), ("abc", "a?c"), ("abc", "*"), ("", "*"), ("aXbXc", "a*b*c"), ("a", "a")]
        {
            assert!(is_like(&text.to_lowercase(), pattern), "{text} {pattern}");
        }
        for (text, pattern) in [("m.text", "m.n*"), ("ac", "a?c"), ("", "?"), ("abcd", "a*c"), ("ab", "a")] {
            assert!(!is_like(text, pattern), "{text} {pattern}");
        }
        assert_eq!(longest_literal("*blood?gas*"), "blood");
        assert_eq!(longest_literal("**"), "");
    }

    #[test]
    fn words_stand_alone() {
        for text in ["anna", "hello anna!", "@anna:x", "annabel anna", "über-anna"] {
            assert!(has_word(text, "anna"), "{text}");
        }
        for text in ["annabel", "joanna", "anna_1", ""] {
            assert!(!has_word(text, "anna"), "{text}");
        }
        assert!(has_word("all @room now", "@room") && !has_word("@rooms", "@room"));
    }
}
