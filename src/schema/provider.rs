//! The registered OAuth2 providers, in the order in which they are listed (contract-auth 2.14): where each is asked, and
//! where in its answer a person is found. Data alone; `auth::provider` does the asking.

/// A registered provider.
#[derive(Clone, Copy, Debug)]
pub struct Provider {
    /// Name in collections and links.
    pub name: &'static str,
    /// Label shown to people.
    pub label: &'static str,
    /// Whether a proof of possession of the code is sent, unless the collection says otherwise.
    pub pkce: bool,
    /// What is asked for, separated by blanks.
    pub scopes: &'static str,
    /// Where people are sent; empty where the collection must say.
    pub auth_url: &'static str,
    /// Where codes are changed for tokens; as above.
    pub token_url: &'static str,
    /// Where the person is asked for; as above.
    pub user_url: &'static str,
    /// Where the answer holds what.
    pub user: Paths,
}

/// Where the answer about a person holds what. Steps of a path are separated by dots, a number is a place in a list;
/// several paths separated by blanks are joined by blanks. An empty path leads nowhere.
#[derive(Clone, Copy, Debug)]
pub struct Paths {
    /// What all other paths start from.
    pub root: &'static str,
    /// The id, which never changes.
    pub id: &'static str,
    /// The display name.
    pub name: &'static str,
    /// The user name.
    pub username: &'static str,
    /// URL of a picture.
    pub avatar: &'static str,
    /// The address, and what says that it is proven.
    pub email: Email,
    /// A path and the text that it must hold, or the person may not sign in.
    pub active: Option<(&'static str, &'static str)>,
}

/// Where a proven address comes from. An address that the provider has not proven is as good as none.
#[derive(Clone, Copy, Debug)]
pub enum Email {
    /// The provider tells none.
    None,
    /// What it tells is proven.
    Trusted(&'static str),
    /// Proven if all flags are true.
    If {
        /// The address.
        path: &'static str,
        /// The flags.
        flags: &'static [&'static str],
    },
    /// Proven if there is the time since when.
    Dated {
        /// The address.
        path: &'static str,
        /// The time.
        since: &'static str,
    },
    /// The one with all flags in a list at `/emails` below the user's URL.
    Listed {
        /// The flags.
        flags: &'static [&'static str],
        /// Whether the person may refuse the list, and then has no address.
        may_be_refused: bool,
    },
    /// In the answer with the token.
    OfToken(&'static str),
    /// Gitee: in the answer, else in a list of its own form.
    Gitee,
    /// Microsoft: in the answer, or in claims that the collection chooses.
    Microsoft,
}

const PATHS: Paths = Paths {
    root: "",
    id: "id",
    name: "",
    username: "",
    avatar: "",
    email: Email::None,
    active: None,
};
const PLAIN: Provider = Provider {
    name: "",
    label: "",
    pkce: true,
    scopes: "",
    auth_url: "",
    token_url: "",
    user_url: "",
    user: PATHS,
};

