//! What every collection starts with, and the collections of a fresh directory (contract-auth 1.1, 13.3).

use compact_str::CompactString;

use super::collection::{
    AuthAlert, AuthOptions, Collection, CollectionId, Kind, MappedFields, MfaOptions,
    OAuth2Options, OtpOptions, PasswordAuth, Rules, TokenOptions, ViewOptions,
};
use super::field::{
    AutodateOptions, DateOptions, DomainOptions, Field, FieldKind, FileOptions, JsonOptions,
    NumberOptions, PasswordOptions, Pattern, TextOptions,
};
use super::templates;
use crate::kit::id;
use crate::kit::time::Timestamp;

/// Id of the `users` collection of a fresh directory.
const USERS_ID: &str = "_pb_users_auth_";
/// Letters of a token secret and of a token key.
const SECRET_LEN: usize = 50;
/// Pattern of record ids.
pub(super) const ID_PATTERN: &str = "^[a-z0-9]+$";

/// A fresh secret for signing tokens.
#[must_use]
pub fn secret() -> String {
    id::random(SECRET_LEN, id::ALNUM).into_string()
}

/// Names of the auth fields that are always there, in their order.
pub const AUTH_FIELDS: [&str; 5] = [
    "password",
    "tokenKey",
    "email",
    "emailVisibility",
    "verified",
];

/// The `id` field.
#[must_use]
pub fn id_field() -> Field {
    Field {
        system: true,
        required: true,
        ..Field::new(
            "id",
            FieldKind::Text(TextOptions {
                min: 15,
                max: 15,
                pattern: Pattern::new(ID_PATTERN),
                autogenerate_pattern: "[a-z0-9]{15}".to_owned(),
                primary_key: true,
            }),
        )
    }
}

/// The auth field called `name`, one of [`AUTH_FIELDS`].
#[must_use]
pub fn auth_field(name: &str) -> Field {
    let secret = |kind| Field {
        hidden: true,
        required: true,
        ..Field::new(name, kind)
    };
    let field = match name {
        "password" => secret(FieldKind::Password(PasswordOptions {
            min: 8,
            ..PasswordOptions::default()
        })),
        "tokenKey" => secret(FieldKind::Text(TextOptions {
            min: 30,
            max: 60,
            autogenerate_pattern: "[a-zA-Z0-9]{50}".to_owned(),
            ..TextOptions::default()
        })),
        "email" => Field {
            required: true,
            ..Field::new(name, FieldKind::Email(DomainOptions::default()))
        },
        _ => Field::new(name, FieldKind::Bool),
    };
    Field {
        system: true,
        ..field
    }
}

/// The autodates `created` and `updated`.
fn autodates(system: bool) -> [Field; 2] {
    [("created", false), ("updated", true)].map(|(name, on_update)| Field {
        system,
        ..Field::new(
            name,
            FieldKind::Autodate(AutodateOptions {
                on_create: true,
                on_update,
            }),
        )
    })
}

/// The fields that a collection of this kind cannot be without.
#[must_use]
pub fn required_fields(kind: &Kind) -> Vec<Field> {
    match kind {
        Kind::Base => vec![id_field()],
        Kind::Auth(_) => std::iter::once(id_field())
            .chain(AUTH_FIELDS.into_iter().map(auth_field))
            .collect(),
        Kind::View(_) => Vec::new(),
    }
}

impl Default for AuthOptions {
    /// The options of a new auth collection, its secrets still empty.
    fn default() -> Self {
        let token = |duration| TokenOptions {
            secret: String::new(),
            duration,
        };
        Self {
            auth_rule: Some(String::new()),
            manage_rule: None,
            auth_alert: AuthAlert {
                enabled: true,
                email_template: templates::auth_alert(),
            },
            oauth2: OAuth2Options::default(),
            password_auth: PasswordAuth {
                enabled: true,
                identity_fields: vec!["email".to_owned()],
            },
            mfa: MfaOptions {
                enabled: false,
                duration: 600,
                rule: String::new(),
            },
            otp: OtpOptions {
                enabled: false,
                duration: 180,
                length: 8,
                email_template: templates::one_time_password(),
            },
            auth_token: token(432_000),
            password_reset_token: token(1_800),
            email_change_token: token(1_800),
            verification_token: token(86_400),
            file_token: token(180),
            verification_template: templates::verification(),
            reset_password_template: templates::password_reset(),
            confirm_email_change_template: templates::email_change(),
        }
    }
}

