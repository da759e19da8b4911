import type { Facts } from '../../segmentation/facts.js'
import type { Matrix } from '../../segmentation/matrix.js'
import { parsePathTemplate } from '../../segmentation/path-template.js'
import type { TrafficEvent } from '../traffic.js'
import { eventFacts } from './event-facts.js'
import { gapOf } from './gap.js'
import { MANY_WORDS, PathTree } from './path-tree.js'
import { Room } from './room.js'
import { ANYONE, type Callers, note, type Sighting, USERS } from './seen.js'
import { leaveOutSingleUsers, MANY_USERS } from './single-users.js'
import { actorOf, type Suspect } from './suspects.js'
import { Users } from './users.js'

/** What was seen of one target and is not in the policy yet. */
export type TargetEvidence = {
  readonly http: PathTree
  readonly webSocket: PathTree
  /** By `package.Service/Method`. */
  readonly grpc: Map<string, Callers>
  readonly tcp: Map<number, Callers>
  /** By the names of endpoints that are there already. */
  readonly named: Map<string, Callers>
}

/** Calls that were left out, and why. */
export type NotLearned = {
  readonly caller: string
  readonly target: string
  readonly why: string
  count: number
  readonly example: string
}

export type LearnOptions = {
  /** Calls that were refused are evidence too. */
  readonly includeDenied: boolean
  /** Calls of nobody at all are evidence for `require: None`. */
  readonly includeAnonymous: boolean
  readonly manyWords?: number
}

/** Kept at most, so that no file can make the memory grow. */
const MAX_TARGETS = 10_000
const MAX_NOT_LEARNED = 1000
/** Templates, methods and callers of each, over all targets. */
const MAX_ENTRIES = 1_000_000

/**
 * Would-be refusals that a ServicePolicy can cure, or that stand behind one and leave the call what it is. Any other
 * says that the call itself was wrong: its credentials, its risk, a forbid.
 */
const CURABLE: ReadonlySet<string> = new Set([
  'target-unknown',
  'caller-unknown',
  'call-not-allowed',
  'endpoint-not-exposed',
  'rule-not-matched',
  'scope-missing',
  'user-required',
  'step-up-required',
  'mfa-required',
  'approval-required',
  'grant-required',
  'data-policy',
  'device-tier',
  'device-read-only',
])

const GRPC = /^[A-Za-z_][A-Za-z0-9_.]*\/[A-Za-z_][A-Za-z0-9_]*$/
const SERVICE = /^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?\/[a-z0-9](?:[-.a-z0-9]{0,251}[a-z0-9])?$/
const MAX_PORT = 65_535
const METHOD = /^[A-Z][A-Z0-9_-]{0,31}$/

/** Collects, event by event, what a least-privilege policy has to say beyond the one that is there. */
export class Evidence {
  readonly targets = new Map<string, TargetEvidence>()
  readonly #matrix: Matrix
  readonly #suspects: ReadonlyMap<string, Suspect>
  readonly #options: LearnOptions
  readonly #notLearned = new Map<string, NotLearned>()
  readonly #room = new Room(MAX_ENTRIES)
  readonly #proven: Evidence | undefined
  readonly users = new Users()
  #isFinished = false
  #notTold = 0
  /** Events whose calls the policy lets pass already, and those that were learned. */
  covered = 0
  learned = 0

  /** `proven`: the evidence of which this is the proof, for what was left out of it on purpose. */
  constructor(
    matrix: Matrix,
    suspects: ReadonlyMap<string, Suspect>,
    options: LearnOptions,
    proven?: Evidence,
  ) {
    this.#proven = proven
    this.#matrix = matrix
    this.#suspects = suspects
    this.#options = options
  }

