import type { Decision } from '../../decision/decision.js'
import type { RefusalReason } from '../../decision/reason.js'
import { readAccessRequest } from '../../ext-authz/read-access-request.js'
import type { Eventually } from '../../identity/eventually.js'
import type { Identity } from '../../identity/principal.js'
import type { Policy } from '../../policy/load-policy.js'
import type { Pointer } from '../../schema/problem.js'
import { NO_SESSION, UNKNOWN_CLIENT } from '../../segmentation/facts.js'
import { encodeHypotheticalCheck } from '../encode-check.js'
import { callOf, type Supposition } from '../supposition.js'
import { adviceOn, type RefusedBy } from './advice.js'
import { type Asked, factsOn, verdictOn } from './asked.js'
import { type DraftPolicy, draftOf } from './draft-policy.js'
import { addedText, type Edit } from './edit.js'
import { missesOf } from './nearest-miss.js'
import type { Way } from './opened.js'
import type { Part } from './part.js'
import { type Change, findChanges, type Loaded } from './search.js'

export type NearestMiss = {
  readonly rule: string
  /** `file:line:column`. */
  readonly source: string
  readonly of: 'target' | 'baseline'
  readonly parts: readonly Omit<Part, 'admit' | 'index'>[]
  /** How many of the parts are not met. */
  readonly unmet: number
}

export type SuggestedChange = {
  readonly edits: readonly {
    readonly say: string
    /** `file:line:column` of the document. */
    readonly document: string
    readonly op: Edit['op']
    readonly at: Pointer
    readonly yaml: string | undefined
  }[]
  readonly diff: string
  readonly opens: readonly Way[]
  /** False where there was too much to tell all that it opens, or whether it takes something away. */
  readonly opensAll: boolean
  /** What is decided with it on this very call; another room than the matrix may still refuse. */
  readonly then: { readonly decision: Decision['outcome']; readonly reason: string; readonly message: string }
}

/** Why a call is decided as it is, and what would have to be otherwise. */
export type Why = {
  readonly refusedBy: RefusedBy | undefined
  /** What the caller or somebody else must do where the matrix is not what refuses. */
  readonly advice: string | undefined
  /** Why a call passes that Enforce would refuse. */
  readonly passed: string | undefined
  readonly nearest: NearestMiss | undefined
  /** Undefined where no change was looked for; empty where none of at most two edits was found. */
  readonly changes: readonly SuggestedChange[] | undefined
}

/** Refusals of the matrix, which its documents can take back. */
const BY_MATRIX: ReadonlySet<RefusalReason> = new Set<RefusalReason>([
  'caller-unknown',
  'call-not-allowed',
  'endpoint-not-exposed',
  'scope-missing',
  'rule-not-matched',
  'forbidden',
])

export type Explained = {
  readonly supposed: Supposition
  readonly who: Identity
  readonly decision: Decision
  readonly serviceTokenHeader: string
  readonly nowMs: number
}

/** Explains the decision on a supposed call. `decideOn` decides the same call on another policy. */
export async function explainWhy(
  explained: Explained,
  loaded: Loaded,
  decideOn: (policy: Policy) => Eventually<Decision>,
): Promise<Why> {
  const { decision } = explained
  const refused = decision.wouldBe ?? (decision.outcome === 'allow' ? undefined : decision)
  const reason = refused?.reason === 'allowed' ? undefined : refused?.reason
  const passed = decision.wouldBe && passedWords(decision)
  if (reason === undefined) {
    return { refusedBy: undefined, advice: undefined, passed, nearest: undefined, changes: undefined }
  }
  const { by, advice } = adviceOn(reason)
  const asked = askedOf(explained)
  const draft = draftOf(loaded.sources, { ...loaded.options, dataPolicies: loaded.policy.classifications })
  if (!asked || !draft || !BY_MATRIX.has(reason)) {
    return { refusedBy: by, advice, passed, nearest: undefined, changes: undefined }
  }
  const changes: SuggestedChange[] = []
  for (const change of findChanges(draft, asked, loaded)) {
    const then = await decideOn(change.policy)
    const left = then.wouldBe ?? then
    if (left.reason === reason && left.message === refused?.message) continue
    changes.push(suggestion(change, then, loaded))
  }
  const nearest = nearestOf(draft, asked, loaded)
  return { refusedBy: by, advice: changes.length > 0 ? undefined : advice, passed, nearest, changes }
}

