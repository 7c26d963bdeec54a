//! The one place where every session begins: who may (the contract's order, contract-auth 2.0), the second factor, the
//! devices, the token and the answer.

use std::sync::Arc;

use compact_str::CompactString;

use super::error::Error;
use super::service::Auth;
use super::sessions::{self, Beginning, Session};
use super::{mfa, origins, service};
use crate::call::{Actor, Call, Context, Identity};
use crate::expr::{Filter, Guard};
use crate::kit::json;
use crate::records::{Refusal, access, view};
use crate::schema::Record;
use crate::store::{ReadTx, WriteTx};

/// A way to prove who one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// A password.
    Password,
    /// A mailed code.
    Otp,
    /// A provider.
    OAuth2,
    /// An authenticator app.
    Totp,
    /// A passkey.
    Passkey,
}

impl Method {
    /// As `_mfas` keeps it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Otp => "otp",
            Self::OAuth2 => "oauth2",
            Self::Totp => "totp",
            Self::Passkey => "passkey",
        }
    }

    /// The context that rules see.
    #[must_use]
    pub fn context(self) -> Context {
        match self {
            Self::Password => Context::Password,
            Self::Otp => Context::Otp,
            Self::OAuth2 => Context::OAuth2,
            // Rules know the contexts of the contract.
            Self::Totp | Self::Passkey => Context::Default,
        }
    }
}

/// How a sign-in ends.
#[derive(Debug)]
pub enum Outcome {
    /// The answer with record and token, encoded.
    Session(Vec<u8>),
    /// Another factor is wanted.
    SecondFactor(Wanted),
}

/// The factor that is still missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The id under which it is expected.
    pub id: String,
    /// The only ones that do; empty for any other than the first.
    pub methods: Vec<&'static str>,
}

/// What a proven record asks for.
pub(super) struct Proof {
    /// Who was proven.
    pub(super) record: Record,
    /// How; `None` for a session made from another (refresh, impersonation), which skips second factor and devices.
    pub(super) method: Option<Method>,
    /// The `mfaId` of the request, empty for none.
    pub(super) mfa_id: String,
    /// A better hash of the password just proven.
    pub(super) new_hash: Option<String>,
    /// The token of the answer; made afresh when `None`.
    pub(super) token: Option<String>,
    /// What the answer tells besides, encoded.
    pub(super) meta: Option<Vec<u8>>,
}

impl Auth {
    /// Judges whether the proven record may have a session, and begins it.
    pub(super) async fn finish(&self, call: &Call, proof: Proof) -> Result<Outcome, Error> {
        self.check_address(call, &proof.record)?;
        let asker = call.in_context(proof.method.map_or(call.context, Method::context));
        let record = proof.record.clone();
        let method = proof.method;
        let judged = asker.clone();
        let second = self.store().read(move |tx| {
            check_rule(tx, &judged, &record)?;
            match method {
                Some(method) => mfa::applies(tx, &judged, &record, method),
                None => Ok(false),
            }
        });
        if second.await?
            && let Some(wanted) = self.second_factor(&asker, &proof).await?
        {
            return Ok(Outcome::SecondFactor(wanted));
        }
        let noted = self.note(&asker, &proof).await?;
        if let Some(device) = noted.device {
            self.alert(&asker, &proof.record, device);
        }
        let token = match &proof.token {
            Some(token) => token.clone(),
            None => service::token_of_session(&proof.record, call.now, noted.session)
                .ok_or(Error::Failed)?,
        };
        if proof.method.is_some() {
            self.recent().note(&token, call.now);
        }
        self.answer(call, proof.record, token, proof.meta).await
    }

    /// The answer that shows `record` as it sees itself, with a fresh token of the session `session`.
    pub(super) async fn answer_session(
        &self,
        call: &Call,
        record: Record,
        session: Option<CompactString>,
    ) -> Result<Outcome, Error> {
        let token = service::token_of_session(&record, call.now, session).ok_or(Error::Failed)?;
        self.answer(call, record, token, None).await
    }

    async fn answer(
        &self,
        call: &Call,
        record: Record,
        token: String,
        meta: Option<Vec<u8>>,
    ) -> Result<Outcome, Error> {
        let own = Call {
            actor: Actor::Auth(Arc::new(Identity {
                record: record.clone(),
                expires: None,
                refreshable: false,
                session: None,
                key: None,
            })),
            ..call.clone()
        };
        self.store()
            .read(move |tx| answer(tx, &own, &record, &token, meta.as_deref()))
            .await
            .map(Outcome::Session)
    }

