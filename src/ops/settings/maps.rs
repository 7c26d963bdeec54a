//! Burrow's own group `maps`: where the dashboard may fetch the pictures of its maps from.

use serde::{Deserialize, Serialize};
use url::Url;

use crate::schema::{FieldError, FieldErrors};

/// Bytes of an address.
const ADDRESS_BYTES: usize = 500;

/// Pictures of maps in the dashboard.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Maps {
    /// Address of a tile, with `{z}`, `{x}` and `{y}` in it; empty for the outline that comes with the dashboard.
    pub tiles: String,
}

impl Maps {
    /// The origin that tiles come from: the only one but ours that the dashboard may show pictures of.
    #[must_use]
    pub fn origin(&self) -> Option<String> {
        let url = Url::parse(&self.tiles).ok()?;
        let host = url.host_str()?;
        // What stands in a policy must not be able to say anything else.
        let plain = |c: char| c.is_ascii_alphanumeric() || "-.:[]".contains(c);
        let good = matches!(url.scheme(), "https" | "http") && host.chars().all(plain);
        good.then(|| url.origin().ascii_serialization())
    }
}

/// Everything that is wrong with the group.
pub(super) fn errors(group: &Maps) -> FieldErrors {
    let text = group.tiles.as_str();
    let placed = ["{z}", "{x}", "{y}"]
        .iter()
        .all(|part| text.matches(part).count() == 1);
    // Before the path there may be no placeholder: then the origin is known.
    let before = text.find('{').unwrap_or(0);
    let in_path = text
        .splitn(4, '/')
        .take(3)
        .map(|part| part.len() + 1)
        .sum::<usize>()
        <= before;
    let good = placed && in_path && text.len() <= ADDRESS_BYTES && group.origin().is_some();
    if text.is_empty() || good {
        return FieldErrors::new();
    }
    FieldErrors::one(
        "tiles",
        FieldError::new(
            "validation_invalid_tiles",
            "Must be an address such as https://tiles.example.com/{z}/{x}/{y}.png.",
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(tiles: &str) -> bool {
        let tiles = tiles.to_owned();
        !errors(&Maps { tiles }).is_empty()
    }

    #[test]
    fn addresses_have_their_three_places_behind_a_plain_origin() {
        for good in [
            "",
            "https://tiles.example.com/{z}/{x}/{y}.png",
            "http://127.0.0.1:8081/t/{z}/{y}/{x}@2x.webp?key=a",
        ] {
            assert!(!wrong(good), "{good}");
        }
        for bad in [
            "tiles",
            "https://tiles.example.com/{z}/{x}.png",
            "https://{x}.example.com/{z}/{x}/{y}.png",
            "https://{x}.example.com/{z}/{y}.png",
            "ftp://tiles.example.com/{z}/{x}/{y}.png",
            "data:image/png;{z}{x}{y}",
            "javascript:{z}{x}{y}",
            "https://a.example;script-src/{z}/{x}/{y}",
            "https://a.example *;/{z}/{x}/{y}",
        ] {
            assert!(wrong(bad), "{bad}");
        }
    }

    #[test]
    fn the_origin_is_what_a_policy_can_hold() {
        let of = |tiles: &str| {
            Maps {
                tiles: tiles.to_owned(),
            }
            .origin()
        };
        assert_eq!(
            of("https://tiles.example.com:8443/{z}/{x}/{y}").as_deref(),
            Some("https://tiles.example.com:8443")
        );
        assert_eq!(of(""), None);
        assert_eq!(of("https://a.example'none'/{z}/{x}/{y}"), None);
    }
}
