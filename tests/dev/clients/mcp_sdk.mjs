// The official TypeScript SDK of MCP: version 1 as a client that registers itself, version 2 as one with a document.
import { document, mcp, redirect, report, visit } from "./person.mjs";

const isSecond = process.argv[2] === "2";
const { auth, Client, extractWWWAuthenticateParams, StreamableHTTPClientTransport, UnauthorizedError } = isSecond
  ? await import("@modelcontextprotocol/client")
  : {
      ...(await import("@modelcontextprotocol/sdk/client/auth.js")),
      ...(await import("@modelcontextprotocol/sdk/client/index.js")),
      ...(await import("@modelcontextprotocol/sdk/client/streamableHttp.js")),
    };
const url = new URL(mcp);
const issued = [];
const asked = [];
let client_information, verifier, discovered, back, challenge;
let isSteppingUp = false;
let isForgotten = false;
const invalidated = [];

const provider = {
  redirectUrl: redirect,
  clientMetadataUrl: isSecond ? document : undefined,
  clientMetadata: { client_name: "TypeScript SDK", redirect_uris: [redirect], token_endpoint_auth_method: "none" },
  state: () => "a state",
  clientInformation: () => client_information,
  saveClientInformation: (information) => (client_information = information),
  tokens: () => (isSteppingUp || isForgotten ? undefined : issued.at(-1)),
  saveTokens: (tokens) => {
    issued.push(tokens);
    isForgotten = false;
  },
  invalidateCredentials: (which) => {
    invalidated.push(which);
    isForgotten = true;
    if (which !== "tokens") client_information = undefined;
  },
  redirectToAuthorization: async (address) => {
    asked.push(address.searchParams);
    back = await visit(address);
  },
  saveCodeVerifier: (value) => (verifier = value),
  codeVerifier: () => verifier,
  saveDiscoveryState: (state) => (discovered = state),
  discoveryState: () => discovered,
};

async function noting(input, init) {
  const response = await fetch(input, init);
  if (response.status === 403) challenge = extractWWWAuthenticateParams(response);
  return response;
}

/** Ask the person for the scopes of the last challenge as well: version 1 itself only refreshes a token that lacks one. */
async function stepUp() {
  const scope = `${issued.at(-1).scope} ${challenge.scope}`;
  const options = { serverUrl: url, resourceMetadataUrl: challenge.resourceMetadataUrl, scope };
  isSteppingUp = true;
  await auth(provider, options);
  await auth(provider, { ...options, authorizationCode: back.searchParams.get("code") });
  isSteppingUp = false;
}

/** Act with a new connection, and again if the person had to be asked. */
async function connected(act) {
  const transport = new StreamableHTTPClientTransport(url, { authProvider: provider, fetch: noting });
  const client = new Client({ name: "tests", version: "1" });
  try {
    await client.connect(transport);
    return await act(client);
  } catch (error) {
    if (error instanceof UnauthorizedError)
      await transport.finishAuth(isSecond ? back.searchParams : back.searchParams.get("code"));
    else if (!isSecond && error.code === 403) await stepUp();
    else throw error;
  } finally {
    await client.close();
  }
  return connected(act);
}

const text = async (client, name, args = {}) => (await client.callTool({ name, arguments: args })).content[0].text;
const tools = await connected(async (client) => (await client.listTools()).tools.map((tool) => tool.name));
const read = await connected((client) => text(client, "list_teams", { conference: "AFC" }));
// An access token that ended: the SDK refreshes.
const first = issued.at(-1);
issued.push({ ...first, access_token: first.access_token.replace(/.{4}$/, "0000") });
const again = await connected((client) => text(client, "list_tags"));
const second = issued.at(-1);
const written = await connected((client) => text(client, "add_tag", { name: `from the TypeScript SDK ${isSecond ? 2 : 1}` }));
const third = issued.at(-1);
const { client_id } = client_information;
const scopes = asked.map((parameters) => parameters.get("scope"));
const server = discovered.authorizationServerMetadata;
const form = new URLSearchParams({ token: third.refresh_token, client_id });
await fetch(server.revocation_endpoint, { method: "POST", body: form });
const revoked = await fetch(url, { method: "POST", headers: { authorization: `Bearer ${third.access_token}` } });
if (!isSecond) {
  // An app that registered itself and was removed: the SDK registers again.
  client_information = { ...client_information, client_id: `app_${"0".repeat(24)}` };
  await connected((client) => text(client, "list_teams"));
}
report({
  tools,
  read,
  again,
  written,
  revoked: { status: revoked.status, description: (await revoked.json()).detail },
  rotated: [first, second].map((tokens) => [tokens.access_token, tokens.refresh_token]),
  scopes,
  resources: asked.map((parameters) => parameters.get("resource")),
  client_id,
  again_id: client_information.client_id,
  invalidated,
});