  /** The most frequent first; `more` calls are in none of them. */
  notLearned(): { readonly groups: readonly NotLearned[]; readonly more: number } {
    const groups = [...this.#notLearned.values()].sort((a, b) => b.count - a.count)
    return { groups, more: this.#notTold }
  }

  /** After the last event: folds the paths, and leaves out what can be judged only now. */
  finish(): void {
    if (this.#isFinished) return
    this.#isFinished = true
    for (const [target, evidence] of this.targets) {
      evidence.http.fold()
      evidence.webSocket.fold()
      const users = this.users.of(target)
      if (users < MANY_USERS) continue
      for (const { caller, way, seen } of leaveOutSingleUsers(evidence)) {
        this.learned -= seen.count
        const why = `one user of ${users.toLocaleString('en')} alone was seen there, and all would be let in`
        this.#tell({ caller, target, why, count: seen.count, example: way })
      }
    }
  }

  #isLeftOut(
    target: string,
    caller: string,
    { request: { http }, target: { path } }: Facts,
    way: Way,
  ): boolean {
    const evidence = this.targets.get(target)
    if (!evidence) return false
    if (way.endpoint !== undefined) return isMarked(evidence.named.get(way.endpoint), caller)
    if (way.grpcMethod !== undefined && isMarked(evidence.grpc.get(way.grpcMethod), caller)) return true
    const tree = http?.upgrade === true ? evidence.webSocket : evidence.http
    return http !== undefined && tree.isLeftOut(path, http.method, caller)
  }

  note(event: TrafficEvent): void {
    const suspect = this.#suspects.get(actorOf(event))
    const why = suspect ? `looks like an attack: ${suspect.why}` : this.#learn(event)
    if (why !== undefined) return this.#leaveOut(event, why)
    const proxy = event.fields['viaWorkloadId']
    if (typeof proxy !== 'string') return
    // A proxy that forwards a caller needs the edge too. Source: FORMATS 2.
    const forwarded = { ...event, workloadId: proxy, callerService: undefined }
    const whyNot = this.#learn(forwarded)
    if (whyNot !== undefined) this.#leaveOut(forwarded, whyNot)
  }

  /** Undefined where the event was learned or says nothing new; else why it was left out. */
  #learn(event: TrafficEvent): string | undefined {
    const { includeDenied, includeAnonymous } = this.#options
    if (event.decision !== 'allow' && !includeDenied) return `it was refused: ${event.decisionReason}`
    const refusal = event.decision === 'allow' ? event.wouldBeReason : event.decisionReason
    if (refusal !== undefined && !CURABLE.has(refusal)) {
      return `no policy of services would let it pass: ${refusal}`
    }
    const { targetService } = event
    if (targetService === undefined) return 'nothing names its target'
    if (!SERVICE.test(targetService)) return 'its target is no namespace/name'
    const facts = eventFacts(event, this.#matrix)
    const caller = callerOf(event, facts, this.#matrix)
    if (caller === undefined) {
      return 'its workload is no service account of the local trust domain: write its document by hand'
    }
    if (caller === ANYONE && !includeAnonymous) {
      return 'nobody was identified: `require: None` is for people to write (--include-anonymous)'
    }
    const userNumber = this.users.note(event)
    const gap = gapOf(this.#matrix, facts, refusal === undefined)
    if (gap.kind === 'refused') return gap.why
    if (gap.kind === 'none') {
      this.covered++
      return undefined
    }
    const way = {
      grpcMethod: event.grpcMethod,
      endpoint: gap.kind === 'edge' ? gap.endpoint : undefined,
    }
    if (this.#proven && this.#proven.#isLeftOut(targetService, caller, facts, way)) return 'one user alone'
    const { workload, user } = facts.identity
    const sighting: Sighting = {
      caller,
      atMs: event.atMs,
      withUser: user !== undefined,
      withWorkload: workload !== undefined,
      needsConsent: gap.needsConsent,
      user: userNumber,
    }
    const target = this.#target(targetService)
    if (!target) return `more than ${MAX_TARGETS} targets`
    const problem =
      gap.kind === 'edge'
        ? add(target.named, gap.endpoint, sighting, this.#room)
        : addWay(target, facts, event.grpcMethod, sighting, this.#room)
    if (problem === undefined) this.learned++
    return problem
  }

  #target(id: string): TargetEvidence | undefined {
    const known = this.targets.get(id)
    if (known) return known
    if (this.targets.size >= MAX_TARGETS) return undefined
    const many = this.#options.manyWords ?? MANY_WORDS
    const made: TargetEvidence = {
      http: new PathTree(this.#room, many),
      webSocket: new PathTree(this.#room, many),
      grpc: new Map(),
      tcp: new Map(),
      named: new Map(),
    }
    this.targets.set(id, made)
    return made
  }

  #leaveOut(event: TrafficEvent, why: string): void {
    const { requestMethod, requestPath, destinationPort, targetService } = event
    const example =
      requestMethod === undefined ? `TCP ${destinationPort ?? ''}` : `${requestMethod} ${requestPath ?? ''}`
    const target = targetService ?? 'unknown target'
    this.#tell({ caller: actorOf(event), target, why, count: 1, example: example.trim() })
  }

  #tell(group: NotLearned): void {
    const key = JSON.stringify([group.caller, group.target, group.why])
    const known = this.#notLearned.get(key)
    if (known) known.count += group.count
    else if (this.#notLearned.size >= MAX_NOT_LEARNED) this.#notTold += group.count
    else this.#notLearned.set(key, group)
  }
}

type Way = { readonly grpcMethod: string | undefined; readonly endpoint: string | undefined }

function isMarked(callers: Callers | undefined, caller: string): boolean {
  return callers?.get(caller)?.isLeftOut === true
}

function addWay(
  target: TargetEvidence,
  { request: { http, destination }, target: { path } }: Facts,
  grpcMethod: string | undefined,
  sighting: Sighting,
  room: Room,
): string | undefined {
  if (!http) {
    const { port } = destination
    if (port === 0) return 'no port of it is known'
    if (port > MAX_PORT) return 'its port is no port'
    return add(target.tcp, port, sighting, room)
  }
  if (!METHOD.test(http.method)) return 'its method is no method'
  if (grpcMethod !== undefined && http.method === 'POST' && !http.upgrade && GRPC.test(grpcMethod)) {
    return add(target.grpc, grpcMethod, sighting, room)
  }
  // A template would be wider than the call was.
  const [wide] = /[*{}]/.exec(path) ?? []
  if (wide !== undefined) return `its path has \`${wide}\``
  // A token that was taken out of the path stands where one segment was.
  const segments = path.split('/').map((segment) => (segment.includes('[redacted]') ? 'redacted' : segment))
  const parsed = parsePathTemplate(segments.join('/'))
  if (!parsed.ok) return `its path is recorded in part: ${parsed.problem}`
  const tree = http.upgrade ? target.webSocket : target.http
  return tree.add(path, http.method, sighting) ? undefined : 'its target has too many different paths'
}

function add<Key>(ways: Map<Key, Callers>, key: Key, sighting: Sighting, room: Room): string | undefined {
  let callers = ways.get(key)
  if (!callers?.has(sighting.caller) && !room.take()) return TOO_MUCH
  if (!callers) ways.set(key, (callers = new Map()))
  note(callers, sighting)
  return undefined
}

const TOO_MUCH = 'there are too many different calls: learn from fewer targets at a time'

/** `namespace/name`; undefined for a workload that has no name to be known by. */
function callerOf(
  { workloadId, callerService }: TrafficEvent,
  { identity, caller }: Facts,
  { localTrustDomain }: Matrix,
): string | undefined {
  if (caller) return caller.id
  const { workload, user } = identity
  if (!workload) {
    if (workloadId !== undefined || callerService !== undefined) return undefined
    return user ? USERS : ANYONE
  }
  const { trustDomain, path } = workload.spiffeId
  const [, namespace, name] = /^\/ns\/([^/]+)\/sa\/([^/]+)$/.exec(path) ?? []
  const id = `${namespace}/${name}`
  return trustDomain === localTrustDomain && name !== undefined && SERVICE.test(id) ? id : undefined
}