    /// Refuses superusers from places that are not listed.
    pub(super) fn check_address(&self, call: &Call, record: &Record) -> Result<(), Error> {
        let settings = self.settings().current();
        if record.collection().is_superusers() && !settings.admits_superuser(call.client_ip) {
            return Err(Error::Address);
        }
        Ok(())
    }

    async fn second_factor(&self, call: &Call, proof: &Proof) -> Result<Option<Wanted>, Error> {
        let Some(method) = proof.method else {
            return Ok(None);
        };
        let (record, id, now) = (proof.record.clone(), proof.mfa_id.clone(), call.now);
        self.store()
            .write(move |tx| mfa::step(tx, &record, method, &id, now))
            .await?
    }

    /// What a sign-in leaves behind: the device, the session, and a better hash.
    async fn note(&self, call: &Call, proof: &Proof) -> Result<Noted, Error> {
        let collection = proof.record.collection();
        let alerts = collection
            .auth()
            .is_some_and(|auth| auth.auth_alert.enabled);
        let device = (alerts && proof.method.is_some()).then(|| origins::fingerprint(call));
        let session = self.session(call, proof).await?;
        if device.is_none() && proof.new_hash.is_none() && !session.is_to_write() {
            let session = session.known();
            return Ok(Noted {
                session,
                device: None,
            });
        }
        let (record, new_hash, now) = (proof.record.clone(), proof.new_hash.clone(), call.now);
        self.store()
            .write(move |tx| {
                if let Some(hash) = &new_hash {
                    upgrade(tx, &record, hash)?;
                }
                Ok(Noted {
                    session: sessions::write(tx, &record, session)?,
                    device: match &device {
                        Some(fingerprint) => origins::note(tx, &record, fingerprint, now)?,
                        None => None,
                    },
                })
            })
            .await
    }

    /// The session that the token of the answer belongs to.
    async fn session(&self, call: &Call, proof: &Proof) -> Result<Session, Error> {
        let ends = service::session_end(&proof.record, call.now);
        let begin = |method| Session::Begin(Beginning::new(call, method, ends));
        let renewed = match (proof.method, &proof.token, &call.actor) {
            (Some(method), _, _) => return Ok(begin(method.as_str())),
            // Whoever hands in a token of the answer has seen to its session.
            (None, Some(_), _) | (None, None, Actor::Guest) => return Ok(Session::Known(None)),
            (None, None, Actor::Auth(identity)) => identity.session.clone(),
        };
        let Some(id) = renewed else {
            return Ok(begin(sessions::REFRESH));
        };
        self.store()
            .read(move |tx| sessions::renewal(tx, id, ends))
            .await
    }
}

/// What [`Auth::note`] noted.
struct Noted {
    session: Option<CompactString>,
    /// The row of a device that is new.
    device: Option<Record>,
}

/// `authRule`: null lets nobody in, empty everybody. Superusers who ask are not bound.
fn check_rule(tx: &ReadTx<'_>, call: &Call, record: &Record) -> Result<(), Error> {
    if call.actor.is_superuser() {
        return Ok(());
    }
    let collection = record.collection();
    let rule = collection.auth().and_then(|auth| auth.auth_rule.as_deref());
    let judge = |filter: &Filter| access::holds(tx, call, filter, record);
    let holds = match rule {
        None => false,
        Some("") => true,
        Some(rule) => match tx.catalog().filter(collection, rule, Guard::Trusted) {
            Ok(filter) => judge(&filter)?,
            Err(_) => false,
        },
    };
    if holds {
        return Ok(());
    }
    let rule = ("authRule", rule.unwrap_or(""));
    let refusal = Refusal::find(tx, collection, rule, record.id(), judge)?;
    Err(Error::Rule(Box::new(refusal)))
}

/// Replaces the hash unless the password changed since it was proven.
fn upgrade(tx: &mut WriteTx<'_>, proven: &Record, hash: &str) -> Result<(), Error> {
    let present = tx.find(proven.collection(), proven.id())?;
    if let Some(before) = present
        && before.text("password") == proven.text("password")
    {
        let mut after = before.clone();
        after.set("password", hash);
        tx.update(&before, &after)?;
    }
    Ok(())
}

fn answer(
    tx: &ReadTx<'_>,
    own: &Call,
    record: &Record,
    token: &str,
    meta: Option<&[u8]>,
) -> Result<Vec<u8>, Error> {
    let mut out = b"{".to_vec();
    if let Some(meta) = meta {
        out.extend_from_slice(br#""meta":"#);
        out.extend_from_slice(meta);
        out.push(b',');
    }
    out.extend_from_slice(br#""record":"#);
    out.extend_from_slice(&view::own(tx, own, record)?);
    out.extend_from_slice(br#","token":"#);
    json::write_str(token, &mut out);
    out.push(b'}');
    Ok(out)
}
