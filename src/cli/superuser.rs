//! `superuser`: works on the directory itself, whether a server runs on it or not.

use std::sync::Arc;

use super::console::{Console, Failure};
use super::run::small_runtime;
use crate::app::App;
use crate::auth::{fresh_code, is_common, static_token};
use crate::call::{Actor, Call, Identity};
use crate::config::{Config, Credentials, Superuser};
use crate::expr::Guard;
use crate::kit::clock::Clock;
use crate::kit::id;
use crate::kit::json::{self, Json, JsonMap};
use crate::kit::value::Value;
use crate::records::{Error, INSTALLER_EMAIL, Submission};
use crate::schema::{Collection, FieldErrors, Record, SUPERUSERS};
use crate::store::{Access, ReadTx, Select, StoreError};

/// Runs the command.
pub(super) fn superuser(
    console: Console,
    config: Config,
    command: Superuser,
) -> Result<(), Failure> {
    small_runtime()?.block_on(async {
        let app = App::open(config, Clock::system(), Access::Beside).await?;
        let done = change(console, &app, command).await;
        app.close();
        done
    })
}

async fn change(console: Console, app: &App, command: Superuser) -> Result<(), Failure> {
    match command {
        Superuser::Upsert(who) => match find(app, &who.email)? {
            Some(record) => update(console, app, &record, who).await,
            None => create(console, app, who).await,
        },
        Superuser::Create(who) => create(console, app, who).await,
        Superuser::Update(who) => match find(app, &who.email)? {
            Some(record) => update(console, app, &record, who).await,
            None => Err(nobody(&who.email)),
        },
        Superuser::Delete { email } => delete(console, app, &email).await,
        Superuser::Otp { email } => code(console, app, &email).await,
    }
}

async fn create(console: Console, app: &App, who: Credentials) -> Result<(), Failure> {
    let body = submission([
        ("email", &who.email),
        ("password", &who.password),
        ("passwordConfirm", &who.password),
    ]);
    app.records
        .create(&call(app)?, SUPERUSERS, body)
        .await
        .map_err(failure)?;
    console.say(
        &format!("Successfully saved superuser {:?}!", who.email),
        &[
            ("email", who.email.as_str().into()),
            ("action", "create".into()),
        ],
    );
    advise(console, &who);
    Ok(())
}

async fn update(
    console: Console,
    app: &App,
    record: &Record,
    who: Credentials,
) -> Result<(), Failure> {
    let body = submission([
        ("password", &who.password),
        ("passwordConfirm", &who.password),
    ]);
    app.records
        .update(&call(app)?, SUPERUSERS, record.id(), body)
        .await
        .map_err(failure)?;
    console.say(
        &format!("Successfully saved superuser {:?}!", who.email),
        &[
            ("email", who.email.as_str().into()),
            ("action", "update".into()),
        ],
    );
    advise(console, &who);
    Ok(())
}

/// Names a password that everybody tries first. It is taken all the same.
fn advise(console: Console, who: &Credentials) {
    if is_common(&who.password) {
        console.warn("this is one of the most common passwords, and the first to be guessed");
    }
}

async fn delete(console: Console, app: &App, email: &str) -> Result<(), Failure> {
    let Some(record) = find(app, email)? else {
        console.say(
            &format!("superuser {email:?} is missing or already deleted"),
            &[("email", email.into()), ("action", "none".into())],
        );
        return Ok(());
    };
    app.records
        .delete(&call(app)?, SUPERUSERS, record.id())
        .await
        .map_err(failure)?;
    console.say(
        &format!("Successfully deleted superuser {email:?}!"),
        &[("email", email.into()), ("action", "delete".into())],
    );
    Ok(())
}

/// A code that was not mailed and so proves no address; it is shown here and nowhere else.
async fn code(console: Console, app: &App, email: &str) -> Result<(), Failure> {
    let collection = superusers(app)?;
    let options = collection.auth().map(|auth| &auth.otp);
    let Some(options) = options.filter(|options| options.enabled) else {
        return Err(Failure::message(
            "OTP auth is not enabled for the _superusers collection",
        ));
    };
    let record = find(app, email)?.ok_or_else(|| nobody(email))?;
    let password = fresh_code(options);
    let body = submission([
        ("collectionRef", &collection.id.as_str().to_owned()),
        ("recordRef", &record.id().to_owned()),
        ("password", &password),
    ]);
    let made = app
        .records
        .create(&call(app)?, "_otps", body)
        .await
        .map_err(failure)?;
    let made = json::parse_first(&made).map_err(|error| Failure::message(error.to_string()))?;
    let id = made.get("id").and_then(Json::as_str).unwrap_or("");
    let valid = options.duration;
    console.say(
        &format!(
            "Successfully created OTP for superuser {email:?}:\n\
             \u{251c}\u{2500} Id:    {id}\n\
             \u{251c}\u{2500} Pass:  {password}\n\
             \u{2514}\u{2500} Valid: {valid}s"
        ),
        &[
            ("email", email.into()),
            ("id", id.into()),
            ("password", password.as_str().into()),
            ("validSecs", valid.into()),
        ],
    );
    Ok(())
}

