//! The options of an auth collection (contract-auth 1.2).

use super::collection::{World, check_rule};
use super::limit::{required_length, required_within};
use crate::schema::collection::{
    AuthOptions, Collection, MailTemplate, OAuth2Options, TokenOptions,
};
use crate::schema::error::{FieldError, FieldErrors};
use crate::schema::field::is_url;
use crate::schema::index::Index;
use crate::schema::provider::is_provider;

/// Longest life of a token in seconds: three years.
const TOKEN_SECS_MAX: i64 = 94_670_856;
/// Longest life of a code or of a first factor in seconds.
const CODE_SECS_MAX: i64 = 86_400;

/// What is wrong with the options. What they say of each other is looked at when each of them is well.
pub(super) fn check(
    collection: &Collection,
    options: &AuthOptions,
    world: &World<'_>,
) -> FieldErrors {
    let mut errors = check_each(options, world);
    if errors.is_empty() {
        errors.nest("mfa", second_factor(options, world));
    }
    if errors.is_empty() {
        errors = check_identities(collection, options);
    }
    errors
}

fn check_each(options: &AuthOptions, world: &World<'_>) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let old = world.old.and_then(Collection::auth);
    errors.extend(
        "authRule",
        check_rule(
            options.auth_rule.as_deref(),
            old.map(|old| old.auth_rule.as_deref()),
            world,
        ),
    );
    let blank = || FieldError::new("validation_nil_or_not_empty_required", "Cannot be blank.");
    let manage = options.manage_rule.as_deref();
    errors.extend(
        "manageRule",
        (manage == Some(""))
            .then(blank)
            .or_else(|| check_rule(manage, old.map(|old| old.manage_rule.as_deref()), world)),
    );
    let mut alert = FieldErrors::new();
    alert.nest(
        "emailTemplate",
        template(&options.auth_alert.email_template),
    );
    errors.nest("authAlert", alert);
    if options.oauth2.enabled {
        let mut oauth2 = FieldErrors::new();
        oauth2.nest("providers", providers(&options.oauth2));
        errors.nest("oauth2", oauth2);
    }
    let password = &options.password_auth;
    if password.enabled && password.identity_fields.is_empty() {
        let blank = FieldErrors::one("identityFields", FieldError::required());
        errors.nest("passwordAuth", blank);
    }
    errors.nest("mfa", mfa(options));
    errors.nest("otp", otp(options));
    for (key, token) in [
        ("authToken", &options.auth_token),
        ("passwordResetToken", &options.password_reset_token),
        ("emailChangeToken", &options.email_change_token),
        ("verificationToken", &options.verification_token),
        ("fileToken", &options.file_token),
    ] {
        errors.nest(key, self::token(token));
    }
    for (key, mail) in [
        ("verificationTemplate", &options.verification_template),
        ("resetPasswordTemplate", &options.reset_password_template),
        (
            "confirmEmailChangeTemplate",
            &options.confirm_email_change_template,
        ),
    ] {
        errors.nest(key, template(mail));
    }
    errors
}

/// What is wrong with the fields that people sign in by.
fn check_identities(collection: &Collection, options: &AuthOptions) -> FieldErrors {
    let mut errors = FieldErrors::new();
    if !options.password_auth.enabled {
        return errors;
    }
    let indexes: Vec<Index> = collection
        .indexes
        .iter()
        .filter_map(|text| Index::parse(text))
        .collect();
    for name in &options.password_auth.identity_fields {
        let error = if collection.field(name).is_none() {
            FieldError::new(
                "validation_missing_field",
                format!("Invalid or missing field {name}."),
            )
        } else if !indexes.iter().any(|index| index.is_unique_on(name)) {
            FieldError::new(
                "validation_missing_unique_constraint",
                format!("The field {name} doesn't have a UNIQUE constraint."),
            )
        } else {
            continue;
        };
        let leaf = FieldErrors::one("identityFields", error.with("fieldName", name.as_str()));
        errors.nest("passwordAuth", leaf);
        break;
    }
    errors
}