impl AuthOptions {
    /// The options of a new auth collection with fresh secrets.
    #[must_use]
    pub fn fresh() -> Self {
        let mut options = Self::default();
        for token in options.tokens_mut() {
            token.secret = secret();
        }
        options
    }

    /// The five kinds of tokens.
    pub fn tokens_mut(&mut self) -> [&mut TokenOptions; 5] {
        [
            &mut self.auth_token,
            &mut self.password_reset_token,
            &mut self.email_change_token,
            &mut self.verification_token,
            &mut self.file_token,
        ]
    }
}

impl Collection {
    /// A collection of `kind` as it looks before anybody filled it in: no id, no name, every rule locked.
    #[must_use]
    pub fn scaffold(kind: Kind) -> Self {
        Self {
            id: CollectionId::new(""),
            name: CompactString::const_new(""),
            system: false,
            fields: required_fields(&kind),
            kind,
            indexes: Vec::new(),
            rules: Rules::default(),
            created: CompactString::const_new(""),
            updated: CompactString::const_new(""),
        }
    }

    /// The kind called `name` with options of a new collection.
    #[must_use]
    pub fn fresh_kind(name: &str) -> Option<Kind> {
        match name {
            "base" => Some(Kind::Base),
            "auth" => Some(Kind::Auth(Box::new(AuthOptions::fresh()))),
            "view" => Some(Kind::View(ViewOptions::default())),
            _ => None,
        }
    }

    /// The id of a collection that was given none; `nth` is 1 for the first try and grows with collisions.
    #[must_use]
    pub fn default_id(kind: &str, name: &str, nth: usize) -> CollectionId {
        let crc = crc32fast::hash(format!("{kind}{name}").as_bytes());
        if nth < 2 {
            CollectionId::new(format!("pbc_{crc}"))
        } else {
            CollectionId::new(format!("pbc_{crc}{nth}"))
        }
    }
}

/// The collections of a fresh directory, in the order of their rows.
#[must_use]
pub fn fresh(now: Timestamp) -> Vec<Collection> {
    let text = |name: &str| Field {
        required: true,
        ..Field::new(name, FieldKind::Text(TextOptions::default()))
    };
    let mut collections = vec![
        owned(
            "_mfas",
            vec![text("method")],
            &[
                "CREATE INDEX `idx_mfas_collectionRef_recordRef` ON `_mfas` (collectionRef,recordRef)",
            ],
            false,
        ),
        owned(
            "_otps",
            vec![
                Field {
                    hidden: true,
                    required: true,
                    ..Field::new(
                        "password",
                        FieldKind::Password(PasswordOptions {
                            cost: 8,
                            ..PasswordOptions::default()
                        }),
                    )
                },
                Field {
                    hidden: true,
                    ..Field::new("sentTo", FieldKind::Text(TextOptions::default()))
                },
            ],
            &[
                "CREATE INDEX `idx_otps_collectionRef_recordRef` ON `_otps` (collectionRef, recordRef)",
            ],
            false,
        ),
        owned(
            "_externalAuths",
            vec![text("provider"), text("providerId")],
            &[
                "CREATE UNIQUE INDEX `idx_externalAuths_record_provider` ON `_externalAuths` (collectionRef, recordRef, provider)",
                "CREATE UNIQUE INDEX `idx_externalAuths_collection_provider` ON `_externalAuths` (collectionRef, provider, providerId)",
            ],
            true,
        ),
        owned(
            "_authOrigins",
            vec![text("fingerprint")],
            &[
                "CREATE UNIQUE INDEX `idx_authOrigins_unique_pairs` ON `_authOrigins` (collectionRef, recordRef, fingerprint)",
            ],
            true,
        ),
        superusers(),
        users(),
    ];
    for collection in &mut collections {
        collection.created = now.to_text();
        collection.updated = now.to_text();
    }
    collections
}

/// Names of the system collections that PocketBase does not have.
pub const OWN: [&str; 4] = [API_KEYS, "_passkeys", "_sessions", "_totps"];
/// Keys for machines.
pub const API_KEYS: &str = "_apiKeys";

