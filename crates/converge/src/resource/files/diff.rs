//! What changes in a file, for people.

use similar::TextDiff;

/// Files that are larger are not compared, as in Chef.
const MOST_BYTES: usize = 10_000_000;
/// Differences that are longer are not shown, as in Chef.
const MOST_SHOWN: usize = 1_000_000;

/// The difference as a unified diff, or in parentheses why there is none to show.
pub(crate) fn unified(path: &str, old: &[u8], new: &[u8]) -> String {
    if old.len().max(new.len()) > MOST_BYTES {
        return format!("(file sizes exceed {MOST_BYTES} bytes, diff output suppressed)");
    }
    let Some(old) = text(old) else {
        return "(current file is binary, diff output suppressed)".to_owned();
    };
    let Some(new) = text(new) else {
        return "(new content is binary, diff output suppressed)".to_owned();
    };
    let diff = TextDiff::from_lines(old, new);
    let shown = diff
        .unified_diff()
        .context_radius(3)
        .header(path, path)
        .to_string();
    if shown.len() > MOST_SHOWN {
        return format!("(long diff of over {MOST_SHOWN} characters, diff output suppressed)");
    }
    if shown.is_empty() {
        "(no diff)".to_owned()
    } else {
        shown
    }
}

/// Bytes as text; none when they are something else.
fn text(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes).ok()?;
    let odd = |character: char| {
        character.is_control() && !matches!(character, '\n' | '\r' | '\t' | '\x0b' | '\x0c' | '\x1b')
    };
    (!text.contains(odd)).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_compared_by_lines() {
        assert_eq!(
            unified("/etc/x", b"one\ntwo\n", b"one\nthree\n"),
            "--- /etc/x\n+++ /etc/x\n@@ -1,2 +1,2 @@\n one\n-two\n+three\n"
        );
        assert!(unified("/x", b"a", b"b").contains("\\ No newline at end of file"));
    }

    #[test]
    fn what_is_no_text_is_not_shown() {
        assert_eq!(
            unified("/x", b"\x7fELF\0", b"b"),
            "(current file is binary, diff output suppressed)"
        );
        assert_eq!(
            unified("/x", b"", b"\xff"),
            "(new content is binary, diff output suppressed)"
        );
        assert_eq!(
            unified("/x", b"", &vec![b'a'; MOST_BYTES + 1]),
            "(file sizes exceed 10000000 bytes, diff output suppressed)"
        );
    }
}
