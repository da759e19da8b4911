import type { Identity, UserPrincipal, WorkloadPrincipal } from '../../identity/principal.js'
import { parseSpiffeId } from '../../identity/spiffe-id.js'
import { identitiesOf, serviceOfIdentity } from '../../segmentation/compile.js'
import { chooseEndpoint, evaluateMatrix } from '../../segmentation/evaluate.js'
import type { Facts } from '../../segmentation/facts.js'
import type { Matrix, Target } from '../../segmentation/matrix.js'
import { circumstances } from './circumstances.js'
import { documentOf, type DraftPolicy } from './draft-policy.js'
import type { Edit } from './edit.js'
import { type Sample, samplesOf } from './samples.js'

/** A way that one policy has and another has not. */
export type Way = {
  /** `namespace/name`, the SPIFFE ID of who asked where no document names it, `workloads that no document names`, or `nobody`. */
  readonly caller: string
  readonly target: string
  readonly endpoint: string | undefined
  readonly request: string
  /** Of which calls that is true. */
  readonly under: 'every call' | 'any user' | 'this user' | 'some users or scopes' | 'other conditions'
}

export type Compared = {
  readonly gained: readonly Way[]
  readonly lost: readonly Way[]
  /** False where there were too many pairs to look at all of them. */
  readonly complete: boolean
}

/** Requests that are evaluated at most; about a second and a half. */
const MOST_LOOKS = 400_000

type Caller = {
  readonly name: string
  readonly workload: WorkloadPrincipal | undefined
  readonly gateway: boolean
}
type Guise = { readonly identity: Identity; readonly under: Exclude<Way['under'], 'other conditions'> }

/**
 * Who may do what after changes and could not before, and the other way round: every caller with every endpoint that the
 * changes can concern, by requests that stand for all, under the circumstances of the call and under all others.
 */
export function compare(
  before: DraftPolicy,
  after: DraftPolicy,
  edits: readonly Edit[],
  asked: Facts,
): Compared {
  const pairs = circumstances(before, after, edits, concernedBy(before, edits, asked))
  if (!pairs) return { gained: [], lost: [], complete: false }
  const olds = pairs.map((pair) => pair.before)
  const news = pairs.map((pair) => pair.after)
  const gained = new Map<string, Way>()
  const lost = new Map<string, Way>()
  let looks = 0
  const crossing = crossingOf(before, edits)
  const cache = new Map<string, readonly Placed[]>()
  const all = [...olds, ...news]
  for (const [caller, targetId] of pairsOf(before, after, edits, asked)) {
    let samples = cache.get(targetId)
    if (!samples) {
      const found = samplesOf([before, after], targetId, asked.request, asked.target.path, crossing)
      if (!found) return { gained: [], lost: [], complete: false }
      samples = found.map((sample) => placedOn(all, targetId, sample, asked))
      cache.set(targetId, samples)
    }
    const guises = guisesOf(caller, [before, after], targetId, asked)
    const callers = all.map(
      ({ matrix }) => caller.workload && serviceOfIdentity(matrix, caller.workload.spiffeId),
    )
    const lookIn = (at: number, { sample, places }: Placed, { identity }: Guise): Look => {
      looks++
      const [draft, place] = [all[at], places[at]]
      if (!draft || !place) return REFUSED
      const facts: Facts = {
        request: sample.request,
        identity,
        caller: callers[at],
        target: place.target,
        endpoint: place.endpoint,
        gateway: caller.gateway,
        riskScore: asked.riskScore,
        riskSources: asked.riskSources,
        riskLevel: asked.riskLevel,
        client: asked.client,
        session: asked.session,
        device: asked.device,
        nowMs: asked.nowMs,
      }
      return { permit: evaluateMatrix(draft.matrix, facts).permit, endpoint: place.endpoint?.name }
    }
    for (const placed of samples) {
      for (const guise of guises) {
        if (looks > MOST_LOOKS)
          return { gained: [...gained.values()], lost: [...lost.values()], complete: false }
        // What is refused where every condition is kind is refused everywhere.
        const [kindOld, kindNew] = [olds.length - 1, all.length - 1]
        if (!lookIn(kindOld, placed, guise).permit && !lookIn(kindNew, placed, guise).permit) continue
        for (const at of olds.keys()) {
          const had = lookIn(at, placed, guise)
          const has = lookIn(olds.length + at, placed, guise)
          if (had.permit === has.permit) continue
          const found = has.permit ? gained : lost
          const { endpoint } = has.permit ? has : had
          const key = [caller.name, targetId, endpoint, placed.sample.words].join('\n')
          const under = at === 0 ? guise.under : 'other conditions'
          if (rank(found.get(key)?.under) <= rank(under)) continue
          found.set(key, {
            caller: caller.name,
            target: targetId,
            endpoint,
            request: placed.sample.words,
            under,
          })
        }
      }
    }
  }
  return { gained: [...gained.values()], lost: [...lost.values()], complete: true }
}

