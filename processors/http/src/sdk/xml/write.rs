//! Writing a document.

use super::super::NAMESPACE;
use super::text::{is_text, is_valid};

/// A document that is being written. Its elements have no attributes, no comments, no CDATA and no
/// white space around them: the SDK for Python takes an element's first node for its text, and the
/// one for Node an element with an attribute for no text at all.
#[derive(Debug)]
pub struct Writer {
    text: String,
}

impl Writer {
    /// A document of about that many bytes, with this root still open.
    #[must_use]
    pub fn new(root: &'static str, capacity: usize) -> Self {
        let mut text = String::with_capacity(capacity + 128);
        text.extend([
            "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<",
            root,
            " xmlns=\"",
            NAMESPACE,
            "\">",
        ]);
        Self { text }
    }

    /// Opens an element.
    pub fn open(&mut self, name: &'static str) {
        self.text.extend(["<", name, ">"]);
    }

    /// Closes the element, or the root.
    pub fn close(&mut self, name: &'static str) {
        self.text.extend(["</", name, ">"]);
    }

    /// Writes an element with a text. A character that XML cannot have is replaced by U+FFFD; texts
    /// in which one may stand are to be encoded before, so that nothing is lost.
    pub fn element(&mut self, name: &'static str, text: &str) {
        self.open(name);
        self.escape(text);
        self.close(name);
    }

    /// Writes an element with a number.
    pub fn number(&mut self, name: &'static str, number: i64) {
        self.element(name, &number.to_string());
    }

    /// Between what is to be replaced, text is copied as a whole: a body of megabytes mostly has
    /// little of that.
    fn escape(&mut self, text: &str) {
        if !is_text(text) {
            let is_valid = |sign| if is_valid(sign) { sign } else { '\u{FFFD}' };
            let text: String = text.chars().map(is_valid).collect();
            return self.escape(&text);
        }
        let bytes = text.as_bytes();
        let mut returns = memchr::memchr_iter(b'\r', bytes).peekable();
        let mut marks = memchr::memchr3_iter(b'<', b'>', b'&', bytes).peekable();
        let mut from = 0;
        loop {
            let at = match (marks.peek(), returns.peek()) {
                (Some(mark), Some(end)) if end < mark => returns.next(),
                (Some(_), _) => marks.next(),
                (None, _) => returns.next(),
            };
            let Some(at) = at else {
                break;
            };
            self.text.push_str(text.get(from..at).unwrap_or_default());
            self.text.push_str(match bytes.get(at) {
                Some(b'<') => "&lt;",
                // `]]>` must not stand in a text.
                Some(b'>') => "&gt;",
                Some(b'&') => "&amp;",
                // A reader would make it a line feed.
                _ => "&#13;",
            });
            from = at + 1;
        }
        self.text.push_str(text.get(from..).unwrap_or_default());
    }

    /// The document, after its root was closed.
    #[must_use]
    pub fn end(self) -> String {
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn escaped(text: &str) -> String {
        let mut writer = Writer {
            text: String::new(),
        };
        writer.escape(text);
        writer.end()
    }

    #[test]
    fn texts_are_escaped() {
        for (text, expected) in [
            ("", ""),
            ("plain \"text\" 'here'", "plain \"text\" 'here'"),
            ("a<b>&c]]>", "a&lt;b&gt;&amp;c]]&gt;"),
            ("中<文", "中&lt;文"),
            ("a\r\n\tb", "a&#13;\n\tb"),
            ("\u{0}x\u{1b}", "\u{FFFD}x\u{FFFD}"),
            ("\u{FFFE}\u{FFFD}\u{FEFF}", "\u{FFFD}\u{FFFD}\u{FEFF}"),
        ] {
            assert_eq!(escaped(text), expected, "{text:?}");
        }
    }

    #[test]
    fn documents_are_written() {
        let mut writer = Writer::new("Messages", 0);
        writer.open("Message");
        writer.element("MessageBody", "<b>");
        writer.number("PublishTime", -1);
        writer.close("Message");
        writer.close("Messages");
        assert_eq!(
            writer.end(),
            "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n\
             <Messages xmlns=\"http://mq.aliyuncs.com/doc/v1\"><Message>\
             <MessageBody>&lt;b&gt;</MessageBody><PublishTime>-1</PublishTime></Message></Messages>"
        );
    }
}
