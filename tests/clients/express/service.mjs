// A service of Express, behind the middleware for it.
import { createRequire } from "node:module";

const [packages, clients, port] = process.argv.slice(2);
const express = createRequire(`${packages}/`)("express");
const { DecisionPoint } = await import(`${clients}/authzen.ts`);
const { authorization } = await import(`${clients}/express.ts`);

const pdp = new DecisionPoint(process.env.AUTHZEN_URL, process.env.AUTHZEN_TOKEN, { timeout: 20_000 });
const app = express();
if (process.env.CASE !== "insensitive") app.enable("case sensitive routing");
app.use(authorization(pdp, "orders", (request) => request.headers["x-test-client"] ?? ""));
app.get("/v1/orders/:id", (request, response) => {
  const { type, id, owner } = response.locals.caller;
  response.json({ order: request.params.id, type, id, owner });
});
app.listen(Number(port), "127.0.0.1");
