/** Where query, fragment or path parameters begin, in plain or (repeatedly) percent-encoded spelling. */
const BEHIND_THE_PATH = /[?#;]|%(?:25)*(?:3f|3b|23)/i

/** `user:password@` in front of an authority. */
const USER_INFO = /([/\\]{2})[^/\\@]*@/g

/** Dots may come percent-encoded. */
const TOKEN_ALPHABET_RUN = /[\w.%-]+/g
const DOT = /\.|%(?:25)*2e/i

/**
 * Takes compact JWS and JWE out of text that a caller chose. Events are built from named fields alone, and
 * still a link such as `/reset/<token>` or a request id carries what its sender put there. Linear in time.
 */
export function withoutTokens(text: string): string {
  return text.includes('eyJ') ? text.replace(TOKEN_ALPHABET_RUN, redactRun) : text
}

/** A compact token begins with the base64url of `{"` and goes on behind a dot. */
function redactRun(run: string): string {
  const start = run.indexOf('eyJ')
  return start !== -1 && DOT.test(run.slice(start)) ? `${run.slice(0, start)}[redacted]` : run
}

/**
 * What may be recorded of a path that has no canonical form: up to the first thing that any reader could
 * take for query, fragment or parameters, and without user information of an absolute form.
 */
export function recordablePath(rawPath: string): string {
  const end = rawPath.search(BEHIND_THE_PATH)
  return (end === -1 ? rawPath : rawPath.slice(0, end)).replace(USER_INFO, '$1')
}

/** What may be recorded of a method that is none: up to what no method holds. Source: RFC 9110 5.6.2. */
export function recordableMethod(method: string): string {
  return /^[!#$%&'*+.^_`|~0-9A-Za-z-]{0,64}/.exec(method)?.[0] ?? ''
}

/** What may be recorded of a host that is none: without user information, up to what begins a path or a query. */
export function recordableHost(host: string): string {
  const behind = host.slice(host.lastIndexOf('@') + 1)
  const end = behind.search(/[/\\?#;&=\s%]/)
  return end === -1 ? behind : behind.slice(0, end)
}

/** Ids are letters, digits and little else; what is none may be a credential under the wrong name. */
export function recordableId(id: string | undefined): string | undefined {
  return id === undefined || id === '' || /^[\w.:+-]{1,128}$/.test(id) ? id : '[redacted]'
}
