import { parseSpiffeId, type SpiffeId } from '../identity/spiffe-id.js'
import type { Pointer } from '../schema/problem.js'
import type { Steps } from '../schema/steps.js'
import type { Directory } from './directory.js'
import { hint } from './directory.js'
import type { Draft } from './draft.js'
import { parseIdentity } from './from.js'
import { type IdentityPattern, IdentityTrie } from './identity-trie.js'
import { PARAMETER, parsePathTemplate } from './path-template.js'
import { RouteIndex } from './route-index.js'
import { flatText } from './flat-text.js'

/** What a service is found by. */
export type Claims = {
  readonly identities: readonly SpiffeId[]
  readonly patterns: readonly IdentityPattern[]
  readonly routes: readonly { readonly host: string; readonly prefix: string; readonly strip: string }[]
}

const HOST = /^[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?$/

/** Reads what the documents claim and reports what two of them claim. Source: FORMATS 1, rule 4. */
export function* readClaims(drafts: readonly Draft[], directory: Directory): Steps<Claims[]> {
  const owners = new IdentityTrie<Draft>()
  const routeOwners = new RouteIndex<Draft>()
  const claims: Claims[] = []
  for (const draft of drafts) {
    yield
    const identities: SpiffeId[] = []
    const patterns: IdentityPattern[] = []
    const claim = (pattern: IdentityPattern, exact: boolean, at: Pointer): void => {
      const other = owners.overlapping(pattern, (owner) => owner !== draft)
      if (other) {
        const message = `${pattern.text} belongs to ${other.id} already (${placeOf(other)})`
        draft.report(at, message, 'identity-claimed-twice')
        return
      }
      const own = exact ? identities : patterns
      if (own.some(({ text }) => text === pattern.text)) return
      owners.set(pattern, draft)
      own.push(pattern)
    }
    for (const { id, at } of serviceAccounts(draft, directory.localTrustDomain)) claim(id, true, at)
    for (const [index, text] of (draft.document.spec.identities ?? []).entries()) {
      const at = ['spec', 'identities', index]
      const pattern = parseIdentity(text, at, directory, draft.report)
      if (pattern) claim({ text, trustDomain: pattern.trustDomain, path: pattern.path }, pattern.exact, at)
    }
    claims.push({ identities, patterns, routes: readRoutes(draft, routeOwners) })
  }
  return claims
}

function serviceAccounts(draft: Draft, localTrustDomain: string): { id: SpiffeId; at: Pointer }[] {
  const { spec, metadata } = draft.document
  const written = spec.serviceAccounts
  return (written ?? [metadata.name]).flatMap((account, index) => {
    const at = written ? ['spec', 'serviceAccounts', index] : ['metadata', 'name']
    const text = flatText(`spiffe://${localTrustDomain}/ns/${draft.namespace}/sa/${account}`)
    const parsed = parseSpiffeId(text)
    const whole = parsed.ok && !account.includes('/')
    if (!whole) draft.report(at, `\`${account}\` is no name of a service account`, 'bad-service-account')
    return parsed.ok && whole
      ? [{ id: { text, trustDomain: localTrustDomain, path: parsed.id.path }, at }]
      : []
  })
}

function readRoutes(draft: Draft, owners: RouteIndex<Draft>): Claims['routes'] {
  return (draft.document.spec.routes ?? []).flatMap((route, index) => {
    const at = ['spec', 'routes', index]
    const { host } = route
    if (!HOST.test(host)) {
      const lower = host.toLowerCase()
      const near = hint(HOST.test(lower) ? lower : undefined)
      draft.report(
        [...at, 'host'],
        `\`${host}\` is no host name in lower case without port${near}`,
        'bad-host',
      )
      return []
    }
    const prefix = readPrefix(route.pathPrefix, [...at, 'pathPrefix'], draft)
    const strip = readPrefix(route.stripPrefix, [...at, 'stripPrefix'], draft)
    if (prefix === undefined || strip === undefined) return []
    if (!`${prefix}/`.startsWith(`${strip}/`)) {
      const message = `only what pathPrefix asks for can be taken off: \`${prefix || '/'}\` does not begin with it`
      draft.report([...at, 'stripPrefix'], message, 'bad-strip-prefix')
      return []
    }
    const owner = owners.get(host, prefix)?.service
    if (owner) {
      const message = `${host}${prefix || '/'} belongs to ${owner.id} already (${placeOf(owner)})`
      draft.report(at, message, 'route-claimed-twice')
      return []
    }
    owners.set(host, prefix, { service: draft, strip })
    return [{ host, prefix, strip }]
  })
}

/** A prefix of whole segments without trailing slash, '' for all paths; undefined and reported when it is none. */
function readPrefix(text: string | undefined, at: Pointer, draft: Draft): string | undefined {
  if (text === undefined || text === '/') return ''
  const parsed = parsePathTemplate(text)
  if (!parsed.ok || parsed.template.rest || parsed.template.segments.includes(PARAMETER)) {
    const problem = parsed.ok ? 'a prefix has no parameters' : parsed.problem
    draft.report(at, `the prefix \`${text}\`: ${problem}`, 'bad-path-prefix')
    return undefined
  }
  return text.endsWith('/') ? text.slice(0, -1) : text
}

function placeOf(draft: Draft): string {
  return draft.document.sourceOf(['metadata', 'name'])
}
