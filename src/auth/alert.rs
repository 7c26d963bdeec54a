//! The mail about a sign-in from a new device (contract-auth 2.7). It is posted, not waited for; if it cannot be sent the
//! device is forgotten again, so that the next sign-in from there tells.

use super::service::Auth;
use crate::call::Call;
use crate::mail;
use crate::ops::logs::expanded;
use crate::schema::Record;
use crate::store::StoreError;

const MAIL: &str = "sign-in alert";

impl Auth {
    /// Tells the owner of `record` of a sign-in from the device that `row` of `_authOrigins` notes.
    pub(super) fn alert(&self, call: &Call, record: &Record, row: Record) {
        let Some(auth) = record.collection().auth() else {
            return;
        };
        if record.text("email").is_empty() {
            return;
        }
        let info = format!(
            "{} - {} {}",
            call.now.to_text(),
            expanded(call.client_ip),
            super::origins::agent(call)
        );
        let info = mail::escaped(&info);
        let values = [("ALERT_INFO", info.as_str())];
        let template = &auth.auth_alert.email_template;
        let letter = self.letter(template, record.text("email"), record, &values);
        let store = self.store().clone();
        self.post(MAIL, record, letter, move |sent| async move {
            if sent {
                return;
            }
            let forgotten = store
                .write(move |tx| match tx.delete(&row) {
                    Ok(()) | Err(StoreError::Gone) => Ok(()),
                    Err(error) => Err(error),
                })
                .await;
            if let Err(error) = forgotten {
                tracing::error!(%error, "a device stays known although nobody was told of it");
            }
        });
    }
}
