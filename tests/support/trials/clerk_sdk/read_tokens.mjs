// Reads session tokens with Clerk's backend SDK in two ways, and writes what each says about the organization, or null
// for a token that it refuses.
import { readFileSync } from "node:fs";
import { createClerkClient, verifyToken } from "@clerk/backend";
import { signedInAuthObject } from "@clerk/backend/internal";

const { jwtKey, publishableKey, tokens } = JSON.parse(readFileSync(0, "utf8"));
const clerk = createClerkClient({ secretKey: "sk_live_0", publishableKey, jwtKey, telemetry: { disabled: true } });

function organization({ orgId, orgRole, orgSlug, orgPermissions }) {
  return [orgId ?? null, orgRole ?? null, orgSlug ?? null, [...(orgPermissions ?? [])].sort()];
}

async function verified(token) {
  try {
    return organization(signedInAuthObject({}, token, await verifyToken(token, { jwtKey })));
  } catch (error) {
    if (error.reason === undefined) throw error;
    return null;
  }
}

async function authenticated(token) {
  const request = new Request("https://app.example/", { headers: { Authorization: `Bearer ${token}` } });
  const state = await clerk.authenticateRequest(request);
  return state.isAuthenticated ? organization(state.toAuth()) : null;
}

const read = [];
for (const token of tokens) read.push([await verified(token), await authenticated(token)]);
process.stdout.write(JSON.stringify(read));
