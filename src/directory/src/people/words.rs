//! The words of names, in the form in which they are compared: without case and without accents.

use std::cmp::Reverse;

use ruma::{ServerName, UserId};
use unicode_normalization::{UnicodeNormalization as _, char::is_combining_mark};
use wardstead_limits::profiles as limits;

/// `text` without case and accents, as people type names: "Zoë" as "zoe", "Søren" as "soren".
fn folded(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    let plain = text.chars().flat_map(char::to_lowercase).nfkd().filter(|char| !is_combining_mark(*char));
    for char in plain {
        match char {
            'ß' => folded.push_str("ss"),
            'æ' => folded.push_str("ae"),
            'œ' => folded.push_str("oe"),
            'þ' => folded.push_str("th"),
            'ø' => folded.push('o'),
            'đ' | 'ð' => folded.push('d'),
            'ł' => folded.push('l'),
            'ħ' => folded.push('h'),
            'ı' => folded.push('i'),
            char => folded.extend(char.to_lowercase()),
        }
    }
    folded
}

fn cut(word: &str) -> &str {
    let ends = word.char_indices().map(|(at, char)| at + char.len_utf8());
    &word[..ends.take_while(|end| *end <= limits::PEOPLE_WORD_BYTES).last().unwrap_or(0)]
}

fn parts(folded: &str) -> impl Iterator<Item = &str> {
    folded.split(|char: char| !char.is_alphanumeric()).filter(|part| !part.is_empty()).map(cut)
}

/// The words of `text` in their order; none is longer than its bound.
fn words(text: &str) -> Vec<String> {
    parts(&folded(text)).map(str::to_owned).collect()
}

/// What is searched for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Term {
    /// Each is the beginning of a word of whoever is found.
    words: Vec<String>,
    /// Of a user id: its server, or the beginning of that.
    server: Option<String>,
}

/// How well somebody fits; the better is the smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fit {
    /// Name or user name are what was searched.
    Whole,
    /// Each word that was searched is one of the person's.
    Words,
    /// Each begins one.
    Beginnings,
}

impl Term {
    /// `text` as somebody typed it: words of a name, a user name, a user id or the beginning of one.
    pub(super) fn of(text: &str) -> Self {
        let text = text.trim();
        let user_id = text.strip_prefix('@').map(|user_id| user_id.split_once(':').unwrap_or((user_id, "")));
        let (name, server) = user_id.map_or((text, None), |(name, server)| (name, Some(server.to_lowercase())));
        let mut words = words(name);
        words.truncate(limits::PEOPLE_TERM_KEYS);
        Self { words, server }
    }

    /// The words by which people are looked up, each once, the longest first: mostly there are the fewest of it. None: there is nothing to
    /// search.
    pub(super) fn lookups(&self) -> Vec<&str> {
        let mut words: Vec<&str> = self.words.iter().map(String::as_str).collect();
        words.sort_unstable_by_key(|word| (Reverse(word.len()), *word));
        words.dedup();
        words
    }

    /// Whether users of `server` can be meant: whoever looks for one of another server is not shown somebody here of the same name.
    pub(super) fn may_be_of(&self, server: &ServerName) -> bool {
        self.server.as_ref().is_none_or(|asked| server.as_str().starts_with(asked.as_str()))
    }

    /// How `person` fits, if at all.
    pub(super) fn fit(&self, person: &Words) -> Option<Fit> {
        let begins = |word: &String| person.words.iter().any(|own| own.starts_with(word.as_str()));
        if !self.words.iter().all(begins) {
            return None;
        }
        let whole = self.words.join(" ");
        if person.wholes.contains(&whole) {
            return Some(Fit::Whole);
        }
        Some(if self.words.iter().all(|word| person.words.contains(word)) { Fit::Words } else { Fit::Beginnings })
    }
}

/// By what a person is found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Words {
    /// The words of name and user name; of compounds the whole too ("obrien", "o", "brien"). Each once.
    pub(super) words: Vec<String>,
    /// Name and user name.
    pub(super) wholes: Vec<String>,
}

impl Words {
    pub(super) fn of(user_id: &UserId, displayname: Option<&str>) -> Self {
        let mut all = Self::default();
        for text in [displayname.unwrap_or_default(), user_id.localpart()] {
            let own = words(text);
            for compound in folded(text).split_whitespace() {
                let parts: Vec<&str> = parts(compound).collect();
                let joined = parts.concat();
                for part in &parts {
                    all.add(part);
                }
                all.add(cut(&joined));
            }
            if !own.is_empty() {
                all.wholes.push(own.join(" "));
            }
        }
        all
    }