/// Whether a collection is one that PocketBase does not have.
#[must_use]
pub fn is_own(collection: &Collection) -> bool {
    collection.system && OWN.contains(&collection.name.as_str())
}

/// The collections of [`OWN`]. Their fields are of PocketBase's kinds, so that it can open the directory.
#[must_use]
pub fn own(now: Timestamp) -> Vec<Collection> {
    // The kind whose values leave by no way, not even to superusers.
    let secret = |name: &str| Field {
        hidden: true,
        ..Field::new(name, FieldKind::Password(PasswordOptions::default()))
    };
    let text = |name: &str| Field::new(name, FieldKind::Text(TextOptions::default()));
    let number = |name: &str| Field {
        hidden: true,
        ..Field::new(name, FieldKind::Number(NumberOptions::default()))
    };
    let passkeys = owned(
        "_passkeys",
        vec![
            text("name"),
            Field {
                hidden: true,
                ..text("credentialId")
            },
            secret("credential"),
            Field::new("lastUsed", FieldKind::Date(DateOptions::default())),
        ],
        &[
            "CREATE UNIQUE INDEX `idx_passkeys_credential` ON `_passkeys` (credentialId)",
            "CREATE INDEX `idx_passkeys_record` ON `_passkeys` (collectionRef, recordRef)",
        ],
        false,
    );
    let totps = owned(
        "_totps",
        vec![
            secret("secret"),
            secret("recovery"),
            Field::new("confirmed", FieldKind::Bool),
            number("lastStep"),
        ],
        &["CREATE UNIQUE INDEX `idx_totps_record` ON `_totps` (collectionRef, recordRef)"],
        false,
    );
    let mut collections = vec![api_keys(secret("hash")), passkeys, sessions(), totps];
    for collection in &mut collections {
        collection.created = now.to_text();
        collection.updated = now.to_text();
    }
    collections
}

/// `hash` is the field that no value leaves by.
fn api_keys(hash: Field) -> Collection {
    let text = |name: &str| Field::new(name, FieldKind::Text(TextOptions::default()));
    let date = |name: &str| Field::new(name, FieldKind::Date(DateOptions::default()));
    let json = |name: &str| Field::new(name, FieldKind::Json(JsonOptions::default()));
    owned(
        API_KEYS,
        vec![
            text("name"),
            text("prefix"),
            hash,
            Field::new("superuser", FieldKind::Bool),
            json("scopes"),
            json("addresses"),
            date("expires"),
            date("lastUsed"),
        ],
        &[
            "CREATE UNIQUE INDEX `idx_apiKeys_prefix` ON `_apiKeys` (prefix)",
            "CREATE INDEX `idx_apiKeys_collectionRef_recordRef` ON `_apiKeys` (collectionRef, recordRef)",
        ],
        true,
    )
}

fn sessions() -> Collection {
    let text = |name: &str| Field::new(name, FieldKind::Text(TextOptions::default()));
    let date = |name: &str| Field::new(name, FieldKind::Date(DateOptions::default()));
    owned(
        "_sessions",
        vec![
            text("method"),
            text("device"),
            text("address"),
            date("lastUsed"),
            date("expires"),
        ],
        &[
            "CREATE INDEX `idx_sessions_collectionRef_recordRef` ON `_sessions` (collectionRef, recordRef)",
        ],
        true,
    )
}

/// A system collection whose rows belong to a record of some auth collection; `deletable` by that record.
fn owned(name: &str, extra: Vec<Field>, indexes: &[&str], deletable: bool) -> Collection {
    const OWNER: &str = "@request.auth.id != '' && recordRef = @request.auth.id && collectionRef = @request.auth.collectionId";
    let owner = || Some(OWNER.to_owned());
    let mut fields = vec![id_field()];
    for reference in ["collectionRef", "recordRef"] {
        fields.push(Field {
            required: true,
            ..Field::new(reference, FieldKind::Text(TextOptions::default()))
        });
    }
    fields.extend(extra);
    fields.extend(autodates(true));
    for field in &mut fields {
        field.system = true;
    }
    Collection {
        id: Collection::default_id("base", name, 1),
        name: name.into(),
        system: true,
        fields,
        indexes: indexes.iter().map(|&text| text.to_owned()).collect(),
        rules: Rules {
            list: owner(),
            view: owner(),
            delete: deletable.then(owner).flatten(),
            ..Rules::default()
        },
        ..Collection::scaffold(Kind::Base)
    }
}

