import type { Identity, UserPrincipal } from '../../identity/principal.js'
import { serviceOfIdentity } from '../../segmentation/compile.js'
import { chooseEndpoint, evaluateMatrix } from '../../segmentation/evaluate.js'
import type { Facts } from '../../segmentation/facts.js'
import type { Target } from '../../segmentation/matrix.js'
import { type Caller, pairsOf } from './callers.js'
import { circumstances, kindly } from './circumstances.js'
import { documentOf, type DraftPolicy, edited } from './draft-policy.js'
import type { Edit } from './edit.js'
import { type Sample, samplesOf } from './samples.js'
import { SOMEBODY } from '../somebody.js'
import { askedLine, folded, type Found, nameOf } from './told.js'

/** A way that one policy has and another has not. */
export type Way = {
  /** `namespace/name`, the SPIFFE ID of who asked where no document names it, `workloads that no document names`, or `nobody`. */
  readonly caller: string
  readonly target: string
  readonly endpoint: string | undefined
  readonly request: string
  /** Of which calls that is true. */
  readonly under:
    | 'every call'
    | 'any user'
    | 'other users like this one'
    | 'this user'
    | 'some users or scopes'
    | 'other conditions'
}

export type Compared = {
  /** Without the very call that is asked about. */
  readonly gained: readonly Way[]
  readonly lost: readonly Way[]
  /** False where there were too many pairs to look at all of them. */
  readonly complete: boolean
}

/** Requests that are evaluated at most; about a second and a half. */
const MOST_LOOKS = 400_000

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
  const gained = new Map<string, Found>()
  const lost = new Map<string, Found>()
  const portsOf = new Map<string, Set<number>>()
  const result = (complete: boolean): Compared => ({
    gained: folded([...gained.values()], portsOf, asked),
    lost: [...lost.values()],
    complete,
  })
  // A way out of a forbid or a call more takes nothing away, so the best that is known of a way is all that is to know.
  const onlyGains = edits.every(({ at }) => at[1] === 'forbid' || at[1] === 'calls')
  const line = askedLine(asked)
  const conditional = isConditional(before, edits, asked)
  let looks = 0
  const cache = new Map<string, readonly Placed[]>()
  const all = [...olds, ...news]
  for (const [caller, targetId] of pairsOf(before, after, edits, asked)) {
    let samples = cache.get(targetId)
    if (!samples) {
      const crossing = crossingOf(before, edits, targetId)
      const found = samplesOf([before, after], targetId, asked.request, asked.target.path, crossing)
      if (!found) return result(false)
      for (const { line: each, port } of found) {
        const ports = portsOf.get(`${targetId}\n${each}`) ?? new Set()
        portsOf.set(`${targetId}\n${each}`, ports.add(port))
      }
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
      const { sample } = placed
      const key = [caller.name, targetId, sample.words].join('\n')
      const isAsked = caller.name === nameOf(asked) && targetId === asked.target.id && sample.line === line
      for (const guise of guises) {
        if (looks > MOST_LOOKS) return result(false)
        if (onlyGains && !isAsked && gained.get(key)?.under === 'every call') break
        // What is refused where every condition is kind is refused everywhere.
        const kindOld = lookIn(olds.length - 1, placed, guise).permit
        if (!kindOld && !lookIn(all.length - 1, placed, guise).permit) continue
        for (const [at, { admitsAsked }] of pairs.entries()) {
          const had = lookIn(at, placed, guise)
          const has = lookIn(olds.length + at, placed, guise)
          if (had.permit === has.permit) continue
          const found = has.permit ? gained : lost
          const { endpoint } = has.permit ? has : had
          const under: Way['under'] = at === 0 ? guise.under : 'other conditions'
          const known = found.get(key)
          const otherwise = known?.otherwise || (at > 0 && conditional && !admitsAsked)
          if (rank(known?.under) <= rank(under)) {
            if (known && otherwise) found.set(key, { ...known, otherwise })
          } else {
            const { words: request, line: lineOf, port } = sample
            const way = { caller: caller.name, target: targetId, endpoint, request, under }
            found.set(key, { ...way, line: lineOf, port, otherwise })
          }
          if (onlyGains && !isAsked) break
        }
      }
    }
  }
  return result(true)
}

/** Whether conditions alone kept the asked call out, on the policy or with all the edits but one. */
function isConditional(before: DraftPolicy, edits: readonly Edit[], asked: Facts): boolean {
  const parts = edits.length > 1 ? edits.map((edit) => edited(before, [edit])) : []
  return [before, ...parts].some((part) => {
    const draft = part && kindly(part)
    const { id, spiffeId, path, mode } = asked.target
    if (!draft) return false
    const target: Target = { service: draft.matrix.services.get(id ?? ''), id, spiffeId, path, mode }
    const { workload } = asked.identity
    const caller = workload && serviceOfIdentity(draft.matrix, workload.spiffeId)
    const endpoint = chooseEndpoint(target, asked.request)
    return evaluateMatrix(draft.matrix, { ...asked, target, caller, endpoint }).permit
  })
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

/** Baseline rules and forbids look at paths their own way, a forbid that names any without regard to case. */
function crossingOf(
  { documents }: DraftPolicy,
  edits: readonly Edit[],
  targetId: string,
): 'no' | 'exact' | 'folded' {
  const isBroad = edits.some(
    ({ document, at }) => at[1] === 'forbid' || documents.get(document)?.kind === 'BaselinePolicy',
  )
  const concerned = [documentOf({ documents }, targetId)?.written, ...documents.values()].filter(
    (each, index) => index === 0 || each?.kind === 'BaselinePolicy',
  )
  const isFolding = concerned.some((each) => each?.spec.forbid?.some(({ to = [] }) => to.some(namesPaths)))
  if (isBroad) return isFolding ? 'folded' : 'exact'
  return edits.some(({ at }) => at[1] === 'endpoints') ? 'exact' : 'no'
}

function namesPaths(to: object): boolean {
  return 'paths' in to || 'grpc' in to || 'endpoints' in to
}

const UNDER: readonly (Way['under'] | undefined)[] = [
  'every call',
  'any user',
  'other users like this one',
  'this user',
  'some users or scopes',
  'other conditions',
  undefined,
]

function rank(under: Way['under'] | undefined): number {
  return UNDER.indexOf(under)
}

/** Without a user, with one of no role, with another like the asked one, with that one; without and with every scope that the target asks for. */
function guisesOf(caller: Caller, drafts: readonly DraftPolicy[], targetId: string, asked: Facts): Guise[] {
  const endpoints = drafts.flatMap(({ matrix }) => matrix.services.get(targetId)?.endpoints ?? [])
  const userScopes = [...new Set(endpoints.flatMap((endpoint) => endpoint.userScopes))]
  const workloadScopes = [...new Set(endpoints.flatMap((endpoint) => endpoint.workloadScopes))]
  const { user, serviceToken } = asked.identity
  const able = user && { ...user, scopes: userScopes, mfaVerified: true }
  const users: readonly (readonly [UserPrincipal | undefined, Guise['under']])[] = [
    [undefined, 'every call'],
    [{ ...SOMEBODY, scopes: userScopes, mfaVerified: true }, 'any user'],
    ...(user
      ? ([
          [another(user), 'other users like this one'],
          [user, 'this user'],
        ] as const)
      : []),
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

/** Who has the same roles, scopes and claims, and is somebody else. */
function another(user: UserPrincipal): UserPrincipal {
  const { sub: _sub, email: _email, ...claims } = user.claims
  return { ...user, subject: `sample-${user.subject}`, email: undefined, sessionId: undefined, claims }
}
