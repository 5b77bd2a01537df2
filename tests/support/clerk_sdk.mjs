// Reads session tokens with Clerk's backend SDK: one from each line, and writes what it says about the organization.
import { readFileSync } from "node:fs";
import { verifyToken } from "@clerk/backend";
import { signedInAuthObject } from "@clerk/backend/internal";

const [jwtKey, ...tokens] = JSON.parse(readFileSync(0, "utf8"));
const read = [];
for (const token of tokens) {
  const claims = await verifyToken(token, { jwtKey });
  const { orgId, orgRole, orgSlug, orgPermissions } = signedInAuthObject({}, token, claims);
  read.push([orgId ?? null, orgRole ?? null, orgSlug ?? null, [...(orgPermissions ?? [])].sort()]);
}
process.stdout.write(JSON.stringify(read));
