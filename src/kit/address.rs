//! Addresses of clients.

use std::net::IpAddr;

/// One client: an IPv4 address, or the /64 that one household or machine has of IPv6.
#[must_use]
pub fn network_of(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => {
            let bits = u128::from(v6) >> 64 << 64;
            IpAddr::V6(bits.into())
        }
    }
}