/** The documents whose permits can let in what the edits open. */
function concernedBy({ documents }: DraftPolicy, edits: readonly Edit[], { target }: Facts): Set<number> {
  const concerned = new Set(edits.map(({ document }) => document))
  const own = documentOf({ documents }, target.id)
  if (own) concerned.add(own.index)
  for (const [index, { kind, spec }] of documents)
    if (kind === 'BaselinePolicy' && spec.allow) concerned.add(index)
  return concerned
}

/** Baseline rules and forbids look at paths their own way, a forbid without regard to case. */
function crossingOf({ documents }: DraftPolicy, edits: readonly Edit[]): 'no' | 'exact' | 'folded' {
  if (
    edits.some(({ document, at }) => at[1] === 'forbid' || documents.get(document)?.kind === 'BaselinePolicy')
  )
    return 'folded'
  return edits.some(({ at }) => at[1] === 'endpoints') ? 'exact' : 'no'
}

const UNDER: readonly (Way['under'] | undefined)[] = [
  'every call',
  'any user',
  'this user',
  'some users or scopes',
  'other conditions',
  undefined,
]

function rank(under: Way['under'] | undefined): number {
  return UNDER.indexOf(under)
}

/** Pairs of caller and target that the edits can concern. */
function* pairsOf(
  before: DraftPolicy,
  after: DraftPolicy,
  edits: readonly Edit[],
  asked: Facts,
): Generator<readonly [Caller, string]> {
  const callers = [...callersOf(after.matrix, asked), ...strangersOf([before, after])]
  const whole = new Set<string>()
  const halves = new Set<string>()
  for (const { document, at } of edits) {
    const written = before.documents.get(document)
    if (written?.kind === 'BaselinePolicy') for (const id of after.matrix.services.keys()) whole.add(id)
    else if (written) {
      const id = `${written.metadata.namespace ?? 'default'}/${written.metadata.name}`
      ;(at[1] === 'calls' ? halves : whole).add(id)
    }
  }
  if (asked.target.id !== undefined && !asked.target.service) whole.add(asked.target.id)
  for (const target of whole) for (const caller of callers) yield [caller, target]
  for (const caller of callers) {
    if (!halves.has(caller.name)) continue
    for (const target of after.matrix.services.keys()) if (!whole.has(target)) yield [caller, target]
  }
}

/** Every identity that a document names, one for each pattern, who asked, and those without a workload. */
function callersOf(matrix: Matrix, { identity, caller }: Facts): Caller[] {
  const callers: Caller[] = [
    { name: 'nobody', workload: undefined, gateway: false },
    { name: 'nobody', workload: undefined, gateway: true },
  ]
  const asked = identity.workload
  if (asked) callers.push({ name: caller?.id ?? asked.spiffeId.text, workload: asked, gateway: false })
  for (const service of matrix.services.values())
    for (const spiffeId of identitiesOf(service)) {
      if (spiffeId.text === asked?.spiffeId.text) continue
      callers.push({ name: service.id, workload: { spiffeId, verifiedBy: 'certificate' }, gateway: false })
    }
  return callers
}

/**
 * Workloads that no document names, which a baseline allow alone can let in: one of each namespace and of each pattern
 * that is written anywhere, and one of none of them.
 */
