//! What was submitted for a record, understood but not yet judged: which fields it speaks of and how. Made outside of
//! any transaction; applied to a record inside of one, so that modifiers act on the present state.

use std::sync::Arc;

use compact_str::CompactString;

use crate::call::Call;
use crate::expr::Catalog;
use crate::files::Upload;
use crate::files::name::stored_name;
use crate::kit::id;
use crate::kit::json::{Json, JsonMap};
use crate::kit::value::Value;
use crate::schema::field::{self, Modifier, keys_in_order, resolve_key};
use crate::schema::{Collection, FieldKind, Record};
use crate::store::StoreError;

/// Characters of a password that nobody knows.
const GENERATED_PASSWORD_CHARS: usize = 30;

/// The body of a create or update: plain values, and files by the name of their part.
#[derive(Clone, Debug, Default)]
pub struct Submission {
    /// Values by key.
    pub values: JsonMap,
    /// Uploaded files, in order.
    pub files: Vec<(CompactString, Upload)>,
}

/// An uploaded file with the name that it will be stored under.
#[derive(Clone, Debug)]
pub struct NewFile {
    /// Position of its field.
    pub field: usize,
    /// Stored name.
    pub name: CompactString,
    /// The file.
    pub upload: Upload,
}

/// A password as it was typed, on its way to a hash.
#[derive(Clone, Debug)]
pub struct NewPassword {
    /// Position of its field.
    pub field: usize,
    /// As typed; never stored.
    pub plain: CompactString,
    /// What is stored, once made.
    pub hash: Option<CompactString>,
    /// Whether nobody typed it: it need not look as people's passwords must.
    pub generated: bool,
    /// Whether it is one of those that the collection refuses.
    pub common: bool,
}

/// How one key acts on its field.
#[derive(Clone, Debug)]
enum Edit {
    /// It becomes this.
    Set(Value),
    /// It is changed by this.
    Modify(Modifier, Json),
}

/// An understood submission.
#[derive(Clone, Debug)]
pub struct Draft {
    collection: Arc<Collection>,
    edits: Vec<(usize, Edit)>,
    body: JsonMap,
    /// Uploads to be stored.
    pub files: Vec<NewFile>,
    /// Passwords to be hashed.
    pub passwords: Vec<NewPassword>,
    /// The hash that `oldPassword` was found to belong to.
    pub proven_hash: Option<CompactString>,
    /// The id of a new record, when none was submitted.
    pub fresh_id: CompactString,
}

impl Draft {
    /// Understands `submission` for a record of `collection`. Keys of fields that the caller may not see are dropped,
    /// so that neither rules nor the record ever meet them; keys of automatic dates act on nothing.
    #[must_use]
    pub fn new(collection: &Arc<Collection>, call: &Call, submission: Submission) -> Self {
        let superuser = call.actor.is_above_rules();
        let mut draft = Self {
            collection: Arc::clone(collection),
            edits: Vec::new(),
            body: submission.values,
            files: Vec::new(),
            passwords: Vec::new(),
            proven_hash: None,
            fresh_id: fresh_id(collection),
        };
        draft.name_uploads(submission.files, call);
        let mut body = std::mem::take(&mut draft.body);
        if !superuser {
            body.retain(|key, _| visible(collection, key));
            draft
                .files
                .retain(|file| !collection.fields[file.field].hidden);
        }
        for key in keys_in_order(&body) {
            if let Some((index, modifier)) = resolve_key(collection, key) {
                draft.take_key(index, modifier, &body[key]);
            }
        }
        draft.body = body;
        draft
    }

