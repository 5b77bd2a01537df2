// oauth4webapi: an app without a secret that registers itself, and pushes its authorization requests.
import * as oauth from "oauth4webapi";
import { api, redirect, report, visit } from "./person.mjs";

const options = { [oauth.allowInsecureRequests]: true };
const resource = new URL(api);
const described = await oauth.processResourceDiscoveryResponse(
  resource,
  await oauth.resourceDiscoveryRequest(resource, options),
);
const issuer = new URL(described.authorization_servers[0]);
const server = await oauth.processDiscoveryResponse(
  issuer,
  await oauth.discoveryRequest(issuer, { algorithm: "oauth2", ...options }),
);
const registered = await oauth.processDynamicClientRegistrationResponse(
  await oauth.dynamicClientRegistrationRequest(
    server,
    { client_name: "oauth4webapi", redirect_uris: [redirect], token_endpoint_auth_method: "none" },
    options,
  ),
);
const client = { client_id: registered.client_id };
const own = oauth.None();

async function authorize(scope) {
  const verifier = oauth.generateRandomCodeVerifier();
  const state = oauth.generateRandomState();
  const pushed = await oauth.processPushedAuthorizationResponse(
    server,
    client,
    await oauth.pushedAuthorizationRequest(
      server,
      client,
      own,
      {
        response_type: "code",
        redirect_uri: redirect,
        scope,
        state,
        code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
        code_challenge_method: "S256",
      },
      options,
    ),
  );
  const address = new URL(server.authorization_endpoint);
  address.searchParams.set("client_id", client.client_id);
  address.searchParams.set("request_uri", pushed.request_uri);
  const answer = oauth.validateAuthResponse(server, client, await visit(address), state);
  const response = await oauth.authorizationCodeGrantRequest(server, client, own, answer, redirect, verifier, options);
  return oauth.processAuthorizationCodeResponse(server, client, response);
}

async function call(token, method, path, body) {
  const headers = new Headers(body ? { "content-type": "application/json" } : {});
  const sent = body ? JSON.stringify(body) : null;
  try {
    const response = await oauth.protectedResourceRequest(token, method, new URL(api + path), headers, sent, options);
    return { status: response.status };
  } catch (error) {
    if (!(error instanceof oauth.WWWAuthenticateChallengeError)) throw error;
    const { error: code, error_description: description, scope } = error.cause[0].parameters;
    return { status: error.status, code, description, scope };
  }
}

const first = await authorize("catalog:read");
const read = await call(first.access_token, "GET", "/api/v1/teams/");
const second = await oauth.processRefreshTokenResponse(
  server,
  client,
  await oauth.refreshTokenGrantRequest(server, client, own, first.refresh_token, options),
);
const again = await call(second.access_token, "GET", "/api/v1/teams/");
const lacking = await call(second.access_token, "POST", "/api/v1/tags/", { name: "from oauth4webapi" });
const third = await authorize(`${second.scope} ${lacking.scope}`);
const written = await call(third.access_token, "POST", "/api/v1/tags/", { name: "from oauth4webapi" });
await oauth.processRevocationResponse(
  await oauth.revocationRequest(server, client, own, third.refresh_token, options),
);
const revoked = await call(third.access_token, "GET", "/api/v1/teams/");
const rotated = [first, second].map((tokens) => [tokens.access_token, tokens.refresh_token]);
report({ read, again, lacking, written, revoked, rotated, scopes: [first.scope, second.scope, third.scope] });
