/** Header fields of responses: challenges and waits. What is malformed is read as if it were absent. */

const TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
const VALUE = `(?:"((?:[^"\\\\]|\\\\.)*)"|(${TOKEN}))`;
const SEPARATORS = /[ \t,]*/y;
const PARAMETER = new RegExp(`(${TOKEN})[ \\t]*=[ \\t]*${VALUE}[ \\t]*(?=,|$)`, "y");
const SCHEME = new RegExp(`(${TOKEN})(?:[ \\t]+[A-Za-z0-9._~+/-]+=*(?=[ \\t]*(?:,|$)))?(?:[ \\t]+|(?=,|$))`, "y");
const LINK = new RegExp(`<([^<>" \\t]*)>((?:[ \\t]*;[ \\t]*${TOKEN}(?:[ \\t]*=[ \\t]*${VALUE})?)*)[ \\t]*(?=,|$)`, "y");
const LINK_PARAMETER = new RegExp(`;[ \\t]*(${TOKEN})(?:[ \\t]*=[ \\t]*${VALUE})?`, "g");
const SCOPES = /^[ !#-[\]-~]*$/;
const DAY = 86_400;

/** A link (RFC 8288): its target, and the first of each of its parameters. */
export interface Link {
  readonly target: string;
  readonly parameters: ReadonlyMap<string, string>;
}

/** The parameters of the first challenge for bearer tokens (RFC 9110, section 11.6.1). */
export function bearerChallenge(header: string | null): ReadonlyMap<string, string> {
  const none = new Map<string, string>();
  const text = header ?? "";
  const challenges: { scheme: string; parameters: Map<string, string> }[] = [];
  for (let at = skip(text, 0); at < text.length; at = skip(text, at)) {
    const parameter = matched(PARAMETER, text, at);
    const found = parameter ?? matched(SCHEME, text, at);
    if (!found) return none;
    const name = (found[1] ?? "").toLowerCase();
    if (parameter) {
      const parameters = challenges.at(-1)?.parameters;
      if (!parameters || parameters.has(name)) return none;
      parameters.set(name, valueOf(parameter[2], parameter[3]));
    } else {
      challenges.push({ scheme: name, parameters: new Map() });
    }
    at += found[0].length;
  }
  return challenges.find(({ scheme }) => scheme === "bearer")?.parameters ?? none;
}

/** The permissions that a request lacked, as far as its challenge names them. */
export function missingScopes(header: string | null): readonly string[] {
  const challenge = bearerChallenge(header);
  const scope = challenge.get("scope") ?? "";
  if (challenge.get("error") !== "insufficient_scope" || !SCOPES.test(scope)) return [];
  return scope.split(" ").filter((each) => each !== "");
}

/** The seconds to wait, at most a day; undefined if the header has neither seconds nor a date. */
export function secondsOf(header: string | null): number | undefined {
  const text = header ?? "";
  if (/^[0-9]+$/.test(text)) return Math.min(Number(text), DAY);
  const time = Date.parse(text);
  if (Number.isNaN(time) || new Date(time).toUTCString() !== text) return undefined;
  return Math.min(Math.max(Math.ceil((time - Date.now()) / 1000), 0), DAY);
}

/** The links of a header; undefined if it is malformed. */
export function linksOf(header: string | null): readonly Link[] | undefined {
  const text = header ?? "";
  const links: Link[] = [];
  for (let at = skip(text, 0); at < text.length; at = skip(text, at)) {
    const link = matched(LINK, text, at);
    if (!link) return undefined;
    const parameters = new Map<string, string>();
    for (const [, name = "", quoted, token] of (link[2] ?? "").matchAll(LINK_PARAMETER)) {
      if (!parameters.has(name.toLowerCase())) parameters.set(name.toLowerCase(), valueOf(quoted, token));
    }
    links.push({ target: link[1] ?? "", parameters });
    at += link[0].length;
  }
  return links;
}

function skip(text: string, at: number): number {
  return at + (matched(SEPARATORS, text, at)?.[0].length ?? 0);
}

function matched(pattern: RegExp, text: string, at: number): RegExpExecArray | null {
  pattern.lastIndex = at;
  return pattern.exec(text);
}

function valueOf(quoted: string | undefined, token: string | undefined): string {
  return quoted === undefined ? (token ?? "") : quoted.replace(/\\(.)/g, "$1");
}