    /// Understands texts for keys that are resolved already, in the order in which they act: the rows of a table, whose
    /// keys are the same for all. What is no field's (a confirmed password, a wanted id) is in `extras`.
    #[must_use]
    pub fn planned<'k>(
        collection: &Arc<Collection>,
        texts: impl Iterator<Item = (usize, Modifier, &'k str, String)>,
    ) -> Self {
        let mut draft = Self {
            collection: Arc::clone(collection),
            edits: Vec::with_capacity(collection.fields.len()),
            body: JsonMap::new(),
            files: Vec::new(),
            passwords: Vec::new(),
            proven_hash: None,
            fresh_id: fresh_id(collection),
        };
        for (index, modifier, key, text) in texts {
            let submitted = match &collection.fields[index].kind {
                // Nothing is said of a password that stays as it is.
                FieldKind::Password(_) if text.is_empty() => continue,
                FieldKind::Json(_) if text.is_empty() => Json::Null,
                _ => Json::String(text),
            };
            draft.take_key(index, modifier, &submitted);
            if key == "id" {
                draft.body.insert(key.to_owned(), submitted);
            }
        }
        draft
    }

    /// Confirms the submitted password, where the file that it came from has no second column for that.
    pub fn confirm_password(&mut self) {
        let plain = self.password("password").map(|p| p.plain.clone());
        if let Some(plain) = plain.filter(|plain| !plain.is_empty()) {
            self.body
                .entry("passwordConfirm")
                .or_insert_with(|| Json::from(plain.as_str()));
        }
    }

    /// What the submission sets the field at `index` to; nothing when it does not.
    #[must_use]
    pub fn set_to(&self, index: usize) -> Option<&Value> {
        self.edits.iter().rev().find_map(|(at, edit)| match edit {
            Edit::Set(value) if *at == index => Some(value),
            Edit::Set(_) | Edit::Modify(..) => None,
        })
    }

    /// Gives uploads their stored names and adds these to the values of their keys, as if the names had been submitted.
    fn name_uploads(&mut self, uploads: Vec<(CompactString, Upload)>, call: &Call) {
        for (key, upload) in uploads {
            let Some((field, _)) = resolve_key(&self.collection, &key) else {
                continue;
            };
            if !matches!(self.collection.fields[field].kind, FieldKind::File(_)) {
                continue;
            }
            let mut name = upload.stored_name();
            if call.context == crate::call::Context::Batch {
                // The contract names files of batches twice (trap 91).
                name = stored_name(&name, "");
            }
            let mut names = match self.body.remove(key.as_str()) {
                None | Some(Json::Null) => Vec::new(),
                Some(Json::Array(items)) => items,
                Some(single) => vec![single],
            };
            names.push(Json::from(name.as_str()));
            self.body.insert(key.to_string(), Json::Array(names));
            self.files.push(NewFile {
                field,
                name: name.into(),
                upload,
            });
        }
    }

    fn take_key(&mut self, index: usize, modifier: Modifier, submitted: &Json) {
        let field = &self.collection.fields[index];
        match &field.kind {
            FieldKind::Autodate(_) => {}
            FieldKind::Password(_) => {
                let plain = field.cast(submitted);
                self.passwords.push(NewPassword {
                    field: index,
                    plain: CompactString::from(plain.text_or_empty()),
                    hash: None,
                    generated: false,
                    common: false,
                });
            }
            _ if modifier == Modifier::Set => {
                self.edits.push((index, Edit::Set(field.cast(submitted))));
            }
            _ => self
                .edits
                .push((index, Edit::Modify(modifier, submitted.clone()))),
        }
    }

    /// The collection it is for.
    #[must_use]
    pub fn collection(&self) -> &Arc<Collection> {
        &self.collection
    }

    /// Whether the collection is still as it was when the submission was understood: positions of fields depend on it.
    ///
    /// # Errors
    /// That the database is busy: the same request finds the new schema when it is sent again.
    pub fn still_fits(&self, catalog: &Catalog) -> Result<(), StoreError> {
        let current = catalog.by_id(&self.collection.id);
        if current.is_some_and(|c| Arc::ptr_eq(c, &self.collection) || *c == self.collection) {
            return Ok(());
        }
        Err(StoreError::Busy)
    }

    /// `base` with everything applied. A password cell holds its hash, or a placeholder while there is none.
    #[must_use]
    pub fn apply(&self, base: &Record) -> Record {
        let mut record = base.clone();
        for (index, edit) in &self.edits {
            let field = &self.collection.fields[*index];
            let cell = &mut record.cells_mut()[*index];
            *cell = match edit {
                Edit::Set(value) => value.clone(),
                Edit::Modify(modifier, submitted) => field.apply(cell, *modifier, submitted),
            };
        }
        for password in &self.passwords {
            let value = if password.plain.is_empty() {
                ""
            } else {
                password.hash.as_deref().unwrap_or("*")
            };
            record.cells_mut()[password.field] = Value::text(value);
        }
        record
    }

