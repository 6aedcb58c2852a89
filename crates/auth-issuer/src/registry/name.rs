//! The name of a credential: what of it can be seen, and when two are the same to whoever reads them.

/// The longest name, in characters.
const LONGEST: usize = 100;

/// The name as it is kept and shown, with single spaces; `None` if it is empty, too long, or cannot be seen for what it is.
pub(super) fn shown(name: &str) -> Option<String> {
    let name = name.trim();
    if name.chars().any(|c| c.is_control() || is_invisible(c)) || !is_joined_well(name) {
        return None;
    }
    let name = name.split_whitespace().collect::<Vec<_>>().join(" ");
    (1..=LONGEST).contains(&name.chars().count()).then_some(name)
}

/// Whether two names are the same to the eye, as far as white space and what is inside of letters and emoji go. One of an
/// earlier release may be kept as it was given.
pub(super) fn look_alike(one: &str, other: &str) -> bool {
    seen(one) == seen(other)
}

fn seen(name: &str) -> String {
    let words = name.split_whitespace().collect::<Vec<_>>().join(" ");
    words.chars().filter(|c| !is_joiner(*c) && !is_selector(*c)).collect()
}

/// Joiners stand between two characters that are seen, and a selector behind one: elsewhere they have no effect but to make
/// two names of one.
fn is_joined_well(name: &str) -> bool {
    let is_plain = |c: char| !c.is_whitespace() && !is_joiner(c) && !is_selector(c);
    let mut before = None;
    let mut chars = name.chars().peekable();
    while let Some(c) = chars.next() {
        let is_well = if is_joiner(c) {
            let after = chars.peek().copied().is_some_and(is_plain);
            after && before.is_some_and(|c| is_plain(c) || is_selector(c))
        } else {
            !is_selector(c) || before.is_some_and(is_plain)
        };
        if !is_well {
            return false;
        }
        before = Some(c);
    }
    true
}

/// They make one sign of two emoji, and part or bind letters of Persian and of India's scripts.
fn is_joiner(c: char) -> bool {
    matches!(c, '\u{200c}' | '\u{200d}')
}

/// They choose how the character before them looks.
fn is_selector(c: char) -> bool {
    matches!(c, '\u{180b}'..='\u{180d}' | '\u{180f}' | '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}')
}

/// Characters that are not seen, or turn the text around them: with them a name could pose as another. The categories Cf, Zl
/// and Zp of Unicode 16, and its fillers and blanks, without joiners and selectors.
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{34f}'
            | '\u{600}'..='\u{605}'
            | '\u{61c}'
            | '\u{6dd}'
            | '\u{70f}'
            | '\u{890}'..='\u{891}'
            | '\u{8e2}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180e}'
            | '\u{200b}'
            | '\u{200e}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{2800}'
            | '\u{3164}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{110bd}'
            | '\u{110cd}'
            | '\u{13430}'..='\u{1343f}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e00ff}'
            | '\u{e01f0}'..='\u{e0fff}'
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn emoji_and_persian_are_names() {
        for name in [
            "✈\u{fe0f} Export",
            "Export ✈\u{fe0f}",
            "👩\u{200d}💻 dev",
            "❤\u{fe0f}\u{200d}🔥",
            "گزارش\u{200c}ها",
            "क्\u{200d}ष",
            "葛\u{e0100}城",
        ] {
            assert_eq!(shown(name).as_deref(), Some(name));
        }
    }

    #[test]
    fn what_has_no_effect_or_is_not_seen_is_no_name() {
        for name in [
            "",
            " \u{a0}\u{3000}",
            "\u{200d}a",
            "a\u{200d}",
            "a \u{200c}b",
            "a\u{200d} b",
            "a\u{200d}\u{200d}b",
            "\u{fe0f}a",
            "a \u{fe0f}",
            "a\u{fe0f}\u{fe0f}",
            "a\u{200b}b",
            "a\u{202e}b",
            "a\u{2028}b",
            "a\tb",
            "\u{e0041}",
        ] {
            assert_eq!(shown(name), None, "{name:?}");
        }
        assert!(shown(&"x".repeat(100)).is_some() && shown(&"x".repeat(101)).is_none());
    }

    #[test]
    fn names_that_look_the_same_are_the_same() {
        for other in [
            "Night  export",
            "Night\u{a0}export",
            " Night\u{202f}\u{2003}export ",
            "Night\u{3000}export",
        ] {
            assert_eq!(shown(other).as_deref(), Some("Night export"));
            assert!(look_alike("Night export", other));
        }
        assert!(look_alike("ab", "a\u{200d}b") && look_alike("ab", "a\u{fe0f}b"));
        assert!(!look_alike("Night export", "Nightexport"));
    }

    proptest! {
        #[test]
        fn a_name_is_kept_as_it_is_once_it_was_kept(name in "[ a\u{a0}\u{200d}\u{fe0f}\u{200c}é✈]{0,12}|\\PC*") {
            if let Some(kept) = shown(&name) {
                prop_assert_eq!(shown(&kept), Some(kept.clone()));
                prop_assert!(look_alike(&name, &kept));
                prop_assert!(!seen(&kept).is_empty());
            }
        }
    }
}
