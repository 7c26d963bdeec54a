//! What collections of older directories become when a newer program opens them. Pure.

use md5::{Digest, Md5};

use super::collection::{Collection, Kind};
use super::templates;

/// Digest of the alert that PocketBase 0.23 to 0.32 gave to new collections; whoever wrote another keeps it.
const OLD_ALERT: [u8; 16] = [
    0x02, 0x5c, 0x78, 0x75, 0x19, 0x6d, 0x1f, 0x15, 0x51, 0xbc, 0xfd, 0x49, 0x20, 0xd2, 0xe2, 0x0b,
];

/// The collection with the alert of today, which says where a sign-in came from, in the place of the old default.
#[must_use]
pub fn with_present_alert(collection: &Collection) -> Collection {
    let mut upgraded = collection.clone();
    if let Kind::Auth(options) = &mut upgraded.kind {
        let body = &mut options.auth_alert.email_template.body;
        if <[u8; 16]>::from(Md5::digest(body.as_bytes())) == OLD_ALERT {
            *body = templates::auth_alert().body;
        }
    }
    upgraded
}
