import { isJsonObject, parseStrictJson } from '../../identity/strict-json.js'
import { fetchJson, type Fetched, type FetchLimits, type PreparedFetch } from './fetch-json.js'

/**
 * Prepares GETs of an issuer's key set where only the issuer is known: its metadata by OpenID Connect Discovery, or,
 * where that is not found, by RFC 8414; then the key set that it names. The metadata must name exactly this issuer,
 * and every address is held to the rules of `fetchJson`. All together within the limit of time of one fetch.
 * Source: OpenID Connect Discovery 4, RFC 8414 3.
 */
export function discoverKeySet(
  issuer: string,
  allowedHosts: readonly string[],
  ca: string | undefined,
): PreparedFetch {
  if (!URL.canParse(issuer)) return { ok: false, problem: 'not a URL' }
  const { origin, pathname, search, hash, username, password } = new URL(issuer)
  if (search !== '' || hash !== '' || username !== '' || password !== '') {
    return { ok: false, problem: 'an issuer has no query, fragment, user name or password' }
  }
  const path = pathname.replace(/\/$/, '')
  const openId = fetchJson(`${origin}${path}/.well-known/openid-configuration`, allowedHosts, ca)
  const oauth = fetchJson(`${origin}/.well-known/oauth-authorization-server${path}`, allowedHosts, ca)
  if (!openId.ok) return openId
  if (!oauth.ok) return oauth
  return {
    ok: true,
    fetch: async (limits) => {
      const endsMs = performance.now() + limits.timeoutMs
      const rest = (): FetchLimits => ({
        ...limits,
        timeoutMs: Math.max(1, Math.ceil(endsMs - performance.now())),
      })
      let metadata = await openId.fetch(limits)
      if (!metadata.ok && metadata.status === 404) metadata = await oauth.fetch(rest())
      if (!metadata.ok) return { ok: false, problem: `the issuer's metadata: ${metadata.problem}` }
      const address = keySetAddress(metadata.text, issuer)
      if (!address.ok) return { ok: false, problem: `the issuer's metadata: ${address.problem}` }
      const keys = fetchJson(address.text, allowedHosts, ca)
      return keys.ok ? keys.fetch(rest()) : { ok: false, problem: `its \`jwks_uri\`: ${keys.problem}` }
    },
  }
}

function keySetAddress(text: string, issuer: string): Fetched {
  const parsed = parseStrictJson(text)
  if (!parsed.ok) return { ok: false, problem: `not strict JSON: ${parsed.problem}` }
  if (!isJsonObject(parsed.value)) return { ok: false, problem: 'not a JSON object' }
  if (parsed.value['issuer'] !== issuer) return { ok: false, problem: 'it is that of another issuer' }
  const address = parsed.value['jwks_uri']
  return typeof address === 'string'
    ? { ok: true, text: address }
    : { ok: false, problem: 'it names no `jwks_uri`' }
}
