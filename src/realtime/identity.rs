//! Who connections are, kept true while they are open: a person that changed, a token that ended, a secret that was
//! replaced (contract 7.4, security S04-S07).

use std::sync::Arc;

use compact_str::CompactString;

use super::client::{ClientId, Transport};
use super::frame;
use super::hub::Inner;
use super::judge::{self, Refusal};
use super::roster::Roster;
use crate::auth::{key_id, present_key};
use crate::call::{Actor, Identity};
use crate::expr::Catalog;
use crate::kit::time::Timestamp;
use crate::records::account::SESSIONS;
use crate::schema::{Collection, CollectionId, Record};
use crate::store::{ReadTx, StoreError};

/// The identity as it is in a snapshot: with the record of then, or nobody when its tokens have died.
pub(super) fn present(tx: &ReadTx<'_>, actor: &Actor, now: Timestamp) -> Result<Actor, StoreError> {
    let Actor::Auth(identity) = actor else {
        return Ok(Actor::Guest);
    };
    let known = &identity.record;
    if identity.expires.is_some_and(|expires| expires <= now) {
        return Ok(Actor::Guest);
    }
    let Some(collection) = tx.catalog().by_id(&known.collection().id) else {
        return Ok(Actor::Guest);
    };
    if identity.key.is_none() && secret(collection) != secret(known.collection()) {
        return Ok(Actor::Guest);
    }
    Ok(match tx.find(collection, known.id())? {
        Some(record)
            // Keys outlive a change of the token key.
            if identity.key.is_none()
                && record.text("tokenKey") == known.text("tokenKey")
                && session_stands(tx, identity)? =>
        {
            Actor::Auth(Arc::new(Identity {
                record,
                ..(**identity).clone()
            }))
        }
        Some(record) => with_present_key(tx, identity, record, now)?,
        None => Actor::Guest,
    })
}

/// The identity that the key of `identity` gives now: nobody's, where there is no key or it has ended.
fn with_present_key(
    tx: &ReadTx<'_>,
    identity: &Identity,
    record: Record,
    now: Timestamp,
) -> Result<Actor, StoreError> {
    let Some(id) = key_id(identity) else {
        return Ok(Actor::Guest);
    };
    Ok(match present_key(tx, id, &record, now)? {
        Some((key, expires)) => Actor::Auth(Arc::new(Identity {
            record,
            expires,
            key: Some(Arc::new(key)),
            ..identity.clone()
        })),
        None => Actor::Guest,
    })
}

/// Whether the session of the identity, if its token names one, has not ended.
fn session_stands(tx: &ReadTx<'_>, identity: &Identity) -> Result<bool, StoreError> {
    let Some(id) = &identity.session else {
        return Ok(true);
    };
    match tx.catalog().find_exact(SESSIONS) {
        Some(sessions) => Ok(tx.find(sessions, id)?.is_some()),
        None => Ok(false),
    }
}

fn secret(collection: &Collection) -> Option<&str> {
    collection
        .auth()
        .map(|auth| auth.auth_token.secret.as_ref())
}

impl Inner {
    /// Who proved to be `actor` a moment ago, as of now: what changed since was not followed for this connection. To
    /// be asked while the roster is held, so that what changes later is.
    pub(super) fn proven(&self, actor: &Actor) -> Actor {
        if actor.record().is_none() {
            return Actor::Guest;
        }
        let now = self.clock.now();
        match self.store.read_now(|tx| present(tx, actor, now)) {
            Ok(actor) => actor,
            Err(error) => {
                // Whoever cannot be proven is nobody.
                tracing::warn!(%error, "realtime: an identity could not be read");
                Actor::Guest
            }
        }
    }

    /// An auth record changed: connections of it get the new copy, or become guests when its tokens died.
    pub(super) fn follow_person(
        &self,
        roster: &mut Roster,
        before: &Arc<Record>,
        after: Option<&Arc<Record>>,
    ) {
        let catalog = self.store.catalog();
        for id in roster.signed_in_as(&before.collection().id, before.id()) {
            let Some(Actor::Auth(identity)) = roster.client(&id).map(|c| c.actor.clone()) else {
                continue;
            };
            match after {
                Some(after)
                    if identity.key.is_some()
                        || after.text("tokenKey") == before.text("tokenKey") =>
                {
                    let newer = Identity {
                        record: (**after).clone(),
                        ..(*identity).clone()
                    };
                    let actor = Actor::Auth(Arc::new(newer));
                    self.channels.follow(&id, &actor);
                    roster.set_actor(&catalog, &id, actor);
                    self.live.changed(&id);
                }
                Some(_) | None => self.sign_out(roster, &id),
            }
        }
    }

    /// A session ended: its connections become guests.
    pub(super) fn follow_session(&self, roster: &mut Roster, session: &Record) {
        let collection = CollectionId::new(session.text("collectionRef"));
        for id in roster.signed_in_as(&collection, session.text("recordRef")) {
            let ended = roster
                .client(&id)
                .is_some_and(|client| match &client.actor {
                    Actor::Auth(identity) => identity.session.as_deref() == Some(session.id()),
                    Actor::Guest => false,
                });
            if ended {
                self.sign_out(roster, &id);
            }
        }
    }

