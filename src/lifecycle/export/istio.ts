import { covers, foldTemplate, meet, PARAMETER, type PathTemplate } from '../../segmentation/path-template.js'
import type { Access, Clause, HeaderTest, Obstacle, PathShape, Principal, RequestShape } from './access.js'

type Json = { readonly [key: string]: unknown }

export type IstioPolicies = {
  /** AuthorizationPolicy objects, DENY before ALLOW. */
  readonly objects: readonly Json[]
  /** What Istio can't say of it; then the objects don't hold. */
  readonly obstacles: readonly Obstacle[]
}

/** Where a service's workloads are. */
export type Workloads = { readonly namespace: string; readonly name: string; readonly podLabel: string }

/**
 * Istio's AuthorizationPolicy for what is said of a service. An ALLOW policy without rules lets nobody in.
 * Source: istio.io/v1 security AuthorizationPolicy.
 */
export function istioPolicies(access: Access, where: Workloads): IstioPolicies {
  const obstacles: Obstacle[] = []
  const permits = [...access.http.permits, ...(access.tcp?.permits ?? [])]
  const bars = [...access.http.bars, ...(access.tcp?.bars ?? [])]
  if (access.tcp) obstacles.push(...mixed(access.http.bars, access.tcp.permits))
  const allow = permits.flatMap((clause) => rulesOf(clause, true, obstacles))
  const deny = bars.flatMap((clause) => {
    if (foldsMore(clause, permits)) {
      const message = `${clause.name} ignores case and a trailing slash, and paths in Istio do not`
      obstacles.push({ message, source: clause.source })
    }
    return rulesOf(clause, false, obstacles)
  })
  const policy = (action: 'DENY' | 'ALLOW', rules: readonly Json[]): Json => ({
    apiVersion: 'security.istio.io/v1',
    kind: 'AuthorizationPolicy',
    metadata: { name: `${where.name}-${action.toLowerCase()}`, namespace: where.namespace },
    spec: {
      selector: { matchLabels: { [where.podLabel]: where.name } },
      action,
      ...(rules.length > 0 && { rules }),
    },
  })
  return { objects: [...(deny.length > 0 ? [policy('DENY', deny)] : []), policy('ALLOW', allow)], obstacles }
}

/** For TCP Istio leaves out what only a request has, so a rule about more bars every connection, and one about less lets requests in. */
function mixed(bars: readonly Clause[], permits: readonly Clause[]): Obstacle[] {
  const ofRequests = bars.filter(
    ({ requests, headers }) =>
      headers.length > 0 || requests?.some(({ paths, methods }) => paths.length > 0 || methods.length > 0),
  )
  const ofEveryPort = permits.filter(
    ({ requests }) => !requests || requests.some(({ ports }) => ports.length === 0),
  )
  return [
    ...ofRequests.map(({ name, source }) => ({
      message: `${name} is about requests, and for the TCP endpoints Istio would bar every connection by it`,
      source,
    })),
    ...ofEveryPort.map(({ name, source }) => ({
      message: `${name} names no port, and beside TCP endpoints Istio would let every request in by it`,
      source,
    })),
  ]
}

function rulesOf(clause: Clause, permits: boolean, obstacles: Obstacle[]): Json[] {
  const { name, source, principals, requests, headers } = clause
  const refuse = (what: string): void => void obstacles.push({ message: `${name}: ${what}`, source })
  const named = principals?.map((principal) => {
    const text = principalName(principal)
    if (text === undefined) refuse(`Istio has no * within ${'text' in principal ? principal.text : 'a name'}`)
    return text
  })
  const from = named && { from: [{ source: { principals: named } }] }
  const when = headers.map((test) => conditionOf(test, permits, refuse))
  // Whether an upgrade is asked for is a condition and no operation, so those that differ in it are two rules.
  return [true, false, undefined].flatMap((upgrade): Json[] => {
    const here = requests?.filter((request) => request.upgrade === upgrade)
    if (here ? here.length === 0 : upgrade !== undefined) return []
    const operations = here?.map(operationOf)
    const asked = operations?.every(({ operation }) => Object.keys(operation).length > 0)
    const conditions = upgrade === undefined ? when : [...when, upgradeIs(upgrade)]
    return [{ ...from, ...(asked && { to: operations }), ...(conditions.length > 0 && { when: conditions }) }]
  })
}

function operationOf({ paths, except, methods, ports }: RequestShape): { readonly operation: Json } {
  return {
    operation: {
      ...(paths.length > 0 && { paths: paths.flatMap(istioPaths) }),
      ...(except.length > 0 && { notPaths: except.flatMap(istioPaths) }),
      ...(methods.length > 0 && { methods }),
      ...(ports.length > 0 && { ports: ports.map(String) }),
    },
  }
}

/** `{*}` is one segment; a last `/**` is the path itself and everything below. */
export function istioPaths({ template }: PathShape): string[] {
  const { segments, rest } = template
  const plain = !segments.includes(PARAMETER)
  const body = segments.map((segment) => `/${segment === PARAMETER ? '{*}' : segment}`).join('')
  if (!rest) return [body]
  if (plain) return segments.length === 0 ? ['/*'] : [body, `${body}/*`]
  return [body, `${body}/{**}`]
}

function upgradeIs(present: boolean): Json {
  return { key: 'request.headers[upgrade]', [present ? 'values' : 'notValues']: ['*'] }
}

function conditionOf(
  { name, values, notValues, present }: HeaderTest,
  permits: boolean,
  refuse: (what: string) => void,
): Json {
  const key = `request.headers[${name}]`
  if (values === undefined && notValues === undefined) {
    return { key, [present === false ? 'notValues' : 'values']: ['*'] }
  }
  refuse(
    permits
      ? `where the header ${name} is repeated Istio looks at each value, and here it has none`
      : `it holds where there is no header ${name}, which Istio can not say`,
  )
  return { key, ...(values && { values }), ...(notValues && { notValues }) }
}

function principalName(principal: Principal): string | undefined {
  if (principal.kind === 'identity') return principal.text.slice('spiffe://'.length)
  if (principal.kind === 'domain') return `${principal.trustDomain}/*`
  return principal.kind === 'any' ? '*' : undefined
}

/** Whether a forbid's other spellings are let in by a template that does not lie within it. */
function foldsMore({ requests }: Clause, permits: readonly Clause[]): boolean {
  const barred = (requests ?? []).flatMap(({ paths }) => paths.filter(({ folded }) => folded))
  const open = permits.flatMap((permit) => (permit.requests ?? []).flatMap(({ paths }) => paths))
  const openToAll = permits.some((permit) =>
    (permit.requests ?? [ANY_PATH]).some(({ paths }) => paths.length === 0),
  )
  if (barred.length > 0 && openToAll) return true
  return barred.some((bar) =>
    open.some(({ template }) => meetsFolded(template, bar.template) && !covers(bar.template, template)),
  )
}

const ANY_PATH = { paths: [] }

function meetsFolded(template: PathTemplate, folded: PathTemplate): boolean {
  return meet(foldTemplate(template), folded) !== undefined
}
