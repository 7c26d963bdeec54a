//! What the rules of the collections leave open to guests and to anybody who is signed in: found by settling each rule
//! for such a caller, not by its looks, so that `1 = 1` is as open as an empty rule.

use std::sync::Arc;

use serde::Serialize;

use crate::call::{Actor, Call, Identity};
use crate::expr::Catalog;
use crate::kit::time::Timestamp;
use crate::kit::value::Value;
use crate::records::rule_name;
use crate::schema::{Action, Collection, Field, FieldKind, Record};

/// How much it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Level {
    /// Strangers can read addresses, or change or remove what is not theirs.
    Danger,
    /// More people can do more than most applications want.
    Warning,
    /// Often meant; worth knowing.
    Info,
}

/// Something that is open.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Exposed {
    /// Id of the collection.
    pub collection_id: String,
    /// Its name.
    pub collection_name: String,
    /// The rule that leaves it open, as the API names it.
    pub rule: &'static str,
    /// How much it matters.
    pub level: Level,
    /// What it is, for programs.
    pub code: &'static str,
    /// The fields that it is about.
    pub fields: Vec<String>,
    /// What it is, for people.
    pub message: &'static str,
}

/// Whom a rule lets through whatever the record is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Open {
    ToGuests,
    ToAnyUser,
    No,
    Broken,
}

/// Everything that is open, the worst first.
pub(super) fn exposed(catalog: &Catalog, now: Timestamp) -> Vec<Exposed> {
    let guest = Call::new(Actor::Guest, now);
    let user = catalog
        .iter()
        .find(|collection| collection.is_auth() && !collection.is_superusers())
        .map(|accounts| Call::new(somebody(accounts), now));
    let mut found = Vec::new();
    for collection in catalog.iter().filter(|c| !c.system || c.is_auth()) {
        let mut look = Look {
            catalog,
            collection,
            guest: &guest,
            user: user.as_ref(),
            found: &mut found,
        };
        look.reads();
        look.writes();
        look.accounts();
        look.files();
    }
    found.sort_by(|a, b| {
        (a.level, &a.collection_name, a.rule).cmp(&(b.level, &b.collection_name, b.rule))
    });
    found
}

/// An account of `accounts` that is nobody in particular.
fn somebody(accounts: &Arc<Collection>) -> Actor {
    let cells = accounts.fields.iter().map(Field::zero).collect();
    let mut record = Record::from_cells(Arc::clone(accounts), cells);
    record.set("id", Value::text("somebody"));
    Actor::Auth(Arc::new(Identity {
        record,
        expires: None,
        refreshable: false,
        session: None,
        key: None,
    }))
}

struct Look<'a> {
    catalog: &'a Catalog,
    collection: &'a Arc<Collection>,
    guest: &'a Call,
    user: Option<&'a Call>,
    found: &'a mut Vec<Exposed>,
}