    /// What rules see as `@request.body`, given the record that [`Draft::apply`] made: modifiers are resolved, and the
    /// value of a field is what the field made of it (contract 4.9). Passwords and uploads stay as they were sent.
    #[must_use]
    pub fn body(&self, applied: &Record) -> JsonMap {
        let mut body = self.body.clone();
        for key in self.body.keys() {
            let Some((index, modifier)) = resolve_key(&self.collection, key) else {
                continue;
            };
            let field = &self.collection.fields[index];
            let as_sent = matches!(field.kind, FieldKind::Password(_) | FieldKind::File(_));
            if as_sent && matches!(modifier, Modifier::Set) {
                continue;
            }
            body.remove(key);
            let value = field::to_json(field, applied.cells()[index].as_cell());
            body.insert(field.name.to_string(), value);
        }
        body
    }

    /// The text of a key that is no field, for instance `passwordConfirm`.
    #[must_use]
    pub fn extra(&self, key: &str) -> CompactString {
        match self.body.get(key) {
            None | Some(Json::Null | Json::Array(_) | Json::Object(_)) => {
                CompactString::const_new("")
            }
            Some(Json::String(text)) => CompactString::from(text.as_str()),
            Some(Json::Bool(flag)) => {
                CompactString::const_new(if *flag { "true" } else { "false" })
            }
            Some(Json::Number(n)) => crate::kit::json::number_text(n.as_f64().unwrap_or(0.0)),
        }
    }

    /// The password typed for the field called `name`, and whether the key was sent at all.
    #[must_use]
    pub fn password(&self, name: &str) -> Option<&NewPassword> {
        let index = self.collection.field_index(name)?;
        self.passwords
            .iter()
            .find(|password| password.field == index)
    }

    /// Gives the account a password that nobody knows, unless one was submitted.
    pub fn generate_password(&mut self) {
        self.take_password(unknown_password(), None);
    }

    /// Gives the account the password `plain`, which nobody knows, unless one was submitted; with its hash where that is
    /// made already.
    pub fn take_password(&mut self, plain: CompactString, hash: Option<CompactString>) {
        if self
            .password("password")
            .is_some_and(|p| !p.plain.is_empty())
        {
            return;
        }
        let Some(field) = self.collection.field_index("password") else {
            return;
        };
        self.body
            .insert("passwordConfirm".to_owned(), Json::from(plain.as_str()));
        self.passwords.retain(|password| password.field != field);
        self.passwords.push(NewPassword {
            field,
            plain,
            hash,
            generated: true,
            common: false,
        });
    }

    /// Whether `hash` is that of the submitted old password.
    #[must_use]
    pub fn proves(&self, hash: &str) -> bool {
        self.proven_hash.as_deref() == Some(hash)
    }

    /// Whether something slow stands between the submission and the transaction: hashes or files.
    #[must_use]
    pub fn is_slow(&self) -> bool {
        !self.files.is_empty()
            || self
                .passwords
                .iter()
                .any(|password| !password.plain.is_empty())
    }
}

/// A password that nobody knows.
#[must_use]
pub fn unknown_password() -> CompactString {
    id::random(GENERATED_PASSWORD_CHARS, id::ALNUM)
}

/// Whether a caller that is no superuser may write `key`: hidden fields may not be, but for an account's password.
fn visible(collection: &Collection, key: &str) -> bool {
    match resolve_key(collection, key) {
        None => true,
        Some((index, _)) => {
            let field = &collection.fields[index];
            !field.hidden || (collection.is_auth() && field.name == "password")
        }
    }
}

/// An id for a new record, by the pattern of the id field.
fn fresh_id(collection: &Collection) -> CompactString {
    match collection
        .field("id")
        .and_then(crate::schema::Field::autogenerate)
    {
        Some(Value::Text(id)) => id,
        _ => CompactString::const_new(""),
    }
}
