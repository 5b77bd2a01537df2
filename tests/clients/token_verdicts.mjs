// Asks a decision point about a token as often as it is told, and prints the answers.
const [clients, url, times] = process.argv.slice(2);
const { DecisionPoint } = await import(`${clients}/authzen.ts`);
const pdp = new DecisionPoint(url, "asker", { timeout: 20_000, log: () => {} });
const found = [];
for (let asked = 0; asked < Number(times); asked += 1) {
  const verdict = await pdp.evaluateToken("token", "GET", { type: "route", id: "/" });
  found.push([verdict.allowed, verdict.status, verdict.challenge, verdict.caller?.id ?? null]);
}
console.log(JSON.stringify(found));