impl Look<'_> {
    fn open(&self, text: Option<&str>) -> Open {
        let decided = |text: &str, call: &Call| self.catalog.decided(self.collection, text, call);
        match text {
            None => Open::No,
            Some("") => Open::ToGuests,
            Some(text) => match decided(text, self.guest) {
                Err(_) => Open::Broken,
                Ok(Some(true)) => Open::ToGuests,
                Ok(_) => match self.user.map(|user| decided(text, user)) {
                    Some(Ok(Some(true))) => Open::ToAnyUser,
                    _ => Open::No,
                },
            },
        }
    }

    fn note(
        &mut self,
        rule: &'static str,
        level: Level,
        (code, message): (&'static str, &'static str),
        fields: Vec<String>,
    ) {
        self.found.push(Exposed {
            collection_id: self.collection.id.as_str().to_owned(),
            collection_name: self.collection.name.to_string(),
            rule,
            level,
            code,
            fields,
            message,
        });
    }

    fn names(&self, of: impl Fn(&Field) -> bool) -> Vec<String> {
        let fields = self.collection.fields.iter();
        fields
            .filter(|f| of(f))
            .map(|f| f.name.to_string())
            .collect()
    }

    fn reads(&mut self) {
        for action in [Action::List, Action::View] {
            let rule = rule_name(action);
            match self.open(self.collection.rules.of(action)) {
                Open::ToGuests => {
                    // The address of an account is shown only where its owner agreed.
                    let auth = self.collection.is_auth();
                    let mails = self.names(|f| {
                        matches!(f.kind, FieldKind::Email(_))
                            && !f.hidden
                            && !(auth && f.name == "email")
                    });
                    if !mails.is_empty() {
                        self.note(rule, Level::Danger, PUBLIC_EMAILS, mails);
                    } else if auth {
                        self.note(
                            rule,
                            Level::Warning,
                            PUBLIC_ACCOUNTS,
                            vec!["email".to_owned()],
                        );
                    }
                }
                Open::Broken => self.note(rule, Level::Warning, BROKEN, Vec::new()),
                Open::ToAnyUser | Open::No => {}
            }
        }
    }

    fn writes(&mut self) {
        if self.collection.is_view() {
            return;
        }
        let auth = self.collection.is_auth();
        for action in [Action::Create, Action::Update, Action::Delete] {
            let rule = rule_name(action);
            let open = self.open(self.collection.rules.of(action));
            let (level, what) = match (action, open) {
                (_, Open::No) | (Action::Create, Open::ToAnyUser) => continue,
                (_, Open::Broken) => (Level::Warning, BROKEN),
                (Action::Create, Open::ToGuests) if auth => (Level::Info, OPEN_SIGN_UP),
                (Action::Create, Open::ToGuests) => (Level::Warning, OPEN_CREATE),
                (Action::Update, Open::ToGuests) => (Level::Danger, OPEN_UPDATE),
                (_, Open::ToGuests) => (Level::Danger, OPEN_DELETE),
                (Action::Update, Open::ToAnyUser) => (Level::Warning, ANY_USER_UPDATE),
                (_, Open::ToAnyUser) => (Level::Warning, ANY_USER_DELETE),
            };
            self.note(rule, level, what, Vec::new());
        }
    }

    fn accounts(&mut self) {
        let manage = self
            .collection
            .auth()
            .and_then(|auth| auth.manage_rule.clone());
        match self.open(manage.as_deref()) {
            Open::ToGuests | Open::ToAnyUser => {
                self.note("manageRule", Level::Danger, OPEN_MANAGE, Vec::new());
            }
            Open::Broken => self.note("manageRule", Level::Warning, BROKEN, Vec::new()),
            Open::No => {}
        }
    }

    fn files(&mut self) {
        if self.collection.is_view()
            || self.open(self.collection.rules.view.as_deref()) == Open::ToGuests
        {
            return;
        }
        let open = self.names(|f| matches!(&f.kind, FieldKind::File(o) if !o.protected));
        if !open.is_empty() {
            self.note("viewRule", Level::Info, OPEN_FILES, open);
        }
    }
}

type What = (&'static str, &'static str);
const PUBLIC_EMAILS: What = (
    "public_emails",
    "Everybody on the internet can read these e-mail addresses.",
);
const PUBLIC_ACCOUNTS: What = (
    "public_accounts",
    "Everybody on the internet can read the accounts, and the e-mail addresses that their owners show.",
);
const OPEN_SIGN_UP: What = ("open_sign_up", "Anybody can make an account.");
const OPEN_CREATE: What = (
    "open_create",
    "Anybody can create records without signing in.",
);
const OPEN_UPDATE: What = (
    "open_update",
    "Anybody can change every record without signing in.",
);
const OPEN_DELETE: What = (
    "open_delete",
    "Anybody can delete every record without signing in.",
);
const ANY_USER_UPDATE: What = (
    "any_user_update",
    "Any signed-in account can change every record, not only its own.",
);
const ANY_USER_DELETE: What = (
    "any_user_delete",
    "Any signed-in account can delete every record, not only its own.",
);
const OPEN_MANAGE: What = (
    "open_manage",
    "Any signed-in account can change the e-mail address and password of every other.",
);
const OPEN_FILES: What = (
    "open_files",
    "Whoever knows the address of a file can read it, whatever the view rule says, since the field is not protected.",
);
const BROKEN: What = (
    "broken_rule",
    "The rule names something that does not exist any more, so it lets nobody through.",
);