function passedWords({ mode, wouldBe, target }: Decision): string {
  const did = mode === 'Observe' ? 'only records' : 'records and lets pass'
  const what = wouldBe ? `${wouldBe.outcome} ${wouldBe.reason}` : ''
  return mode === 'Enforce'
    ? `the rule that would refuse (${what}) is not enforced itself, so it is only recorded`
    : `${target ?? 'the target'} is in mode ${mode}, which ${did} what Enforce would refuse (${what})`
}

function askedOf({ supposed, who, decision, serviceTokenHeader, nowMs }: Explained): Asked | undefined {
  const read = readAccessRequest(encodeHypotheticalCheck(callOf(supposed)), serviceTokenHeader)
  if (!read.ok) return undefined
  const gateway = supposed.listenerRole === 'Gateway'
  const { clientIp, riskScore, devicePosture, deviceTier } = decision
  return {
    request: read.request,
    // Roles that count, where a grant is missing for others.
    identity: { ...who, user: decision.user ?? who.user },
    listener: {
      name: 'explain',
      role: supposed.listenerRole,
      peerIdentity: gateway ? 'None' : 'Certificate',
      principalTrustDomains: [],
      trustedProxies: new Map(),
      trustedHops: 0,
      mtls: supposed.mtls,
      target: gateway ? ['extension', 'route'] : ['extension'],
    },
    known: {
      riskScore,
      riskSources: [],
      riskLevel: undefined,
      client: clientIp === undefined ? UNKNOWN_CLIENT : { ...UNKNOWN_CLIENT, ip: clientIp },
      session: NO_SESSION,
      device: { managed: undefined, tier: deviceTier, risk: devicePosture, beganMs: undefined },
      nowMs,
    },
  }
}

function nearestOf(draft: DraftPolicy, asked: Asked, loaded: Loaded): NearestMiss | undefined {
  const facts = factsOn(draft.matrix, asked)
  const [miss] = facts ? missesOf(draft, verdictOn(draft.matrix, facts).of) : []
  if (!miss) return undefined
  const parts = miss.parts.map(({ admit: _admit, index: _index, ...part }) => part)
  return {
    rule: miss.name,
    source: sourceText(loaded, miss.place.document, miss.place.at),
    of: miss.kind === 'rule' ? 'target' : 'baseline',
    parts,
    unmet: parts.filter(({ met }) => met !== true).length,
  }
}

function suggestion(
  { edits, diff, gained, complete }: Change,
  then: Decision,
  loaded: Loaded,
): SuggestedChange {
  const { outcome, reason, message } = then.wouldBe
    ? { outcome: then.wouldBe.outcome, reason: then.wouldBe.reason, message: then.wouldBe.message }
    : then
  return {
    edits: edits.map((edit) => ({
      say: edit.say,
      document: sourceText(loaded, edit.document, []),
      op: edit.op,
      at: edit.at,
      yaml: addedText(edit),
    })),
    diff,
    opens: gained,
    opensAll: complete,
    then: { decision: outcome, reason, message },
  }
}

function sourceText({ sources, options }: Loaded, document: number, at: Pointer): string {
  const position = sources[document]?.source.positionOf(at)
  if (!position) return ''
  const { directory = '' } = options
  const prefix = directory === '' || directory.endsWith('/') ? directory : `${directory}/`
  const file = position.file.startsWith(prefix) ? position.file.slice(prefix.length) : position.file
  return `${file}:${position.line}:${position.column}`
}
