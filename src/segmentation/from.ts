import type { Static } from '@sinclair/typebox'
import { compileSpiffePattern, type SpiffeId } from '../identity/spiffe-id.js'
import type { Pointer } from '../schema/problem.js'
import type { Report } from './compile-problem.js'
import { compiledService, type CompiledService } from './compiled.js'
import { type Directory, hint } from './directory.js'
import type { Facts } from './facts.js'
import { IdentityTrie } from './identity-trie.js'
import { compileSelector, type Selector } from './selector.js'
import type { FromSchema } from './vocabulary.js'

/** One element of `from`: all fields that are there must hold. */
export type From = {
  /** `any: true`, which stands alone. */
  readonly any: boolean
  readonly users: boolean
  /** Undefined where the element asks nothing of the workload. */
  readonly workload: FromWorkload | undefined
}

type FromWorkload = {
  /** Indexes of services, ascending. */
  readonly services: readonly number[] | undefined
  /** A service that is named has no document: whoever has none could be it. */
  readonly namesMissing: boolean
  readonly identities: IdentityTrie<true> | undefined
  readonly namespaces: readonly string[] | undefined
  readonly notNamespaces: readonly string[] | undefined
  readonly trustDomains: readonly string[] | undefined
  readonly selector: Selector | undefined
  readonly localTrustDomain: string
}

type Writer = {
  /** Of the writing document; undefined in cluster-wide kinds. */
  readonly namespace: string | undefined
  readonly directory: Directory
  readonly report: Report
}

const NAMESPACE = /^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/

/** Compiles one element of `from`. */
export function compileFrom(written: Static<typeof FromSchema>, at: Pointer, writer: Writer): From {
  const { report, directory } = writer
  const fields = Object.keys(written)
  if (fields.length === 0) {
    report(at, 'an empty element would mean everybody to some: write `any: true` for that', 'empty-from')
  }
  if (written.any && fields.length > 1) {
    const others = fields.filter((field) => field !== 'any').join(', ')
    report([...at, 'any'], `any: true stands alone, or ${others} would say nothing`, 'any-not-alone')
  }
  for (const field of ['namespaces', 'notNamespaces'] as const) {
    for (const [index, namespace] of (written[field] ?? []).entries()) {
      if (NAMESPACE.test(namespace)) continue
      report([...at, field, index], `\`${namespace}\` is no name of a namespace`, 'bad-namespace')
    }
  }
  for (const [index, domain] of (written.trustDomains ?? []).entries()) {
    directory.requireTrustDomain(domain, [...at, 'trustDomains', index], report)
  }
  const selector = written.selector && compileSelector(written.selector, [...at, 'selector'], report)
  const services = written.services && resolveServices(written.services, [...at, 'services'], writer)
  const namesWorkload = fields.some((field) => field !== 'any' && field !== 'users')
  return {
    any: written.any ?? false,
    users: written.users ?? false,
    workload: namesWorkload
      ? {
          services: services?.found,
          namesMissing: services?.missing ?? false,
          identities:
            written.identities && compileIdentities(written.identities, [...at, 'identities'], writer),
          namespaces: written.namespaces ?? (selector && writer.namespace ? [writer.namespace] : undefined),
          notNamespaces: written.notNamespaces,
          trustDomains: written.trustDomains,
          selector,
          localTrustDomain: directory.localTrustDomain,
        }
      : undefined,
  }
}

type ResolvedServices = {
  /** Indexes of the services named, ascending and without repetition. */
  readonly found: number[]
  readonly missing: boolean
}

export function resolveServices(names: readonly string[], at: Pointer, writer: Writer): ResolvedServices {
  const found = new Set<number>()
  let missing = false
  for (const [index, name] of names.entries()) {
    const service = writer.directory.resolve(name, writer.namespace, [...at, index], writer.report)
    if (service === undefined) missing = true
    else found.add(service)
  }
  const ascending = Array.from(found)
    .sort((a, b) => a - b)
    .slice()
  return { found: ascending, missing }
}

function compileIdentities(texts: readonly string[], at: Pointer, writer: Writer): IdentityTrie<true> {
  const trie = new IdentityTrie<true>()
  for (const [index, text] of texts.entries()) {
    const pattern = parseIdentity(text, [...at, index], writer.directory, writer.report)
    if (pattern) trie.set(pattern, true)
  }
  return trie
}

/** A SPIFFE ID or pattern of a configured trust domain; what is wrong with it is reported. */
export function parseIdentity(
  text: string,
  at: Pointer,
  directory: Directory,
  report: Report,
): (SpiffeId & { readonly exact: boolean }) | undefined {
  const pattern = compileSpiffePattern(text)
  if (!pattern.ok) {
    const bare = text.includes('/')
      ? undefined
      : `spiffe://${directory.localTrustDomain}/ns/NAMESPACE/sa/${text}`
    report(at, `\`${text}\` is no SPIFFE ID: ${pattern.problem}${hint(bare)}`, 'bad-spiffe-id')
    return undefined
  }
  directory.requireTrustDomain(pattern.trustDomain, at, report)
  const { trustDomain, exact } = pattern
  return { text, trustDomain, exact, path: text.slice('spiffe://'.length + trustDomain.length) }
}

/**
 * Whether the caller is one that the element means; undefined where that can't be known, which is no for a
 * permit and yes for a forbid. Namespaces and labels are those of the caller's document, never of the
 * request; a federated workload is in no local namespace. Source: FORMATS 1, rules 5 and 7.
 */
export function matchFrom(element: From, facts: Facts): boolean | undefined {
  if (element.any) return true
  if (element.users && !facts.identity.user) return false
  if (!element.workload) return true
  const { workload } = facts.identity
  if (!workload) return facts.gateway ? false : undefined
  return matchWorkload(element.workload, workload.spiffeId, compiledService(facts.caller))
}

function matchWorkload(
  element: FromWorkload,
  id: SpiffeId,
  caller: CompiledService | undefined,
): boolean | undefined {
  if (element.trustDomains && !element.trustDomains.includes(id.trustDomain)) return false
  if (element.services && !(caller && holds(element.services, caller.index))) {
    const couldBe = element.namesMissing && !caller && id.trustDomain === element.localTrustDomain
    return couldBe && matchWorkload({ ...element, services: undefined }, id, caller) !== false
      ? undefined
      : false
  }
  if (element.identities && !element.identities.find(id)) return false
  if (!element.namespaces && !element.notNamespaces && !element.selector) return true

  if (!caller)
    return element.namespaces && !couldBeIn(element.namespaces, id, element.localTrustDomain)
      ? false
      : undefined
  if (element.selector && !element.selector(caller.labels)) return false
  if (id.trustDomain !== element.localTrustDomain) {
    if (element.namespaces) return false
    return element.notNamespaces ? undefined : true
  }
  if (element.namespaces && !element.namespaces.includes(caller.namespace)) return false
  return !element.notNamespaces?.includes(caller.namespace)
}

/**
 * Whether a workload that no document names could be of one of these namespaces. Its path can rule that out
 * and never confirm it, so this alone lets nobody in.
 */
function couldBeIn(namespaces: readonly string[], id: SpiffeId, localTrustDomain: string): boolean {
  if (id.trustDomain !== localTrustDomain) return false
  const named = /^\/ns\/([^/]+)\//.exec(id.path)?.[1]
  return named === undefined || namespaces.includes(named)
}

/** Whether an ascending list has a number. */
function holds(ascending: readonly number[], wanted: number): boolean {
  let low = 0
  let high = ascending.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((ascending[middle] ?? 0) < wanted) low = middle + 1
    else high = middle
  }
  return ascending[low] === wanted
}
