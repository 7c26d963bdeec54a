// An OpenID provider on loopback (npm `oidc-provider`) with people who can be sent to it, and a browser without a screen.

import { after } from "node:test";
import { createServer } from "node:http";
import { Provider } from "oidc-provider";

const CLIENT = { id: "burrow-tests", secret: "a secret of the provider" };

/** Starts a provider. `people` maps an account id to its claims; whoever comes is `provider.visitor`. */
export async function openProvider(people) {
  const server = createServer();
  await new Promise((resolve, reject) => server.once("error", reject).listen(0, "127.0.0.1", resolve));
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const state = { issuer, visitor: undefined, redirects: new Set() };
  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: CLIENT.id,
        client_secret: CLIENT.secret,
        // Any of our test servers: they stand on ports of their own.
        redirect_uris: ["http://127.0.0.1/api/oauth2-redirect"],
        application_type: "native",
        response_types: ["code"],
        grant_types: ["authorization_code"],
      },
    ],
    claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["name", "preferred_username", "picture"] },
    conformIdTokenClaims: false,
    pkce: { required: () => true },
    features: { devInteractions: { enabled: false } },
    cookies: { keys: ["only for tests"] },
    findAccount: (_, sub) => ({ accountId: sub, claims: () => ({ sub, ...people[sub] }) }),
    loadExistingGrant: async (ctx) => {
      const grant = new ctx.oidc.provider.Grant({
        clientId: ctx.oidc.client.clientId,
        accountId: ctx.oidc.session.accountId,
      });
      grant.addOIDCScope("openid email profile");
      await grant.save();
      return grant;
    },
    interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
  });
  const answer = provider.callback();
  server.on("request", async (request, response) => {
    if (!request.url.startsWith("/interaction/")) return answer(request, response);
    // Whoever comes signs in at once, or turns back.
    const result = state.visitor
      ? { login: { accountId: state.visitor }, consent: {} }
      : { error: "access_denied", error_description: "the person turned back" };
    await provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false });
  });
  after(() => new Promise((resolve) => (server.closeAllConnections(), server.close(resolve))));
  return Object.assign(state, {
    /** The provider as a collection configures it; without `userinfo` the signed statement counts. */
    config: ({ name = "oidc", userinfo = true, ...rest } = {}) => ({
      name,
      clientId: CLIENT.id,
      clientSecret: CLIENT.secret,
      authURL: `${issuer}/auth`,
      tokenURL: `${issuer}/token`,
      userInfoURL: userinfo ? `${issuer}/me` : "",
      extra: userinfo ? {} : { jwksURL: `${issuer}/jwks`, issuers: [issuer] },
      ...rest,
    }),
  });
}

/** Follows a link from page to page with cookies, until `stop` says so; gives the URL it stopped before. */
export async function browse(url, stop = () => false) {
  const cookies = new Map();
  let next = new URL(url);
  for (let hops = 0; hops < 20; hops++) {
    if (stop(next)) return next;
    const response = await fetch(next, {
      redirect: "manual",
      headers: { cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join("; ") },
    });
    for (const line of response.headers.getSetCookie()) {
      const [name, ...value] = line.split(";")[0].split("=");
      cookies.set(name, value.join("="));
    }
    const location = response.headers.get("location");
    if (!location) throw new Error(`${response.status} at ${next}: ${await response.text()}`);
    next = new URL(location, next);
    if (next.hash) return next;
  }
  throw new Error(`${url} leads nowhere`);
}
