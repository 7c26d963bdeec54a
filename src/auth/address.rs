//! From where superusers may come.

use std::net::IpAddr;

use ipnet::IpNet;

/// Whether a superuser may come from `address`: the list is of addresses and networks, an empty one allows all.
#[must_use]
pub fn superuser_address(allowed: &[String], address: IpAddr) -> bool {
    let address = address.to_canonical();
    allowed.is_empty()
        || allowed.iter().any(|entry| {
            entry
                .parse::<IpAddr>()
                .map(IpNet::from)
                .or_else(|_| entry.parse::<IpNet>())
                .is_ok_and(|network| network.contains(&address))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_networks_are_matched() {
        let list = |entries: &[&str]| entries.iter().map(|&e| e.to_owned()).collect::<Vec<_>>();
        let here: IpAddr = "10.1.2.3".parse().unwrap();
        assert!(superuser_address(&[], here));
        assert!(superuser_address(&list(&["10.1.2.3"]), here));
        assert!(superuser_address(&list(&["x", "10.1.0.0/16"]), here));
        assert!(!superuser_address(&list(&["10.2.0.0/16"]), here));
        let mapped: IpAddr = "::ffff:10.1.2.3".parse().unwrap();
        assert!(superuser_address(&list(&["10.1.2.3"]), mapped));
    }
}
