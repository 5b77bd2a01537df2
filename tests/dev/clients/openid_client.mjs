// openid-client: an app with a secret that registers itself, and authenticates with HTTP Basic.
import * as oidc from "openid-client";
import { api, redirect, report, visit } from "./person.mjs";

const config = await oidc.dynamicClientRegistration(
  new URL(api),
  { client_name: "openid-client", redirect_uris: [redirect], token_endpoint_auth_method: "client_secret_basic" },
  undefined,
  { algorithm: "oauth2", execute: [oidc.allowInsecureRequests] },
);

async function authorize(scope) {
  const verifier = oidc.randomPKCECodeVerifier();
  const state = oidc.randomState();
  const address = oidc.buildAuthorizationUrl(config, {
    redirect_uri: redirect,
    scope,
    state,
    resource: api,
    code_challenge: await oidc.calculatePKCECodeChallenge(verifier),
    code_challenge_method: "S256",
  });
  const back = await visit(address);
  return oidc.authorizationCodeGrant(config, back, { pkceCodeVerifier: verifier, expectedState: state }, { resource: api });
}

async function call(token, method, path, body) {
  const headers = new Headers(body ? { "content-type": "application/json" } : {});
  const sent = body ? JSON.stringify(body) : null;
  try {
    const response = await oidc.fetchProtectedResource(config, token, new URL(api + path), method, sent, headers);
    return { status: response.status };
  } catch (error) {
    if (!(error instanceof oidc.WWWAuthenticateChallengeError)) throw error;
    const { error: code, error_description: description, scope } = error.cause[0].parameters;
    return { status: error.status, code, description, scope };
  }
}

const first = await authorize("catalog:read");
const read = await call(first.access_token, "GET", "/api/v1/teams/");
const second = await oidc.refreshTokenGrant(config, first.refresh_token, { resource: api });
const again = await call(second.access_token, "GET", "/api/v1/teams/");
const lacking = await call(second.access_token, "POST", "/api/v1/tags/", { name: "from openid-client" });
const third = await authorize(`${second.scope} ${lacking.scope}`);
const written = await call(third.access_token, "POST", "/api/v1/tags/", { name: "from openid-client" });
await oidc.tokenRevocation(config, third.refresh_token);
const revoked = await call(third.access_token, "GET", "/api/v1/teams/");
const rotated = [first, second].map((tokens) => [tokens.access_token, tokens.refresh_token ?? first.refresh_token]);
report({ read, again, lacking, written, revoked, rotated, scopes: [first.scope, second.scope, third.scope] });
