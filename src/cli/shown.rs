//! What others wrote — titles, names, notes — made fit for a terminal.
//!
//! A terminal obeys control characters, and an eye is led astray by characters that turn the direction of writing or do
//! not show at all. None of them belongs into a market's title, so each is written out as `\u{1b}`. What only a page or
//! a chat would obey, such as `<b>` or `*`, is left as it is.

use std::fmt::{self, Write as _};

/// A text of others, on one line.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a>(pub &'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for letter in self.0.chars() {
            if shows(letter) {
                f.write_char(letter)?;
            } else {
                write!(f, "{}", letter.escape_unicode())?;
            }
        }
        Ok(())
    }
}

/// Does this character do nothing but show?
fn shows(letter: char) -> bool {
    let hidden = matches!(
        letter,
        '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
    );
    !letter.is_control() && !hidden
}

/// A message that may have several lines, whoever wrote its parts.
pub fn message(text: &str) -> String {
    text.lines().map(|line| Shown(line).to_string()).collect::<Vec<_>>().join("\n")
}

/// One line of JSON in which no character acts on a terminal either.
pub fn json(value: &serde_json::Value) -> String {
    let mut line = String::new();
    for letter in value.to_string().chars() {
        if shows(letter) {
            line.push(letter);
        } else {
            // Outside of its texts JSON has none of these, and inside it writes them so.
            let _ = letter.encode_utf16(&mut [0; 2]).iter().try_for_each(|unit| write!(line, "\\u{unit:04x}"));
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fault 89.
    #[test]
    fn nothing_that_a_terminal_obeys_or_an_eye_does_not_see_is_printed() {
        for (hostile, shown) in [
            ("Will X win?", "Will X win?"),
            ("Über 30 °C in Zürich — “yes” or 不", "Über 30 °C in Zürich — “yes” or 不"),
            ("<script>alert(1)</script> *b* [x](y)", "<script>alert(1)</script> *b* [x](y)"),
            ("\u{1b}[2J\u{1b}]0;owned\u{7}", "\\u{1b}[2J\\u{1b}]0;owned\\u{7}"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("a\r\n12:00:00  FILL", "a\\u{d}\\u{a}12:00:00  FILL"),
            ("a\u{2028}b\u{85}c", "a\\u{2028}b\\u{85}c"),
            ("NO\u{202e}SEY", "NO\\u{202e}SEY"),
            ("ze\u{200b}ro\u{feff}\u{e0041}", "ze\\u{200b}ro\\u{feff}\\u{e0041}"),
            ("del\u{7f}\u{8}\u{0}", "del\\u{7f}\\u{8}\\u{0}"),
        ] {
            assert_eq!(Shown(hostile).to_string(), shown);
            let value = serde_json::json!({ "title": hostile });
            let line = json(&value);
            assert!(line.chars().all(shows), "{line}");
            assert_eq!(serde_json::from_str::<serde_json::Value>(&line).unwrap(), value, "the same text to a program");
        }
        assert_eq!(message("one\ntwo\u{1b}[1m\n"), "one\ntwo\\u{1b}[1m");
    }
}
