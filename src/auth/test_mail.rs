//! A mail to try the settings with: each template, of nobody in particular (contract-auth 5.5).

use super::error::Error;
use super::form;
use super::service::{Auth, link_token};
use super::token::Purpose;
use crate::call::Call;
use crate::kit::id;
use crate::mail::Letter;
use crate::schema::{Collection, Field, FieldError, FieldErrors, Record, SUPERUSERS};
use std::sync::Arc;

const TEMPLATES: [&str; 5] = [
    "verification",
    "password-reset",
    "email-change",
    "otp",
    "login-alert",
];
const TOKEN_KEY_CHARS: usize = 50;

impl Auth {
    /// Sends the template `template` of `collection` (empty for the superusers') to `to`, and waits until it left.
    ///
    /// # Errors
    /// [`Error::TestForm`] and [`Error::TestMail`].
    pub async fn send_test_mail(
        &self,
        call: &Call,
        to: &str,
        template: &str,
        collection: &str,
    ) -> Result<(), Error> {
        let mut errors = FieldErrors::new();
        errors.extend("email", form::address(to));
        if template.is_empty() {
            errors.add("template", FieldError::required());
        } else if !TEMPLATES.contains(&template) {
            let error = FieldError::new("validation_in_invalid", "Must be a valid value.");
            errors.add("template", error);
        }
        let name = if collection.is_empty() {
            SUPERUSERS
        } else {
            collection
        };
        let catalog = self.store().catalog();
        let accounts = catalog.find(name).filter(|found| found.is_auth());
        if accounts.is_none() {
            let error = FieldError::new(
                "validation_invalid_auth_collection",
                "Must be a valid auth collection id or name.",
            );
            errors.add("collection", error);
        }
        let (Some(accounts), true) = (accounts, errors.is_empty()) else {
            return Err(Error::TestForm(errors));
        };
        let letter = self.sample(call, accounts, to, template)?;
        self.mailer().send(&letter).await.map_err(Error::TestMail)
    }

    fn sample(
        &self,
        call: &Call,
        collection: &Arc<Collection>,
        to: &str,
        template: &str,
    ) -> Result<Letter, Error> {
        let auth = collection.auth().ok_or(Error::NoAccounts)?;
        let record = nobody(collection, to);
        let token = |purpose, new_email| {
            link_token(&record, purpose, call.now, new_email).ok_or(Error::Failed)
        };
        let info = format!("{} - TEST_IP TEST_USER_AGENT", call.now.to_text());
        let (template, name, value) = match template {
            "verification" => {
                let token = token(Purpose::Verification, None)?;
                (&auth.verification_template, "TOKEN", token)
            }
            "password-reset" => {
                let token = token(Purpose::PasswordReset, None)?;
                (&auth.reset_password_template, "TOKEN", token)
            }
            "email-change" => {
                let token = token(Purpose::EmailChange, Some(to))?;
                (&auth.confirm_email_change_template, "TOKEN", token)
            }
            "otp" => (&auth.otp.email_template, "OTP", "123456".to_owned()),
            _ => (&auth.auth_alert.email_template, "ALERT_INFO", info),
        };
        let values = [(name, value.as_str()), ("OTP_ID", "__pb_test_otp_id__")];
        Ok(self.letter_with(template, to, &values, |name| placeholder(collection, name)))
    }
}

/// What stands for a field that everybody may see.
fn placeholder(collection: &Collection, name: &str) -> Option<String> {
    let field = collection.field(name).filter(|field| !field.hidden)?;
    Some(format!("__pb_test_{}__", field.name))
}

fn nobody(collection: &Arc<Collection>, email: &str) -> Record {
    let cells = collection.fields.iter().map(Field::zero).collect();
    let mut record = Record::from_cells(Arc::clone(collection), cells);
    record.set("id", "__pb_test_id__");
    record.set("email", email);
    record.set("tokenKey", id::random(TOKEN_KEY_CHARS, id::ALNUM));
    record
}
