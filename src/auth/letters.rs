//! The mails of accounts: a template of the collection with its placeholders filled, posted so that nobody waits for
//! it; how it ended is told to the flow, and failures to the log.

use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;

use super::error::Error;
use super::service::Auth;
use super::sign_in;
use crate::call::Call;
use crate::kit::json::{Json, JsonMap};
use crate::kit::limits::{
    FAILURE_MILLIS_MIN, MAIL_AGAIN_MILLIS, MAIL_REQUESTS_ADDRESS_MAX, SIGN_IN_WINDOW_MILLIS,
};
use crate::kit::task::Task;
use crate::kit::time::Timestamp;
use crate::mail::{self, Letter};
use crate::ops::logs::Entry;
use crate::records::INSTALLER_EMAIL;
use crate::schema::collection::MailTemplate;
use crate::schema::{Collection, Record};
use std::sync::Arc;

/// Level of an error in the log.
const LEVEL_ERROR: i64 = 8;

/// A request that is answered the same whatever came of it; what came of it is for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quietly {
    /// A mail is on its way.
    Posted,
    /// There was none to send, and why.
    Skipped(&'static str),
}

impl Auth {
    /// The letter to `to` that `template` makes for `record`.
    pub(super) fn letter(
        &self,
        template: &MailTemplate,
        to: &str,
        record: &Record,
        values: &[(&str, &str)],
    ) -> Letter {
        self.letter_with(template, to, values, |field| {
            mail::field_text(record, field)
        })
    }

    /// As [`Auth::letter`], with the fields of nobody in particular.
    pub(super) fn letter_with(
        &self,
        template: &MailTemplate,
        to: &str,
        values: &[(&str, &str)],
        field: impl Fn(&str) -> Option<String>,
    ) -> Letter {
        let settings = self.settings().current();
        let known = |name: &str| match name {
            "APP_NAME" => Some(settings.meta.app_name.clone()),
            "APP_URL" => Some(settings.meta.app_url.clone()),
            name => match name.strip_prefix("RECORD:") {
                Some(name) => field(name),
                None => values
                    .iter()
                    .find(|(known, _)| *known == name)
                    .map(|(_, value)| (*value).to_owned()),
            },
        };
        Letter {
            to: to.to_owned(),
            subject: mail::fill(&template.subject, known),
            body: mail::fill(&template.body, known),
        }
    }

    /// Posts a letter about `record`; `ended` runs when it left (`true`) or was given up.
    pub(super) fn post<F>(
        &self,
        kind: &'static str,
        record: &Record,
        letter: Letter,
        ended: impl FnOnce(bool) -> F + Send + 'static,
    ) where
        F: Future<Output = ()> + Send,
    {
        let (auth, record) = (self.clone(), record.clone());
        let posted = self.mailer().post(letter);
        Task::spawn(async move {
            let sent = match posted {
                Ok(receipt) => receipt.wait().await,
                Err(error) => Err(error),
            };
            if let Err(error) = &sent {
                auth.log_failure(kind, &record, error);
            }
            ended(sent.is_ok()).await;
        })
        .detach("a mail outlives the request that asked for it; the mailer's room bounds them");
    }

    /// A mail that did not leave: where superusers look, and on the console. No address, no link and no code in it.
    fn log_failure(&self, kind: &'static str, record: &Record, error: &mail::Error) {
        let collection = record.collection().name.as_str();
        tracing::error!(kind, collection, %error, "a mail could not be sent");
        let data = [
            ("collection", collection),
            ("error", &error.to_string()),
            ("mail", kind),
            ("recordId", record.id()),
            ("type", "mail"),
        ];
        let data = data.map(|(key, value)| (key.to_owned(), Json::from(value)));
        self.logs().note(Entry {
            at: self.logs().now(),
            level: LEVEL_ERROR,
            message: format!("Failed to send the {kind} mail."),
            data: JsonMap::from_iter(data),
        });
    }

    /// Answers `ask` not before the floor of time that all requests for mails have in common, so that known and unknown
    /// addresses take the same.
    pub(super) async fn levelled<T>(&self, ask: impl Future<Output = T>) -> T {
        let floor = Instant::now() + Duration::from_millis(FAILURE_MILLIS_MIN);
        let answer = ask.await;
        tokio::time::sleep_until(floor).await;
        answer
    }

    /// Counts a request for a mail, which anybody may make, by the address it came from.
    pub(super) fn count_request(&self, call: &Call) -> Result<(), Error> {
        let key = format!("mail {}", call.client_ip.to_canonical());
        let (most, window) = (MAIL_REQUESTS_ADDRESS_MAX, SIGN_IN_WINDOW_MILLIS);
        self.throttle()
            .count(&key, most, window, call.now)
            .map_err(Error::Throttled)
    }

    /// Takes the one mail of this kind that `record` gets in a while; `None` when it was taken already. Taken before
    /// anything is sent, so that requests at the same time cannot send several.
    pub(super) fn take_turn(
        &self,
        kind: &'static str,
        record: &Record,
        now: Timestamp,
    ) -> Option<String> {
        let collection = record.collection().id.as_str();
        let key = format!("{kind} {collection} {}", record.id());
        let turn = self.throttle().count(&key, 1, MAIL_AGAIN_MILLIS, now);
        turn.ok().map(|()| key)
    }

    /// The account with the address `email`, if mails go to it.
    pub(super) async fn addressee(
        &self,
        collection: &Arc<Collection>,
        email: &str,
    ) -> Result<Option<Record>, Error> {
        let (collection, email) = (Arc::clone(collection), email.to_owned());
        let found = self
            .store()
            .read(move |tx| sign_in::find_in(tx, &collection, sign_in::EMAIL, &email));
        // The installer's account is nobody's.
        let found = found.await?;
        Ok(found.filter(|record| record.text("email") != INSTALLER_EMAIL))
    }
}