    fn add(&mut self, word: &str) {
        let there = || self.words.iter().any(|own| own == word);
        if !word.is_empty() && self.words.len() < limits::PEOPLE_WORD_KEYS && !there() {
            self.words.push(word.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use ruma::user_id;

    use super::*;

    fn fit(term: &str, displayname: &str) -> Option<Fit> {
        Term::of(term).fit(&Words::of(user_id!("@z.smith42:example.org"), Some(displayname)))
    }

    #[test]
    fn names_are_found_as_people_type_them() {
        for (term, name, expected) in [
            ("zoe", "Zoë", Some(Fit::Whole)),
            ("ZOË", "zoe", Some(Fit::Whole)),
            ("zo", "Zoë Müller", Some(Fit::Beginnings)),
            ("müller", "Zoë Müller", Some(Fit::Words)),
            ("Muller zoe", "Zoë Müller", Some(Fit::Words)),
            ("mul zo", "Zoë Müller", Some(Fit::Beginnings)),
            ("zoe muller", "Zoë  Müller", Some(Fit::Whole)),
            ("soren", "Søren Łukasz", Some(Fit::Words)),
            ("lukasz", "Søren Łukasz", Some(Fit::Words)),
            ("strasse", "Straße", Some(Fit::Whole)),
            ("obrien", "Sinéad O'Brien", Some(Fit::Words)),
            ("o'brien", "Sinéad O'Brien", Some(Fit::Words)),
            ("O’Bri", "Sinéad O'Brien", Some(Fit::Beginnings)),
            ("brien", "Sinéad O'Brien", Some(Fit::Words)),
            ("maryjane", "Mary-Jane", Some(Fit::Words)),
            ("mary-j", "Mary-Jane", Some(Fit::Beginnings)),
            ("иван", "Иван", Some(Fit::Whole)),
            ("李", "李小龙", Some(Fit::Beginnings)),
            ("smith-jones", "Dr. Ann Smith-Jones", Some(Fit::Words)),
            ("smithjones", "Dr. Ann Smith-Jones", Some(Fit::Words)),
            ("jones", "Dr. Ann Smith\u{2010}Jones", Some(Fit::Words)),
            ("dr smith", "Dr. Ann Smith-Jones", Some(Fit::Words)),
            ("dr. ann smith-jones", "Dr Ann Smith-Jones", Some(Fit::Whole)),
            ("obrien", "Sinéad O’Brien", Some(Fit::Words)),
            ("sinead", "Sine\u{301}ad", Some(Fit::Whole)),
            ("sine\u{301}ad", "Sinéad", Some(Fit::Whole)),
            ("ärzte", "Arzte", Some(Fit::Whole)),
            ("É", "Élodie", Some(Fit::Beginnings)),
            ("prof dr med", "Prof. Dr. med. Weiß", Some(Fit::Words)),
            ("weiss", "Prof. Dr. med. Weiß", Some(Fit::Words)),
            ("z.smith42", "Zoë", Some(Fit::Whole)),
            ("@z.smith42:example.org", "Zoë", Some(Fit::Whole)),
            ("@z.sm", "Zoë", Some(Fit::Beginnings)),
            ("smith", "Zoë", Some(Fit::Beginnings)),
            ("zsmith", "Zoë", Some(Fit::Beginnings)),
            ("oe", "Zoë", None),
            ("zoe jones", "Zoë", None),
        ] {
            assert_eq!(fit(term, name), expected, "{term} in {name}");
        }
    }

    #[test]
    fn a_user_id_is_of_its_server() {
        let here = ruma::server_name!("example.org");
        for (term, expected) in [
            ("zoe", true),
            ("@zoe", true),
            ("@zoe:", true),
            ("@zoe:exam", true),
            ("@zoe:Example.org", true),
            ("@zoe:example.com", false),
            ("@zoe:example.org:8448", false),
        ] {
            assert_eq!(Term::of(term).may_be_of(here), expected, "{term}");
        }
    }

    #[test]
    fn the_longest_word_is_looked_up_first() {
        assert_eq!(Term::of("dr li doctor li").lookups(), ["doctor", "dr", "li"]);
    }

    #[test]
    fn nothing_and_signs_are_no_search() {
        for term in ["", "  ", "@", "@:example.org", "!?", "\u{301}"] {
            assert!(Term::of(term).lookups().is_empty(), "{term:?}");
        }
        assert_eq!(Term::of("a smith").lookups(), ["smith", "a"]);
    }

    #[test]
    fn words_are_bounded() {
        let long = "é".repeat(500);
        let many = (0..100).map(|number| format!("w{number}")).collect::<Vec<_>>().join(" ");
        let words = Words::of(user_id!("@a:example.org"), Some(&format!("{long} {many}")));
        assert_eq!(words.words.len(), limits::PEOPLE_WORD_KEYS);
        assert!(words.words.iter().all(|word| word.len() <= limits::PEOPLE_WORD_BYTES));
        assert!(Term::of(&long).fit(&words).is_some());
        assert_eq!(Term::of(&many).words.len(), limits::PEOPLE_TERM_KEYS);
    }
}
