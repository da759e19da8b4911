import type { SpiffeId } from '../../identity/spiffe-id.js'
import type { LoadedPolicy } from '../../policy/load-policy.js'
import type { PolicyDocument } from '../../policy/read-documents.js'
import { compiledService, type CompiledService, type PermitRule } from '../../segmentation/compiled.js'
import { rulesFor } from '../../segmentation/consent.js'
import { identitiesOf } from '../../segmentation/compile.js'
import { type Facts, NO_DEVICE, NO_SESSION, UNKNOWN_CLIENT } from '../../segmentation/facts.js'
import { matchFrom } from '../../segmentation/from.js'
import type { Matrix } from '../../segmentation/matrix.js'
import { SOMEBODY } from '../somebody.js'

/** Of one service, that are asked for. */
const MAX_IDENTITIES = 16

export type ServiceDocument = Extract<PolicyDocument, { kind: 'ServicePolicy' }>

/** Who may reach one endpoint, and by which rule under which conditions. */
export type Edge = {
  /** `namespace/name`, or `users`, `anyone`. */
  readonly caller: string
  readonly target: string
  readonly endpoint: string
  /** One text for each rule that lets it pass; `as a neighbour` where there is none. Any of them will do. */
  readonly under: readonly string[]
}

/** A policy as pairs and endpoints, not as text. */
export type PolicyView = {
  readonly services: ReadonlyMap<string, ServiceDocument>
  /** By service. */
  readonly edgesOf: (target: string) => ReadonlyMap<string, Edge>
  readonly documents: readonly PolicyDocument[]
  readonly matrix: Matrix
}

/** The pairs and endpoints that a policy opens. The edges of a service are found when they are asked for. */
export function viewOf({ policy, sources }: Extract<LoadedPolicy, { ok: true }>): PolicyView {
  const { matrix } = policy
  const services = new Map<string, ServiceDocument>()
  for (const document of sources) {
    if (document.kind !== 'ServicePolicy') continue
    services.set(`${document.metadata.namespace ?? 'default'}/${document.metadata.name}`, document)
  }
  const byIndex = [...matrix.services.values()]
  const callers = new Map<number, { caller: CompiledService; endpoints: readonly number[] | undefined }[]>()
  for (const caller of byIndex) {
    for (const { target, endpoints } of matrix.calls.rowOf(caller.index)) {
      const known = callers.get(target)
      if (known) known.push({ caller, endpoints })
      else callers.set(target, [{ caller, endpoints }])
    }
  }
  const edgesOf = (id: string): ReadonlyMap<string, Edge> => {
    const service = compiledService(matrix.services.get(id))
    const document = services.get(id)
    if (!service || !document) return new Map()
    return edgesTo(service, document, callers.get(service.index) ?? [], matrix)
  }
  return { services, edgesOf, documents: sources, matrix }
}

function edgesTo(
  service: CompiledService,
  document: ServiceDocument,
  callers: readonly { caller: CompiledService; endpoints: readonly number[] | undefined }[],
  matrix: Matrix,
): Map<string, Edge> {
  const edges = new Map<string, Edge>()
  const endpoints = new Map(service.endpoints.map(({ index, name }) => [index, name]))
  const textOf = ruleTexts(service, document)
  const add = (caller: string, endpoint: string, under: readonly string[]): void => {
    if (under.length === 0) return
    // Whatever else would do, nothing is asked.
    const least = under.includes('always') ? ['always'] : under
    edges.set(JSON.stringify([caller, endpoint]), { caller, target: service.id, endpoint, under: least })
  }
  for (const { caller, endpoints: only } of callers) {
    const facts = caller.identities.slice(0, MAX_IDENTITIES).map((spiffeId) => factsOf(caller, spiffeId))
    const matching = rulesFor(service, caller).flatMap((rule) => {
      // `any` means the callers too that have a name.
      const elements = rule.from.filter((element) => facts.some((each) => matchFrom(element, each) === true))
      if (elements.length === 0) return []
      const text = textOf(rule)
      const needsUser = elements.every(({ users }) => users)
      return [{ rule, text: needsUser ? `with a user${text === 'always' ? '' : ` and ${text}`}` : text }]
    })
    const neighbour =
      service.rules.length === 0 &&
      caller.namespace === service.namespace &&
      identitiesOf(caller).some(({ trustDomain }) => trustDomain === matrix.localTrustDomain)
    for (const [index, name] of endpoints) {
      if (only && !only.includes(index)) continue
      const under = matching.filter(({ rule }) => reaches(rule, index)).map(({ text }) => text)
      add(caller.id, name, neighbour ? ['as a neighbour'] : under)
    }
  }
  for (const [index, name] of endpoints) {
    const own = service.rules.filter((rule) => reaches(rule, index))
    for (const [caller, matches] of [
      [
        'users',
        (rule: PermitRule) => rule.from.some(({ any, users, workload }) => any || (users && !workload)),
      ],
      ['anyone', (rule: PermitRule) => rule.from.some(({ any }) => any)],
    ] as const) {
      add(caller, name, own.filter(matches).map(textOf))
    }
  }
  return edges
}

function reaches({ endpoints }: PermitRule, index: number): boolean {
  return !endpoints || endpoints.includes(index)
}

/** What must hold and what is lent; a rule's name and place may change without changing anything. */
function ruleTexts(service: CompiledService, document: ServiceDocument): (rule: PermitRule) => string {
  const texts = new Map<PermitRule, string>()
  for (const [at, rule] of service.rules.entries()) {
    const { when, grantScopes } = document.spec.rules?.[at] ?? {}
    const parts = [
      ...(when ?? []).map((condition) => conditionText(condition)),
      ...(grantScopes && grantScopes.length > 0 ? [`is granted ${[...grantScopes].sort().join(' ')}`] : []),
    ]
    texts.set(rule, parts.length > 0 ? parts.join(' and ') : 'always')
  }
  return (rule) => texts.get(rule) ?? 'always'
}

/** `user.roles values ["admin"]`. */
export function conditionText(condition: object): string {
  return Object.entries(condition)
    .map(([name, value]) => (name === 'key' ? String(value) : `${name} ${JSON.stringify(value)}`))
    .join(' ')
}

/** A call of this workload on behalf of somebody. */
function factsOf(caller: CompiledService, spiffeId: SpiffeId): Facts {
  return {
    request: {
      requestId: '',
      source: { ip: '', port: 0, principal: '', certificate: '' },
      destination: { ip: '', port: 0, principal: '' },
      http: undefined,
      contextExtensions: new Map(),
      sni: '',
    },
    identity: { workload: { spiffeId, verifiedBy: 'certificate' }, serviceToken: undefined, user: SOMEBODY },
    caller,
    target: { service: undefined, id: undefined, spiffeId: undefined, mode: 'Enforce', path: '' },
    endpoint: undefined,
    gateway: false,
    riskScore: undefined,
    riskSources: [],
    riskLevel: undefined,
    client: UNKNOWN_CLIENT,
    session: NO_SESSION,
    device: NO_DEVICE,
    nowMs: 0,
  }
}
