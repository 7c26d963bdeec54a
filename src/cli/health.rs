//! `health`: asks a running server whether it is well, for containers that hold no other program.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use axum::http::{HeaderMap, Method};
use bytes::Bytes;
use url::Url;

use super::console::{Console, Failure};
use super::run::small_runtime;
use crate::config::Health;
use crate::outbound::{Ask, Outbound, Reach};

/// Runs the command; it fails unless the server answers that it is well.
pub(super) fn health(console: Console, flags: &Health) -> Result<(), Failure> {
    let url = match &flags.url {
        Some(url) => url.clone(),
        None => format!("http://{}/api/health", reachable(&flags.http)),
    };
    let asked = Url::parse(&url)
        .map_err(|error| Failure::message(format!("{url} is not a URL: {error}")))?;
    let ask = Ask {
        method: Method::GET,
        url: asked,
        headers: HeaderMap::new(),
        body: Bytes::new(),
        reach: Reach::Anywhere,
        timeout: Duration::from_secs(flags.timeout.max(1)),
        answer_bytes_max: 64 << 10,
    };
    let reply = small_runtime()?
        .block_on(Outbound::new(Vec::new()).send(ask))
        .map_err(|error| Failure::message(format!("{url}: {error}")))?;
    let status = reply.status.as_u16();
    if !reply.status.is_success() {
        return Err(Failure::message(format!("{url} answered {status}")));
    }
    console.say(
        &format!("{url} is well"),
        &[("url", url.as_str().into()), ("status", status.into())],
    );
    Ok(())
}

/// Where a server that listens at `address` can be asked on this machine: one that listens everywhere, on loopback.
fn reachable(address: &str) -> String {
    let Ok(parsed) = address.parse::<SocketAddr>() else {
        return address.to_owned();
    };
    let ip = match parsed.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, parsed.port()).to_string()
}
