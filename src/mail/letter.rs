//! One mail: to whom, about what, and its body; and the message that goes over the wire.

use lettre::Message;
use lettre::message::header::{ContentTransferEncoding, ContentType};
use lettre::message::{Mailbox, MultiPart, SinglePart};

use super::{Error, Outgoing, layout, plain};
use crate::kit::id;

/// Characters of the part of a message id that is ours.
const MESSAGE_ID_CHARS: usize = 15;

/// A mail that is not sent yet.
#[derive(Clone, PartialEq, Eq)]
pub struct Letter {
    /// Address of the one who gets it.
    pub to: String,
    /// Its subject, in one line.
    pub subject: String,
    /// What it says, in HTML without the page around it.
    pub body: String,
}

/// Links and codes of a letter open accounts: they are in no log, however it is printed.
impl std::fmt::Debug for Letter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Letter").finish_non_exhaustive()
    }
}

impl Letter {
    /// The message as it is sent: text and HTML, the text made from the HTML.
    pub(super) fn message(&self, outgoing: &Outgoing) -> Result<Message, Error> {
        let unwritable = |what: &str, error: &dyn ToString| {
            Error::Unwritable(format!("{what}: {}", error.to_string()))
        };
        let address = |text: &str| text.parse().map_err(|error| unwritable(text, &error));
        let sender = Mailbox::new(
            Some(one_line(&outgoing.sender_name)).filter(|name| !name.is_empty()),
            address(&outgoing.sender_address)?,
        );
        let host = sender.email.domain().to_owned();
        let mark = id::random(MESSAGE_ID_CHARS, id::ALNUM);
        let texts = MultiPart::alternative()
            .singlepart(part(ContentType::TEXT_PLAIN, plain::text(&self.body)))
            .singlepart(part(ContentType::TEXT_HTML, layout::page(&self.body)));
        Message::builder()
            .from(sender)
            .to(Mailbox::new(None, address(&self.to)?))
            .subject(one_line(&self.subject))
            .message_id(Some(format!("<{mark}@{host}>")))
            .multipart(MultiPart::mixed().multipart(texts))
            .map_err(|error| unwritable("the message", &error))
    }
}

fn part(kind: ContentType, text: String) -> SinglePart {
    SinglePart::builder()
        .header(kind)
        .header(ContentTransferEncoding::QuotedPrintable)
        .body(text)
}

/// A header is one line, whatever a name or a template holds.
fn one_line(text: &str) -> String {
    text.split(char::is_control)
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::Relay;

    fn outgoing() -> Outgoing {
        Outgoing {
            relay: Relay::Sendmail,
            sender_name: "Support".to_owned(),
            sender_address: "support@example.com".to_owned(),
        }
    }

    fn letter(to: &str, subject: &str) -> Letter {
        Letter {
            to: to.to_owned(),
            subject: subject.to_owned(),
            body: "<p>Hi <b>Ann</b></p>".to_owned(),
        }
    }

    #[test]
    fn a_message_has_text_and_html() {
        let message = letter("ann@example.com", "Hello").message(&outgoing());
        let text = String::from_utf8(message.unwrap().formatted()).unwrap();
        assert!(text.contains("From: Support <support@example.com>\r\n"));
        assert!(text.contains("To: ann@example.com\r\nSubject: Hello\r\n"));
        assert!(text.contains("@example.com>\r\n"), "{text}");
        assert!(text.contains("multipart/alternative"));
        assert!(text.contains("\r\n\r\nHi Ann"));
        assert!(text.contains("<p>Hi <b>Ann</b></p>"));
    }

    #[test]
    fn a_subject_cannot_add_a_header() {
        let message = letter("ann@example.com", "Hi\r\nBcc: mal@example.com").message(&outgoing());
        let text = String::from_utf8(message.unwrap().formatted()).unwrap();
        assert!(text.contains("Subject: Hi Bcc: mal@example.com\r\n"));
        assert!(!text.contains("\nBcc:"));
    }

    #[test]
    fn an_address_that_is_none_is_refused() {
        for to in ["", "ann", "a@b\r\nc", "ann@example.com>\r\nRCPT TO:<x@y.z"] {
            let refused = letter(to, "Hi").message(&outgoing());
            assert!(matches!(refused, Err(Error::Unwritable(_))), "{to:?}");
        }
    }
}
