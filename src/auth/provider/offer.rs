//! What somebody needs to begin at a provider: the link, its state and the verifier that only they know. Nothing of it is
//! kept here: state and verifier are the client's to compare and to send.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Serialize;
use sha2::{Digest, Sha256};
use url::form_urlencoded;

use crate::kit::id;
use crate::schema::collection::OAuth2Provider;
use crate::schema::provider::provider;

/// Characters of a state.
const STATE_CHARS: usize = 30;
/// Characters of a code verifier: the least that RFC 7636 allows.
const VERIFIER_CHARS: usize = 43;

/// A provider to choose, in the order of the wire.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Offer {
    name: String,
    display_name: String,
    logo: String,
    state: String,
    #[serde(rename = "authURL")]
    auth_url: String,
    /// The same, for old clients.
    #[serde(rename = "authUrl")]
    auth_url_twin: String,
    code_verifier: String,
    code_challenge: String,
    code_challenge_method: &'static str,
}

impl Offer {
    /// A fresh offer of a configured provider; `None` for one that is not registered.
    #[must_use]
    pub fn of(config: &OAuth2Provider) -> Option<Self> {
        let entry = provider(&config.name)?;
        let state = id::random(STATE_CHARS, id::ALNUM).into_string();
        let (verifier, challenge) = if config.pkce.unwrap_or(entry.pkce) {
            let verifier = id::random(VERIFIER_CHARS, id::ALNUM).into_string();
            let challenge = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(&verifier));
            (verifier, challenge)
        } else {
            (String::new(), String::new())
        };
        let auth_url = link(config, &state, &challenge)?;
        let method = if challenge.is_empty() { "" } else { "S256" };
        let named = config.display_name.as_str();
        Some(Self {
            name: config.name.clone(),
            display_name: if named.is_empty() { entry.label } else { named }.to_owned(),
            logo: logo(entry.label),
            state,
            auth_url_twin: auth_url.clone(),
            auth_url,
            code_verifier: verifier,
            code_challenge: challenge,
            code_challenge_method: method,
        })
    }

    /// The same without its picture, as old clients get it.
    #[must_use]
    pub fn plain(&self) -> Self {
        Self {
            logo: String::new(),
            ..self.clone()
        }
    }
}

/// The link, its parameters in alphabetical order, open at its end for the URL to come back to.
fn link(config: &OAuth2Provider, state: &str, challenge: &str) -> Option<String> {
    let entry = provider(&config.name)?;
    let url = match config.auth_url.as_str() {
        "" => entry.auth_url,
        configured => configured,
    };
    let claims = entry.name == "microsoft" && config.extra.contains_key("idTokenEmailClaim");
    let mut scopes = entry.scopes.to_owned();
    if claims {
        scopes.push_str(" openid");
    }
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("client_id", &config.client_id);
    if !challenge.is_empty() {
        query.append_pair("code_challenge", challenge);
        query.append_pair("code_challenge_method", "S256");
    }
    if entry.name == "apple" {
        // Name and address come only by post.
        query.append_pair("response_mode", "form_post");
    }
    query.append_pair("response_type", "code");
    if !scopes.is_empty() {
        query.append_pair("scope", &scopes);
    }
    query.append_pair("state", state);
    let query = query.finish();
    let joint = if url.contains('?') { '&' } else { '?' };
    Some(format!("{url}{joint}{query}&redirect_uri="))
}

/// The first letter of a label in a circle: marks of other companies are not ours to carry.
#[must_use]
pub fn logo(label: &str) -> String {
    let letter: String = label.chars().take(1).flat_map(char::to_uppercase).collect();
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 32 32\"><circle cx=\"16\" cy=\"16\" r=\"15\" \
         fill=\"#e4e9ec\"/><text x=\"16\" y=\"21\" text-anchor=\"middle\" font-family=\"sans-serif\" \
         font-size=\"15\" fill=\"#3c4a52\">{letter}</text></svg>"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(name: &str) -> OAuth2Provider {
        OAuth2Provider {
            name: name.to_owned(),
            client_id: "a b".to_owned(),
            ..OAuth2Provider::default()
        }
    }

    #[test]
    fn the_challenge_is_that_of_the_rfc() {
        // RFC 7636, appendix B.
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        let challenge = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(verifier));
        assert_eq!(challenge, "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }

    #[test]
    fn links_are_those_of_the_contract() {
        for (provider, challenge, expected) in [
            (
                config("github"),
                "c",
                "https://github.com/login/oauth/authorize?client_id=a+b&code_challenge=c&code_challenge_method=S256\
                 &response_type=code&scope=read%3Auser+user%3Aemail&state=s&redirect_uri=",
            ),
            (
                config("apple"),
                "",
                "https://appleid.apple.com/auth/authorize?client_id=a+b&response_mode=form_post&response_type=code\
                 &scope=name+email&state=s&redirect_uri=",
            ),
            (
                config("oidc"),
                "",
                "?client_id=a+b&response_type=code&scope=openid+email+profile&state=s&redirect_uri=",
            ),
            (
                OAuth2Provider {
                    auth_url: "http://x/auth?y=1".to_owned(),
                    ..config("lark")
                },
                "",
                "http://x/auth?y=1&client_id=a+b&response_type=code&state=s&redirect_uri=",
            ),
        ] {
            assert_eq!(link(&provider, "s", challenge).unwrap(), expected);
        }
    }

    #[test]
    fn who_wants_no_proof_of_possession_gets_none() {
        let off = OAuth2Provider {
            pkce: Some(false),
            ..config("github")
        };
        for (config, proves) in [
            (config("github"), true),
            (off, false),
            (config("vk"), false),
        ] {
            let offer = Offer::of(&config).unwrap();
            assert_eq!(!offer.code_verifier.is_empty(), proves);
            assert_eq!(offer.auth_url.contains("code_challenge"), proves);
        }
        assert!(Offer::of(&config("nobody")).is_none());
    }
}
