//! Just enough understanding of Rust source.

/// Whether a file holds tests or what only tests use.
pub(crate) fn is_test_file(path: &str) -> bool {
    let tests = ["/tests/", "/testing/", "/conformance/", "/benches/"];
    path.starts_with("tests/")
        || tests.iter().any(|folder| path.contains(folder))
        || path.ends_with("/tests.rs")
        || path.ends_with("/testing.rs")
}

/// The part of a file before its `#[cfg(test)] mod tests { … }`, which stands last.
pub(crate) fn outside_tests(text: &str) -> &str {
    let start = text
        .match_indices("#[cfg(test)]\nmod ")
        .find(|(at, _)| text[*at..].lines().nth(1).is_some_and(|line| line.ends_with('{')));
    start.map_or(text, |(at, _)| &text[..at])
}

/// Lines with their number, without those that are comments.
pub(crate) fn code_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(number, line)| (number + 1, line)).filter(|(_, line)| {
        let line = line.trim_start();
        !line.starts_with("//") && !line.is_empty()
    })
}

/// Whether `word` stands in `text` as a word of its own.
pub(crate) fn has_word(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        ![before, after].into_iter().flatten().any(|c| c.is_alphanumeric() || c == '_')
    })
}

/// A constant: its name, its type, and the doc comment above it.
pub(crate) struct Constant<'a> {
    pub(crate) name: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) line: usize,
    pub(crate) doc: String,
}

/// The constants (and statics) that `text` declares, wherever in it.
pub(crate) fn constants(text: &str) -> Vec<Constant<'_>> {
    let mut doc = String::new();
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let trimmed = line.trim_start();
        if let Some(comment) = trimmed.strip_prefix("///") {
            doc.push_str(comment);
            continue;
        }
        if let Some((name, kind)) = declaration(trimmed) {
            found.push(Constant { name, kind, line: number + 1, doc: std::mem::take(&mut doc) });
        } else if !trimmed.starts_with("#[") {
            doc.clear();
        }
    }
    found
}

fn declaration(line: &str) -> Option<(&str, &str)> {
    let line = without_visibility(line);
    let rest = line.strip_prefix("const ").or_else(|| line.strip_prefix("static "))?;
    let (name, rest) = rest.split_once(':')?;
    let shouted = name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
    shouted.then(|| (name, rest.split('=').next().unwrap_or(rest).trim()))
}

/// `pub(crate) mod x;` as `mod x;`
pub(crate) fn without_visibility(line: &str) -> &str {
    let Some(rest) = line.strip_prefix("pub") else { return line };
    let rest = rest.strip_prefix('(').and_then(|inner| inner.split_once(") ")).map_or(rest, |(_, rest)| rest);
    rest.trim_start()
}

#[cfg(test)]
mod tests {
    use super::{constants, has_word, outside_tests, without_visibility};

    #[test]
    fn constants_are_found_with_type_and_doc() {
        let text = "/// Bytes of it.\n#[doc(hidden)]\npub(crate) const A_BYTES: usize = 1;\nconst fn f() {}\nconst B: [u8; 2] = [0; 2];\n";
        let found = constants(text);
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].name, found[0].kind, found[0].doc.as_str()), ("A_BYTES", "usize", " Bytes of it."));
        assert_eq!((found[1].name, found[1].doc.as_str(), found[1].line), ("B", "", 5));
    }

    #[test]
    fn words_are_whole() {
        assert!(has_word("limits::PAGE_ROWS)", "PAGE_ROWS"));
        assert!(!has_word("limits::TAIL_PAGE_ROWS)", "PAGE_ROWS"));
    }

    #[test]
    fn the_tests_at_the_end_of_a_file_are_left_out() {
        assert_eq!(outside_tests("a\n#[cfg(test)]\nmod tests {\n}\n"), "a\n");
        assert_eq!(outside_tests("#[cfg(test)]\nmod tests;\nb\n"), "#[cfg(test)]\nmod tests;\nb\n");
        assert_eq!(without_visibility("pub(crate) mod a;"), "mod a;");
    }
}
