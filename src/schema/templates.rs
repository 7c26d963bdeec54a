//! The mails of a new auth collection, word for word as the contract gives them (contract-auth 13.3).

use super::collection::MailTemplate;

fn mail(subject: &str, body: &str) -> MailTemplate {
    MailTemplate {
        subject: subject.to_owned(),
        body: body.to_owned(),
    }
}

/// Login from a new place.
pub(super) fn auth_alert() -> MailTemplate {
    mail(
        "Login from a new location",
        concat!(
            "<p>Hello,</p>\n",
            "<p>We noticed a login to your {APP_NAME} account from a new location:</p>\n",
            "<p><em>{ALERT_INFO}</em></p>\n",
            "<p><strong>If this wasn't you, you should immediately change your {APP_NAME} account password to revoke access from all other locations.</strong></p>\n",
            "<p>If this was you, you may disregard this email.</p>\n",
            "<p>\n",
            "  Thanks,<br/>\n",
            "  {APP_NAME} team\n",
            "</p>",
        ),
    )
}

/// A one-time password.
pub(super) fn one_time_password() -> MailTemplate {
    mail(
        "OTP for {APP_NAME}",
        concat!(
            "<p>Hello,</p>\n",
            "<p>Your one-time password is: <strong>{OTP}</strong></p>\n",
            "<p><i>If you didn't ask for the one-time password, you can ignore this email.</i></p>\n",
            "<p>\n",
            "  Thanks,<br/>\n",
            "  {APP_NAME} team\n",
            "</p>",
        ),
    )
}

/// Verify an address.
pub(super) fn verification() -> MailTemplate {
    mail(
        "Verify your {APP_NAME} email",
        concat!(
            "<p>Hello,</p>\n",
            "<p>Thank you for joining us at {APP_NAME}.</p>\n",
            "<p>Click on the button below to verify your email address.</p>\n",
            "<p>\n",
            "  <a class=\"btn\" href=\"{APP_URL}/_/#/auth/confirm-verification/{TOKEN}\" target=\"_blank\" rel=\"noopener\">Verify</a>\n",
            "</p>\n",
            "<p><i>If you didn't recently register, please ignore this email.</i></p>\n",
            "<p>\n",
            "  Thanks,<br/>\n",
            "  {APP_NAME} team\n",
            "</p>",
        ),
    )
}

/// Reset a password.
pub(super) fn password_reset() -> MailTemplate {
    mail(
        "Reset your {APP_NAME} password",
        concat!(
            "<p>Hello,</p>\n",
            "<p>Click on the button below to reset your password.</p>\n",
            "<p>\n",
            "  <a class=\"btn\" href=\"{APP_URL}/_/#/auth/confirm-password-reset/{TOKEN}\" target=\"_blank\" rel=\"noopener\">Reset password</a>\n",
            "</p>\n",
            "<p><i>If you didn't ask to reset your password, please ignore this email.</i></p>\n",
            "<p>\n",
            "  Thanks,<br/>\n",
            "  {APP_NAME} team\n",
            "</p>",
        ),
    )
}

/// Confirm a new address.
pub(super) fn email_change() -> MailTemplate {
    mail(
        "Confirm your {APP_NAME} new email address",
        concat!(
            "<p>Hello,</p>\n",
            "<p>Click on the button below to confirm your new email address.</p>\n",
            "<p>\n",
            "  <a class=\"btn\" href=\"{APP_URL}/_/#/auth/confirm-email-change/{TOKEN}\" target=\"_blank\" rel=\"noopener\">Confirm new email</a>\n",
            "</p>\n",
            "<p><i>If you didn't ask to change your email address, please ignore this email.</i></p>\n",
            "<p>\n",
            "  Thanks,<br/>\n",
            "  {APP_NAME} team\n",
            "</p>",
        ),
    )
}
