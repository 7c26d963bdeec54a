//! Mails about a change of what lets somebody in: whoever did not make it hears of it (security A21). Posted, not waited
//! for; the change stands whether or not the mail leaves.

use super::service::Auth;
use crate::call::Call;
use crate::mail;
use crate::ops::logs::expanded;
use crate::schema::Record;
use crate::schema::collection::MailTemplate;

const MAIL: &str = "notice";

/// What was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Changed {
    /// An authenticator app is asked for from now on.
    AppAdded,
    /// None is asked for any more.
    AppRemoved,
    /// The recovery codes are others.
    NewRecoveryCodes,
    /// A passkey lets somebody in.
    PasskeyAdded,
    /// One does not any more.
    PasskeyRemoved,
    /// A machine may act for the account.
    KeyAdded,
}

impl Changed {
    fn sentence(self) -> &'static str {
        match self {
            Self::AppAdded => "An authenticator app was set up",
            Self::AppRemoved => "The authenticator app was removed",
            Self::NewRecoveryCodes => "New recovery codes were made",
            Self::PasskeyAdded => "A passkey was added",
            Self::PasskeyRemoved => "A passkey was removed",
            Self::KeyAdded => "An API key was made",
        }
    }
}

impl Auth {
    /// Tells the owner of `record` what was changed, and from where.
    pub(super) fn notify(&self, call: &Call, record: &Record, changed: Changed) {
        let to = record.text("email");
        if to.is_empty() {
            return;
        }
        let sentence = changed.sentence();
        let from = format!(
            "{} - {} {}",
            call.now.to_text(),
            expanded(call.client_ip),
            super::origins::agent(call)
        );
        let from = mail::escaped(&from);
        let template = MailTemplate {
            subject: format!("{sentence} for your {{APP_NAME}} account"),
            body: format!(
                "<p>Hello,</p>\n<p>{sentence} for your {{APP_NAME}} account:</p>\n<p><em>{{ALERT_INFO}}</em></p>\n\
                 <p><strong>If this wasn't you, change your password at once and look at what else lets somebody in.\
                 </strong></p>\n<p>Thanks,<br/>{{APP_NAME}} team</p>"
            ),
        };
        let letter = self.letter(&template, to, record, &[("ALERT_INFO", from.as_str())]);
        self.post(MAIL, record, letter, |_| async {});
    }
}