    /// A key changed or ended: its connections reach as far as it now does, or become guests.
    ///
    /// # Errors
    /// When nobody can be read now; then nothing may be told before somebody can.
    pub(super) fn follow_key(
        &self,
        roster: &mut Roster,
        row: &Record,
        tx: &ReadTx<'_>,
    ) -> Result<(), StoreError> {
        let collection = CollectionId::new(row.text("collectionRef"));
        for id in roster.signed_in_as(&collection, row.text("recordRef")) {
            let Some(actor) = roster.client(&id).map(|client| client.actor.clone()) else {
                continue;
            };
            if actor.key().is_some_and(|key| key.id == row.id()) {
                self.follow_one(roster, tx, &id, &actor)?;
            }
        }
        Ok(())
    }

    /// Collections changed: whoever signed in to one whose secret changed, or that is gone, becomes a guest.
    pub(super) fn follow_schema(&self, roster: &mut Roster, catalog: &Arc<Catalog>) {
        let dead = signed_in(roster)
            .filter(|(id, record)| {
                let by_key = roster.client(id).is_some_and(|c| c.actor.key().is_some());
                catalog
                    .by_id(&record.collection().id)
                    .is_none_or(|now| !by_key && secret(now) != secret(record.collection()))
            })
            .map(|(id, _)| id)
            .collect::<Vec<_>>();
        for id in dead {
            self.sign_out(roster, &id);
        }
        self.regroup(roster, catalog);
    }

    /// Anything may have changed: every identity is read again.
    ///
    /// # Errors
    /// As [`Inner::follow_key`].
    pub(super) fn follow_all(
        &self,
        roster: &mut Roster,
        tx: &ReadTx<'_>,
    ) -> Result<(), StoreError> {
        let ids: Vec<ClientId> = signed_in(roster).map(|(id, _)| id).collect();
        for id in ids {
            let Some(actor) = roster.client(&id).map(|client| client.actor.clone()) else {
                continue;
            };
            self.follow_one(roster, tx, &id, &actor)?;
        }
        self.regroup(roster, tx.catalog());
        Ok(())
    }

    /// Reads anew who a connection is.
    fn follow_one(
        &self,
        roster: &mut Roster,
        tx: &ReadTx<'_>,
        id: &ClientId,
        actor: &Actor,
    ) -> Result<(), StoreError> {
        match present(tx, actor, self.clock.now()) {
            Ok(actor @ Actor::Auth(_)) => {
                self.channels.follow(id, &actor);
                roster.set_actor(tx.catalog(), id, actor);
                self.live.changed(id);
            }
            Ok(Actor::Guest) => self.sign_out(roster, id),
            Err(error) if error.is_passing() => return Err(error),
            Err(error) => {
                // Whoever cannot be proven is nobody.
                tracing::warn!(%error, "realtime: an identity could not be read");
                self.sign_out(roster, id);
            }
        }
        Ok(())
    }

    fn regroup(&self, roster: &mut Roster, catalog: &Arc<Catalog>) {
        roster.regroup_all(catalog);
        let sockets: Vec<ClientId> = roster
            .clients()
            .filter(|(_, client)| client.transport == Transport::WebSocket)
            .map(|(id, _)| id.clone())
            .collect();
        for id in sockets {
            self.end_forbidden(roster, &id);
        }
    }

    /// Tokens that ran out end now, not at the next request.
    pub(super) fn expire(&self) {
        let now = self.clock.now();
        let mut roster = self.roster.lock();
        if roster.first_expiry().is_none_or(|first| first > now) {
            return;
        }
        let expired: Vec<ClientId> = roster
            .clients()
            .filter(|(_, client)| match &client.actor {
                Actor::Guest => false,
                Actor::Auth(identity) => identity.expires.is_some_and(|expires| expires <= now),
            })
            .map(|(id, _)| id.clone())
            .collect();
        for id in expired {
            self.sign_out(&mut roster, &id);
        }
        roster.find_first_expiry();
    }

    fn sign_out(&self, roster: &mut Roster, id: &ClientId) {
        let Some(client) = roster.client(id) else {
            return;
        };
        let (transport, outbox) = (client.transport, Arc::clone(&client.outbox));
        // First, so that nothing more is queued for who it was.
        self.channels.follow(id, &Actor::Guest);
        // Events queued for the ended identity must not go out (security S05); a guest hears again what he may.
        let lost = outbox.take_back();
        roster.set_actor(&self.store.catalog(), id, Actor::Guest);
        if transport == Transport::WebSocket {
            outbox.push(frame::ws_signed_out());
            self.end_forbidden(roster, id);
        }
        for place in lost {
            self.channels.put_back(id, &place.sub, place.since.0);
            self.live.taken_back(id, place.sub.clone());
            self.put_back_one(roster, id, place.sub, place.since);
        }
        self.live.changed(id);
    }

    /// Ends the subscriptions that a WebSocket connection may not have any more, and says so for each.
    pub(super) fn end_forbidden(&self, roster: &mut Roster, id: &ClientId) {
        let catalog = self.store.catalog();
        let Some(client) = roster.client(id) else {
            return;
        };
        let outbox = Arc::clone(&client.outbox);
        let forbidden: Vec<(CompactString, Refusal)> = client
            .subs
            .iter()
            .filter_map(|sub| {
                let topic = sub.topic.as_ref()?;
                let refusal = judge::may_subscribe(&catalog, topic, &client.actor).err()?;
                Some((sub.id.clone(), refusal))
            })
            .collect();
        for (sub, refusal) in forbidden {
            roster.unsubscribe(id, &sub);
            outbox.push(frame::ws_sub_ended(
                &sub,
                refusal.status(),
                refusal.message(),
            ));
        }
    }
}

fn signed_in(roster: &Roster) -> impl Iterator<Item = (ClientId, &Record)> {
    roster
        .clients()
        .filter_map(|(id, client)| Some((id.clone(), client.actor.record()?)))
}