/// Every provider.
pub static PROVIDERS: [Provider; 32] = [
    Provider {
        name: "apple",
        label: "Apple",
        scopes: "name email",
        auth_url: "https://appleid.apple.com/auth/authorize",
        token_url: "https://appleid.apple.com/auth/token",
        user: Paths {
            id: "sub",
            name: "name",
            email: Email::If {
                path: "email",
                flags: &["email_verified"],
            },
            ..PATHS
        },
        ..PLAIN
    },
    Provider {
        name: "google",
        label: "Google",
        scopes: "https://www.googleapis.com/auth/userinfo.profile https://www.googleapis.com/auth/userinfo.email",
        auth_url: "https://accounts.google.com/o/oauth2/v2/auth",
        token_url: "https://oauth2.googleapis.com/token",
        user_url: "https://www.googleapis.com/oauth2/v3/userinfo",
        user: Paths {
            id: "sub",
            name: "name",
            avatar: "picture",
            email: Email::If {
                path: "email",
                flags: &["email_verified"],
            },
            ..PATHS
        },
        ..PLAIN
    },
    Provider {
        name: "microsoft",
        label: "Microsoft",
        scopes: "User.Read",
        auth_url: "https://login.microsoftonline.com/common/oauth2/v2.0/authorize",
        token_url: "https://login.microsoftonline.com/common/oauth2/v2.0/token",
        user_url: "https://graph.microsoft.com/v1.0/me",
        user: Paths {
            id: "id",
            name: "displayName",
            email: Email::Microsoft,
            ..PATHS
        },
        ..PLAIN
    },
    Provider {
        name: "yandex",
        label: "Yandex",
        scopes: "login:email login:avatar login:info",
        auth_url: "https://oauth.yandex.com/authorize",
        token_url: "https://oauth.yandex.com/token",
        user_url: "https://login.yandex.ru/info",
        user: Paths {
            id: "id",
            name: "real_name",
            username: "login",
            email: Email::Trusted("default_email"),
            ..PATHS
        },
        ..PLAIN
    },
    Provider {
        name: "facebook",
        label: "Facebook",
        scopes: "email",
        auth_url: "https://www.facebook.com/v3.2/dialog/oauth",
        token_url: "https://graph.facebook.com/v3.2/oauth/access_token",
        user_url: "https://graph.facebook.com/me?fields=name,email,picture.type(large)",
        user: Paths {
            id: "id",
            name: "name",
            avatar: "picture.data.url",
            email: Email::Trusted("email"),
            ..PATHS
        },
        ..PLAIN
    },
    Provider {
        name: "instagram2",
        label: "Instagram",
        scopes: "instagram_business_basic",
        auth_url: "https://www.instagram.com/oauth/authorize",
        token_url: "https://api.instagram.com/oauth/access_token",
        user_url: "https://graph.instagram.com/me?fields=id,username,account_type,user_id,name,profile_picture_url,followers_count,follows_count,media_count",
        user: Paths {
            id: "user_id",
            name: "name",
            username: "username",
            avatar: "profile_picture_url",
            email: Email::None,
            ..PATHS
        },
        ..PLAIN
    },
    Provider {
        name: "github",
        label: "GitHub",
        scopes: "read:user user:email",
        auth_url: "https://github.com/login/oauth/authorize",
        token_url: "https://github.com/login/oauth/access_token",
        user_url: "https://api.github.com/user",
        user: Paths {
            id: "id",
            name: "name",
            username: "login",
            avatar: "avatar_url",
            email: Email::Listed {
                flags: &["verified", "primary"],
                may_be_refused: true,
            },
            ..PATHS
        },
        ..PLAIN
    },
    Provider {
        name: "gitlab",
        label: "GitLab",
        scopes: "read_user",
        auth_url: "https://gitlab.com/oauth/authorize",
        token_url: "https://gitlab.com/oauth/token",
        user_url: "https://gitlab.com/api/v4/user",
        user: Paths {
            id: "id",
            name: "name",
            username: "username",
            avatar: "avatar_url",
            email: Email::Dated {
                path: "email",
                since: "confirmed_at",
            },
            ..PATHS
        },
        ..PLAIN
    },
    Provider {
        name: "bitbucket",
        label: "Bitbucket",
        pkce: false,
        scopes: "account",
        auth_url: "https://bitbucket.org/site/oauth2/authorize",
        token_url: "https://bitbucket.org/site/oauth2/access_token",
        user_url: "https://api.bitbucket.org/2.0/user",
        user: Paths {
            id: "uuid",
            name: "display_name",
            username: "username",
            avatar: "links.avatar.href",
            email: Email::Listed {
                flags: &["is_primary", "is_confirmed"],
                may_be_refused: false,
            },
            active: Some(("account_status", "active")),
            ..PATHS
        },
    },
    Provider {
        name: "gitee",
        label: "Gitee",
        scopes: "user_info emails",
        auth_url: "https://gitee.com/oauth/authorize",
        token_url: "https://gitee.com/oauth/token",
        user_url: "https://gitee.com/api/v5/user",
        user: Paths {
            id: "id",
            name: "name",
            username: "login",
            avatar: "avatar_url",
            email: Email::Gitee,
            ..PATHS
        },
        ..PLAIN
    },
    Provider {
        name: "gitea",
        label: "Gitea/Forgejo",
        scopes: "read:user user:email",
        auth_url: "https://gitea.com/login/oauth/authorize",
        token_url: "https://gitea.com/login/oauth/access_token",
        user_url: "https://gitea.com/api/v1/user",
        user: Paths {
            id: "id",
            name: "full_name",
            username: "login",
            avatar: "avatar_url",
            email: Email::Listed {
                flags: &["verified", "primary"],
                may_be_refused: false,
            },
            active: Some(("active", "true")),
            ..PATHS
        },
        ..PLAIN
    },
    Provider {
        name: "discord",
        label: "Discord",
        scopes: "identify email",
        auth_url: "https://discord.com/api/oauth2/authorize",
        token_url: "https://discord.com/api/oauth2/token",
        user_url: "https://discord.com/api/users/@me",
        user: Paths {
            id: "id",
            name: "global_name",
            username: "username",
            email: Email::If {
                path: "email",
                flags: &["verified"],
            },
            ..PATHS
        },
        ..PLAIN
    },
    Provider {
        name: "twitter",
        label: "X/Twitter",
        scopes: "users.read users.email tweet.read",
        auth_url: "https://x.com/i/oauth2/authorize",
        token_url: "https://api.x.com/2/oauth2/token",
        user_url: "https://api.x.com/2/users/me?user.fields=id,name,username,profile_image_url,confirmed_email",
        user: Paths {
            root: "data",
            id: "id",
            name: "name",
            username: "username",
            avatar: "profile_image_url",
            email: Email::Trusted("confirmed_email"),
            ..PATHS
        },
        ..PLAIN
    },
    Provider {
        name: "kakao",
        label: "Kakao",
        scopes: "account_email profile_nickname profile_image",
        auth_url: "https://kauth.kakao.com/oauth/authorize",
        token_url: "https://kauth.kakao.com/oauth/token",
        user_url: "https://kapi.kakao.com/v2/user/me",
        user: Paths {
            id: "id",
            username: "properties.nickname",
            avatar: "properties.profile_image",
            email: Email::If {
                path: "kakao_account.email",
                flags: &[
                    "kakao_account.is_email_valid",
                    "kakao_account.is_email_verified",
                ],
            },
            ..PATHS
        },
        ..PLAIN
    },
    Provider {
        name: "vk",
        label: "\u{412}\u{41a}\u{43e}\u{43d}\u{442}\u{430}\u{43a}\u{442}\u{435}",
        pkce: false,
        scopes: "email",
        auth_url: "https://oauth.vk.com/authorize",
        token_url: "https://oauth.vk.com/access_token",
        user_url: "https://api.vk.com/method/users.get?fields=photo_max,screen_name&v=5.131",
        user: Paths {
            root: "response.0",
            id: "id",
            name: "first_name last_name",
            username: "screen_name",
            avatar: "photo_max",
            email: Email::OfToken("email"),
            ..PATHS
        },
    },
    Provider {
        name: "linear",
        label: "Linear",
        pkce: false,
        scopes: "read",
        auth_url: "https://linear.app/oauth/authorize",
        token_url: "https://api.linear.app/oauth/token",
        user_url: "https://api.linear.app/graphql",
        user: Paths {
            root: "data.viewer",
            id: "id",
            name: "name",
            username: "displayName",
            avatar: "avatarUrl",
            email: Email::Trusted("email"),
            active: Some(("active", "true")),
        },
    },
    Provider {
        name: "notion",
        label: "Notion",
        auth_url: "https://api.notion.com/v1/oauth/authorize",
        token_url: "https://api.notion.com/v1/oauth/token",
        user_url: "https://api.notion.com/v1/users/me",
        user: Paths {
            root: "bot.owner.user",
            id: "id",
            name: "name",
            avatar: "avatar_url",
            email: Email::Trusted("person.email"),
            ..PATHS
        },
        ..PLAIN
    },
    Provider {
        name: "monday",
        label: "monday.com",
        scopes: "me:read",
        auth_url: "https://auth.monday.com/oauth2/authorize",
        token_url: "https://auth.monday.com/oauth2/token",
        user_url: "https://api.monday.com/v2",
        user: Paths {
            root: "data.me",
            id: "id",
            name: "name",
            avatar: "photo_small",
            email: Email::If {
                path: "email",
                flags: &["is_verified"],
            },
            active: Some(("enabled", "true")),
            ..PATHS
        },
        ..PLAIN
    },
    Provider {
        name: "lark",
        label: "Lark",
        auth_url: "https://accounts.feishu.cn/open-apis/authen/v1/authorize",
        token_url: "https://open.feishu.cn/open-apis/authen/v2/oauth/token",
        user_url: "https://open.feishu.cn/open-apis/authen/v1/user_info",
        user: Paths {
            root: "data",
            id: "union_id",
            name: "name",
            avatar: "avatar_url",
            email: Email::None,
            ..PATHS
        },
        ..PLAIN
    },
    Provider {
        name: "box",
        label: "Box",
        scopes: "root_readonly",
        auth_url: "https://account.box.com/api/oauth2/authorize",
        token_url: "https://api.box.com/oauth2/token",
        user_url: "https://api.box.com/2.0/users/me",
        user: Paths {
            id: "id",
            name: "name",
            avatar: "avatar_url",
            email: Email::Trusted("login"),
            active: Some(("status", "active")),
            ..PATHS
        },
        ..PLAIN
    },
    Provider {
        name: "spotify",
        label: "Spotify",
        scopes: "user-read-private",
        auth_url: "https://accounts.spotify.com/authorize",
        token_url: "https://accounts.spotify.com/api/token",
        user_url: "https://api.spotify.com/v1/me",
        user: Paths {
            id: "id",
            name: "display_name",
            avatar: "images.0.url",
            email: Email::None,
            ..PATHS
        },
        ..PLAIN
    },
    Provider {
        name: "trakt",
        label: "Trakt",
        auth_url: "https://trakt.tv/oauth/authorize",
        token_url: "https://api.trakt.tv/oauth/token",
        user_url: "https://api.trakt.tv/users/settings",
        user: Paths {
            root: "user",
            id: "ids.uuid",
            name: "name",
            username: "username",
            avatar: "images.avatar.full",
            email: Email::None,
            ..PATHS
        },
        ..PLAIN
    },
    Provider {
        name: "twitch",
        label: "Twitch",
        scopes: "user:read:email",
        auth_url: "https://id.twitch.tv/oauth2/authorize",
        token_url: "https://id.twitch.tv/oauth2/token",
        user_url: "https://api.twitch.tv/helix/users",
        user: Paths {
            root: "data.0",
            id: "id",
            name: "display_name",
            username: "login",
            avatar: "profile_image_url",
            email: Email::Trusted("email"),
            ..PATHS
        },
        ..PLAIN
    },
    Provider {
        name: "patreon",
        label: "Patreon",
        scopes: "identity identity[email]",
        auth_url: "https://www.patreon.com/oauth2/authorize",
        token_url: "https://www.patreon.com/api/oauth2/token",
        user_url: "https://www.patreon.com/api/oauth2/v2/identity?fields%5Buser%5D=full_name,email,vanity,image_url,is_email_verified",
        user: Paths {
            root: "data",
            id: "id",
            name: "attributes.full_name",
            username: "attributes.vanity",
            avatar: "attributes.image_url",
            email: Email::If {
                path: "attributes.email",
                flags: &["attributes.is_email_verified"],
            },
            ..PATHS
        },
        ..PLAIN
    },
    Provider {
        name: "strava",
        label: "Strava",
        scopes: "profile:read_all",
        auth_url: "https://www.strava.com/oauth/authorize",
        token_url: "https://www.strava.com/api/v3/oauth/token",
        user_url: "https://www.strava.com/api/v3/athlete",
        user: Paths {
            id: "id",
            name: "firstname lastname",
            username: "username",
            avatar: "profile",
            email: Email::None,
            ..PATHS
        },
        ..PLAIN
    },
    Provider {
        name: "wakatime",
        label: "WakaTime",
        scopes: "email",
        auth_url: "https://wakatime.com/oauth/authorize",
        token_url: "https://wakatime.com/oauth/token",
        user_url: "https://wakatime.com/api/v1/users/current",
        user: Paths {
            root: "data",
            id: "id",
            name: "display_name",
            username: "username",
            email: Email::If {
                path: "email",
                flags: &["is_email_confirmed"],
            },
            ..PATHS
        },
        ..PLAIN
    },
    Provider {
        name: "livechat",
        label: "LiveChat",
        auth_url: "https://accounts.livechat.com/",
        token_url: "https://accounts.livechat.com/token",
        user_url: "https://accounts.livechat.com/v2/accounts/me",
        user: Paths {
            id: "account_id",
            name: "name",
            avatar: "avatar_url",
            email: Email::If {
                path: "email",
                flags: &["email_verified"],
            },
            ..PATHS
        },
        ..PLAIN
    },
    Provider {
        name: "mailcow",
        label: "mailcow",
        scopes: "profile",
        user: Paths {
            id: "id",
            name: "full_name",
            email: Email::Trusted("email"),
            active: Some(("active", "1")),
            ..PATHS
        },
        ..PLAIN
    },
    Provider {
        name: "planningcenter",
        label: "Planning Center",
        scopes: "people",
        auth_url: "https://api.planningcenteronline.com/oauth/authorize",
        token_url: "https://api.planningcenteronline.com/oauth/token",
        user_url: "https://api.planningcenteronline.com/people/v2/me",
        user: Paths {
            root: "data",
            id: "id",
            name: "attributes.name",
            avatar: "attributes.avatar",
            email: Email::None,
            active: Some(("attributes.status", "active")),
            ..PATHS
        },
        ..PLAIN
    },
    Provider {
        name: "oidc",
        label: "OIDC",
        scopes: "openid email profile",
        user: Paths {
            id: "sub",
            name: "name",
            username: "preferred_username",
            avatar: "picture",
            email: Email::If {
                path: "email",
                flags: &["email_verified"],
            },
            ..PATHS
        },
        ..PLAIN
    },
    Provider {
        name: "oidc2",
        label: "OIDC",
        scopes: "openid email profile",
        user: Paths {
            id: "sub",
            name: "name",
            username: "preferred_username",
            avatar: "picture",
            email: Email::If {
                path: "email",
                flags: &["email_verified"],
            },
            ..PATHS
        },
        ..PLAIN
    },
    Provider {
        name: "oidc3",
        label: "OIDC",
        scopes: "openid email profile",
        user: Paths {
            id: "sub",
            name: "name",
            username: "preferred_username",
            avatar: "picture",
            email: Email::If {
                path: "email",
                flags: &["email_verified"],
            },
            ..PATHS
        },
        ..PLAIN
    },
];

/// The provider of this name.
#[must_use]
pub fn provider(name: &str) -> Option<&'static Provider> {
    PROVIDERS.iter().find(|known| known.name == name)
}

/// Whether a provider of this name is registered.
#[must_use]
pub fn is_provider(name: &str) -> bool {
    provider(name).is_some()
}
