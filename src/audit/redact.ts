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
