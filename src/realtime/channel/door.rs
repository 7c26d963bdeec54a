//! The way from the hub to its channels.

use std::sync::atomic::Ordering;

use super::{Ask, Refused};
use crate::kit::json::Json;
use crate::realtime::hub::{Connection, Hub};
use crate::realtime::stats;

impl Hub {
    /// Does what a WebSocket client asks of a channel, and answers it.
    ///
    /// # Errors
    /// See [`Refused`].
    pub async fn channel(
        &self,
        connection: &Connection,
        ask: &Json,
        wanted: Ask,
    ) -> Result<(), Refused> {
        let (id, channels) = (&connection.id, &self.0.channels);
        match wanted {
            Ask::Join {
                channel,
                presence,
                since,
            } => {
                self.sit(connection)?;
                let since = since.as_deref();
                channels.join(id, ask, channel, presence, since).await
            }
            Ask::Publish {
                channel,
                event,
                payload,
                echo,
            } => {
                let done = channels.publish(id, ask, &channel, &event, &payload, echo);
                done.await?;
                stats::add(&self.0.stats.messages, 1);
                Ok(())
            }
            Ask::Present { channel, presence } => channels.present(id, ask, &channel, &presence),
            Ask::Leave { channel } => channels.leave(id, ask, &channel),
        }
    }

    /// Lets a connection use channels.
    fn sit(&self, connection: &Connection) -> Result<(), Refused> {
        let most = self.0.settings.current().realtime.subscriptions_max();
        let roster = self.0.roster.lock();
        let Some(client) = roster.client(&connection.id) else {
            return Err(Refused::Outside);
        };
        if client.subs.len() + self.0.channels.joined(&connection.id) >= most {
            return Err(Refused::TooMany);
        }
        let (outbox, watched) = (&client.outbox, &connection.watched);
        self.0
            .channels
            .sit(&connection.id, &client.actor, outbox, watched);
        connection.seated.store(true, Ordering::Relaxed);
        Ok(())
    }
}