function strangersOf(drafts: readonly DraftPolicy[]): Caller[] {
  const texts = new Set<string>()
  for (const { documents, around } of drafts) {
    const written = [...documents.values()]
    if (!written.some(({ kind, spec }) => kind === 'BaselinePolicy' && spec.allow)) continue
    const namespaces = written.map(({ metadata }) =>
      'namespace' in metadata ? metadata.namespace : undefined,
    )
    for (const namespace of [...namespaces, 'sample-x'])
      if (namespace !== undefined)
        texts.add(`spiffe://${around.localTrustDomain}/ns/${namespace}/sa/sample-y`)
    for (const domain of around.trustDomains) texts.add(`spiffe://${domain}/sample-x`)
    for (const { kind, spec } of written) {
      const rules = kind === 'BaselinePolicy' ? (spec.allow ?? []) : (spec.rules ?? [])
      const from = [...rules, ...(spec.forbid ?? [])].flatMap((rule) => rule.from ?? [])
      for (const { identities = [] } of from)
        for (const text of identities) texts.add(text.replaceAll('*', 'sample-x'))
    }
  }
  const known = drafts.map(({ matrix }) => matrix)
  return [...texts].slice(0, MOST_STRANGERS).flatMap((text): Caller[] => {
    const parsed = parseSpiffeId(text)
    if (!parsed.ok || known.some((matrix) => serviceOfIdentity(matrix, parsed.id))) return []
    return [{ name: STRANGERS, workload: { spiffeId: parsed.id, verifiedBy: 'certificate' }, gateway: false }]
  })
}

const MOST_STRANGERS = 50
const STRANGERS = 'workloads that no document names'

/** Without a user, with one of no role, with the asked one; without and with every scope that the target asks for. */
function guisesOf(caller: Caller, drafts: readonly DraftPolicy[], targetId: string, asked: Facts): Guise[] {
  const endpoints = drafts.flatMap(({ matrix }) => matrix.services.get(targetId)?.endpoints ?? [])
  const userScopes = [...new Set(endpoints.flatMap((endpoint) => endpoint.userScopes))]
  const workloadScopes = [...new Set(endpoints.flatMap((endpoint) => endpoint.workloadScopes))]
  const { user, serviceToken } = asked.identity
  const able = user && { ...user, scopes: userScopes, mfaVerified: true }
  const users: readonly (readonly [UserPrincipal | undefined, Guise['under']])[] = [
    [undefined, 'every call'],
    [{ ...SOMEBODY, scopes: userScopes, mfaVerified: true }, 'any user'],
    ...(user ? [[user, 'this user'] as const] : []),
    ...(able ? [[able, 'some users or scopes'] as const] : []),
  ]
  const token = { issuer: caller.name, service: caller.name, scopes: workloadScopes, jti: 'sample' }
  const tokens = caller.workload
    ? [undefined, ...(serviceToken ? [serviceToken] : []), ...(workloadScopes.length > 0 ? [token] : [])]
    : [undefined]
  return users.flatMap(([each, under]) =>
    tokens.map((serviceTokenOf): Guise => ({
      identity: { workload: caller.workload, serviceToken: serviceTokenOf, user: each },
      under: serviceTokenOf === token ? 'some users or scopes' : under,
    })),
  )
}

type Look = { readonly permit: boolean; readonly endpoint: string | undefined }
const REFUSED: Look = { permit: false, endpoint: undefined }

/** A sample, with what it is for on each of several policies. */
type Placed = {
  readonly sample: Sample
  readonly places: readonly Pick<Facts, 'target' | 'endpoint'>[]
}

function placedOn(
  drafts: readonly DraftPolicy[],
  targetId: string,
  sample: Sample,
  { target: { spiffeId } }: Facts,
): Placed {
  const places = drafts.map(({ matrix }) => {
    const service = matrix.services.get(targetId)
    const mode = service?.mode ?? matrix.defaults.mode
    const target: Target = { service, id: targetId, spiffeId, path: sample.path, mode }
    return { target, endpoint: chooseEndpoint(target, sample.request) }
  })
  return { sample, places }
}

const SOMEBODY: UserPrincipal = {
  issuer: 'https://idp.example',
  subject: 'somebody',
  email: undefined,
  roles: [],
  scopes: [],
  clientId: undefined,
  deviceId: undefined,
  deviceTrust: undefined,
  riskScore: undefined,
  mfaVerified: false,
  sessionId: undefined,
  acr: undefined,
  amr: [],
  authTimeMs: undefined,
  zone: undefined,
  claims: {},
}