fn superusers() -> Collection {
    let mut options = AuthOptions::fresh();
    options.auth_token.duration = 86_400;
    let mut collection = Collection::scaffold(Kind::Auth(Box::new(options)));
    collection.id = Collection::default_id("auth", super::set::SUPERUSERS, 1);
    collection.name = super::set::SUPERUSERS.into();
    collection.system = true;
    collection.fields.extend(autodates(true));
    collection.indexes = auth_indexes(&collection);
    collection
}

fn users() -> Collection {
    let own = || Some("id = @request.auth.id".to_owned());
    let mut options = AuthOptions::fresh();
    options.oauth2.mapped_fields = MappedFields {
        name: "name".to_owned(),
        avatar_url: "avatar".to_owned(),
        ..MappedFields::default()
    };
    let mut collection = Collection::scaffold(Kind::Auth(Box::new(options)));
    collection.id = CollectionId::new(USERS_ID);
    collection.name = "users".into();
    collection.rules = Rules {
        list: own(),
        view: own(),
        create: Some(String::new()),
        update: own(),
        delete: own(),
    };
    collection.fields.push(Field::new(
        "name",
        FieldKind::Text(TextOptions {
            max: 255,
            ..TextOptions::default()
        }),
    ));
    let pictures = ["jpeg", "png", "svg+xml", "gif", "webp"];
    collection.fields.push(Field::new(
        "avatar",
        FieldKind::File(FileOptions {
            max_select: 1,
            mime_types: pictures.map(|name| format!("image/{name}")).to_vec(),
            ..FileOptions::default()
        }),
    ));
    collection.fields.extend(autodates(false));
    collection.indexes = auth_indexes(&collection);
    collection
}

/// The unique indexes that every auth collection has, on its token keys and addresses.
#[must_use]
pub fn auth_indexes(collection: &Collection) -> Vec<String> {
    ["tokenKey", "email"]
        .map(|field| auth_index(field, collection.id.as_str(), &collection.name))
        .to_vec()
}

/// The indexes of an auth collection that has neither id nor name yet.
#[must_use]
pub fn scaffold_indexes() -> Vec<String> {
    /// Letters that stand in for the id.
    const SUFFIX_LEN: usize = 10;
    let suffix = id::random(SUFFIX_LEN, id::LOWER_ALNUM);
    ["tokenKey", "email"]
        .map(|field| auth_index(field, &suffix, ""))
        .to_vec()
}

/// The unique index of an auth collection on `field`, `tokenKey` or `email`.
#[must_use]
pub fn auth_index(field: &str, id: &str, table: &str) -> String {
    /// Letters of an index name that are kept.
    const NAME_LEN: usize = 64;
    let mut name = format!("idx_{field}_{id}");
    name.truncate(name.floor_char_boundary(NAME_LEN));
    let condition = if field == "email" {
        " WHERE `email` != ''"
    } else {
        ""
    };
    format!("CREATE UNIQUE INDEX `{name}` ON `{table}` (`{field}`){condition}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fresh_directory_has_the_contracts_ids_and_indexes() {
        let collections = fresh(Timestamp::from_millis(0));
        let ids: Vec<&str> = collections.iter().map(|c| c.id.as_str()).collect();
        assert_eq!(
            ids,
            [
                "pbc_2279338944",
                "pbc_1638494021",
                "pbc_2281828961",
                "pbc_4275539003",
                "pbc_3142635823",
                "_pb_users_auth_"
            ]
        );
        let secrets = |c: &Collection| c.auth().unwrap().auth_token.secret.clone();
        assert_ne!(secrets(&collections[4]), secrets(&collections[5]));
        assert_eq!(
            collections[5].indexes[1],
            "CREATE UNIQUE INDEX `idx_email__pb_users_auth_` ON `users` (`email`) WHERE `email` != ''"
        );
        assert_eq!(collections[0].rules.create, None);
    }
}
