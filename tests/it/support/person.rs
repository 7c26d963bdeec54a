//! Somebody who asks the server.

use std::net::SocketAddr;

use serde_json::Value as Json;

use super::wire::{Reply, Request, exchange, try_exchange};

/// A client, with the token of one identity or none.
#[derive(Clone)]
pub struct Person {
    /// Id of the record that they are; empty for guests.
    pub id: String,
    address: SocketAddr,
    token: Option<String>,
}

impl Person {
    /// A guest of the server at `address`.
    pub fn at(address: SocketAddr) -> Self {
        Self::new(address, None)
    }

    pub(super) fn new(address: SocketAddr, token: Option<String>) -> Self {
        Self {
            id: String::new(),
            address,
            token,
        }
    }

    /// The JSON of a success, of a server that may go away meanwhile.
    pub fn try_send(&self, method: &str, path: &str, body: Option<&Json>) -> Option<Json> {
        let mut request = Request::new(method, path);
        if let Some(body) = body {
            request = request.json(body);
        }
        if let Some(token) = &self.token {
            request = request.header("Authorization", token);
        }
        let reply = try_exchange(self.address, &request)?;
        let done = (200..300).contains(&reply.status) && !reply.body.is_empty();
        done.then(|| reply.json())
    }

    /// Their token.
    pub fn token(&self) -> &str {
        self.token.as_deref().unwrap_or("")
    }

    /// The same person with another token.
    pub fn with_token(&self, token: &str) -> Self {
        Self {
            token: Some(token.to_owned()),
            ..self.clone()
        }
    }

    /// The same person at another server.
    pub fn at_address(&self, address: SocketAddr) -> Self {
        Self {
            address,
            ..self.clone()
        }
    }

    /// Sends a request as it is, with their token.
    pub fn send(&self, mut request: Request) -> Reply {
        if let Some(token) = &self.token {
            request = request.header("Authorization", token);
        }
        exchange(self.address, &request)
    }

    /// GET.
    pub fn get(&self, path: &str) -> Reply {
        self.send(Request::new("GET", path))
    }

    /// POST of JSON.
    pub fn post(&self, path: &str, body: &Json) -> Reply {
        self.send(Request::new("POST", path).json(body))
    }

    /// PATCH of JSON.
    pub fn patch(&self, path: &str, body: &Json) -> Reply {
        self.send(Request::new("PATCH", path).json(body))
    }

    /// DELETE.
    pub fn delete(&self, path: &str) -> Reply {
        self.send(Request::new("DELETE", path))
    }

    /// Makes a record and gives it back.
    pub fn create(&self, collection: &str, body: &Json) -> Json {
        self.post(&format!("/api/collections/{collection}/records"), body)
            .ok()
    }
}