fn template(mail: &MailTemplate) -> FieldErrors {
    let mut errors = FieldErrors::new();
    for (key, text) in [("subject", &mail.subject), ("body", &mail.body)] {
        if text.is_empty() {
            errors.add(key, FieldError::required());
        }
    }
    errors
}

fn token(token: &TokenOptions) -> FieldErrors {
    let mut errors = FieldErrors::new();
    if let Some(error) = required_length(&token.secret, 30, 255) {
        errors.add("secret", error);
    }
    if let Some(error) = required_within(token.duration, 10, TOKEN_SECS_MAX) {
        errors.add("duration", error);
    }
    errors
}

fn mfa(options: &AuthOptions) -> FieldErrors {
    let mut errors = FieldErrors::new();
    if !options.mfa.enabled {
        return errors;
    }
    if let Some(error) = required_within(options.mfa.duration, 10, CODE_SECS_MAX) {
        errors.add("duration", error);
    }
    errors
}

/// Whether there are two ways to sign in, and what is wrong with the rule that says who needs both.
fn second_factor(options: &AuthOptions, world: &World<'_>) -> FieldErrors {
    if !options.mfa.enabled {
        return FieldErrors::new();
    }
    let ways = [
        options.password_auth.enabled,
        options.oauth2.enabled,
        options.otp.enabled,
    ];
    if ways.into_iter().filter(|&enabled| enabled).count() < 2 {
        let few = FieldError::new(
            "validation_mfa_not_enough_auths",
            "MFA requires at least 2 auth methods to be enabled.",
        );
        return FieldErrors::one("enabled", few);
    }
    let old = world.old.and_then(Collection::auth);
    let before = old.map(|old| Some(old.mfa.rule.as_str()));
    check_rule(Some(&options.mfa.rule), before, world)
        .map_or_else(FieldErrors::new, |error| FieldErrors::one("rule", error))
}

fn otp(options: &AuthOptions) -> FieldErrors {
    let mut errors = FieldErrors::new();
    errors.nest("emailTemplate", template(&options.otp.email_template));
    if !options.otp.enabled {
        return errors;
    }
    if let Some(error) = required_within(options.otp.duration, 10, CODE_SECS_MAX) {
        errors.add("duration", error);
    }
    if let Some(error) = required_within(options.otp.length, 4, i64::MAX) {
        errors.add("length", error);
    }
    errors
}

fn providers(options: &OAuth2Options) -> FieldErrors {
    let mut errors = FieldErrors::new();
    for (at, provider) in options.providers.iter().enumerate() {
        let name = &provider.name;
        if options.providers[..at]
            .iter()
            .any(|other| other.name == *name)
        {
            let twice = FieldError::new(
                "validation_duplicated_provider",
                format!("The provider {name} is already registered."),
            );
            let leaf = FieldErrors::one("name", twice.with("name", name.as_str()));
            errors.nest(at.to_string(), leaf);
            return errors;
        }
    }
    for (at, provider) in options.providers.iter().enumerate() {
        let mut wrong = FieldErrors::new();
        for (key, text) in [
            ("name", &provider.name),
            ("clientId", &provider.client_id),
            ("clientSecret", &provider.client_secret),
        ] {
            if text.is_empty() {
                wrong.add(key, FieldError::required());
            }
        }
        if !is_provider(&provider.name) {
            let unknown = FieldError::new(
                "validation_missing_provider",
                format!("Invalid or missing provider with name {}.", provider.name),
            );
            wrong.add("name", unknown.with("name", provider.name.as_str()));
        }
        for (key, url) in [
            ("authURL", &provider.auth_url),
            ("tokenURL", &provider.token_url),
            ("userInfoURL", &provider.user_info_url),
        ] {
            if !url.is_empty() && !is_url(url) {
                wrong.add(
                    key,
                    FieldError::new("validation_is_url", "Must be a valid URL."),
                );
            }
        }
        errors.nest(at.to_string(), wrong);
    }
    errors
}