fn nobody(email: &str) -> Failure {
    Failure::message(format!("superuser with email {email:?} doesn't exist"))
}

fn submission<const N: usize>(values: [(&str, &String); N]) -> Submission {
    let values = values.map(|(key, value)| (key.to_owned(), Json::from(value.as_str())));
    Submission {
        values: JsonMap::from_iter(values),
        ..Submission::default()
    }
}

pub(super) fn failure(error: Error) -> Failure {
    match error {
        Error::Create(errors) | Error::Update(errors) | Error::Import(errors)
            if !errors.is_empty() =>
        {
            Failure::message(lines(&errors))
        }
        other => Failure::message(other.to_string()),
    }
}

/// `field: message`, one after the other.
pub(super) fn lines(errors: &FieldErrors) -> String {
    let Json::Object(map) = errors.to_json() else {
        return String::new();
    };
    let lines = map.iter().map(|(field, error)| {
        let message = error.get("message").and_then(Json::as_str);
        format!("{field}: {}", message.unwrap_or("Invalid value."))
    });
    lines.collect::<Vec<_>>().join("; ")
}

/// The collection of superusers.
pub(super) fn superusers(app: &App) -> Result<Arc<Collection>, Failure> {
    app.store
        .catalog()
        .find_exact(SUPERUSERS)
        .cloned()
        .ok_or_else(|| Failure::message("the data directory has no collection of superusers"))
}

/// A call of whoever has the directory in hand: he may do everything.
pub(super) fn call(app: &App) -> Result<Call, Failure> {
    let collection = superusers(app)?;
    let cells = vec![Value::Null; collection.fields.len()];
    let owner = Identity {
        record: Record::from_cells(collection, cells),
        expires: None,
        refreshable: false,
        session: None,
        key: None,
    };
    Ok(Call::new(Actor::Auth(Arc::new(owner)), app.clock.now()))
}

fn find(app: &App, email: &str) -> Result<Option<Record>, Failure> {
    let collection = superusers(app)?;
    let email = Value::text(email);
    let find =
        |tx: &ReadTx<'_>| -> Result<_, StoreError> { tx.find_by(&collection, "email", &email) };
    Ok(app.store.read_now(find)?)
}

/// A token for the one who sets up the first superuser, when there is none: of the installer's account, which is made
/// here and goes when the first superuser is made (contract-auth 4.1).
pub(super) async fn installer_token(app: &App) -> Result<Option<String>, Failure> {
    let call = call(app)?;
    if superusers_but_installer(app, &call)? > 0 {
        return Ok(None);
    }
    if find(app, INSTALLER_EMAIL)?.is_none() {
        let password = id::random(INSTALLER_PASSWORD_LEN, id::ALNUM).to_string();
        let body = submission([
            ("email", &INSTALLER_EMAIL.to_owned()),
            ("password", &password),
            ("passwordConfirm", &password),
        ]);
        app.records
            .create(&call, SUPERUSERS, body)
            .await
            .map_err(failure)?;
    }
    let account = find(app, INSTALLER_EMAIL)?;
    Ok(account.and_then(|record| static_token(&record, call.now, INSTALLER_TOKEN_SECS)))
}

fn superusers_but_installer(app: &App, call: &Call) -> Result<u64, Failure> {
    let collection = superusers(app)?;
    let catalog = app.store.catalog();
    let filter = catalog
        .filter(
            &collection,
            &format!("email != '{INSTALLER_EMAIL}'"),
            Guard::Trusted,
        )
        .map_err(|error| Failure::message(error.to_string()))?;
    let mut select = Select::all(&catalog, call, &collection);
    select.filter = Some(&filter);
    let count = |tx: &ReadTx<'_>| -> Result<_, StoreError> { tx.count(&select) };
    Ok(app.store.read_now(count)?)
}

/// Seconds that the link of the installer is good for (contract-auth 4.1).
const INSTALLER_TOKEN_SECS: i64 = 30 * 60;
/// Letters of the password that nobody will ever type.
const INSTALLER_PASSWORD_LEN: usize = 30;
