import { expect, test } from '@jest/globals'
import type { PolicyInForce } from '../../../src/authorize.js'
import type { Decision, Step } from '../../../src/decision/decision.js'
import { decideSupposed } from '../../../src/lifecycle/decide-supposed.js'
import { loadPolicy } from '../../../src/policy/load-policy.js'
import { NOWHERE } from '../../../src/risk/locate.js'
import { evaluateMatrix, type MatrixVerdict } from '../../../src/segmentation/evaluate.js'
import type { Facts } from '../../../src/segmentation/facts.js'
import type { Matrix } from '../../../src/segmentation/matrix.js'
import { NOTHING_KNOWN } from '../../../src/state/recall.js'
import { factsFor, matrixOf, problemsOf, spiffeId } from '../../support/mesh.js'
import type { Asked } from '../../support/naive-conditions.js'
import { naiveDecision } from '../../support/naive-decision.js'
import { type Naive, naiveFinding } from '../../support/naive-matrix.js'
import { aCall, aMesh, generator, smaller } from '../../support/naive-mesh.js'

/**
 * Meshes with ties are passed over, so it goes on until so many calls were compared and every verdict was reached, if
 * need be to the last mesh.
 */
const ENOUGH_CALLS = 20_000
const MOST_MESHES = 2000
const CALLS = 90

/** Without adaptive rules; of everything else what is built in. */
const loaded = loadPolicy(
  [
    {
      file: 'bare.yaml',
      text: 'apiVersion: portcullis.dev/v1beta1\nkind: AdaptivePolicy\nmetadata: { name: default }\nspec: { rules: [] }\n',
    },
  ],
  { localTrustDomain: 'cluster.local', trustDomains: ['partner.example'], hasDevices: false },
)
if (!loaded.ok) throw new Error('the bare policy does not load')
const bare = loaded.policy

function askedFacts(matrix: Matrix, call: Asked): Facts {
  const facts = factsFor(matrix, call)
  const { request, identity } = facts
  const workload = identity.workload && {
    ...identity.workload,
    ...(call.via !== undefined && { via: { spiffeId: spiffeId(call.via) } }),
  }
  const source = { ...request.source, ip: call.sourceIp ?? '' }
  return { ...facts, identity: { ...identity, workload }, request: { ...request, source } }
}

/** The whole way of a request, from the bytes of a Check to the decision. */
function decisionOn(policy: PolicyInForce, { identity, nowMs }: Facts, call: Asked, steps: Step[]): Decision {
  const upgrade = [
    ['connection', 'Upgrade'],
    ['upgrade', 'websocket'],
  ] as const
  const supposed = {
    target: call.to,
    method: call.method ?? 'GET',
    path: call.path ?? '/',
    tcp: call.tcp,
    port: call.port ?? 8080,
    sourceIp: call.sourceIp ?? '',
    header: [...(call.headers ?? []), ...(call.upgrade ? upgrade : [])],
    listenerRole: call.gateway ? 'Gateway' : 'Sidecar',
    mtls: 'Permissive',
    issuer: '',
  } as const
  const lookups = {
    recall: (keys: typeof NOTHING_KNOWN.keys) => ({ ...NOTHING_KNOWN, keys }),
    locate: () => NOWHERE,
    signals: false,
  }
  const decision = decideSupposed(supposed, identity, policy, lookups, 'x-service-token', nowMs, steps)
  if (decision instanceof Promise) throw new Error('a decision without IO is made at once')
  return decision
}

/** Which step refuses with which reason. */
const STEP_OF: Readonly<Record<string, readonly string[]>> = {
  forbidden: ['forbids'],
  'target-unknown': ['endpoint'],
  'endpoint-not-exposed': ['endpoint', 'requirement'],
  'no-credentials': ['requirement'],
  'certificate-required': ['requirement'],
  'user-required': ['requirement'],
  'caller-unknown': ['calls'],
  'call-not-allowed': ['calls'],
  'rule-not-matched': ['rules'],
  'scope-missing': ['scopes'],
}
const OF_MATRIX = new Set(['forbids', 'endpoint', 'requirement', 'calls', 'rules', 'baseline', 'scopes'])
/** These two tell more than the refusal, which goes to the caller: what would have matched. */
const TELLS_MORE = new Set(['endpoint', 'rules'])

/** How the steps contradict the verdict; undefined where they don't. */
function contradiction(steps: readonly Step[], verdict: MatrixVerdict): string | undefined {
  const ofMatrix = steps.filter(({ step, outcome }) => OF_MATRIX.has(step) && outcome !== 'info')
  const last = ofMatrix.at(-1)
  if (verdict.permit) {
    // The baseline may stand for halves that refused.
    const rescued = ofMatrix.findLastIndex(({ step }) => step === 'baseline')
    const failed = ofMatrix.slice(rescued + 1).find(({ outcome }) => outcome === 'fail')
    return failed && `permitted, and the step ${failed.step} failed: ${failed.detail}`
  }
  const { reason, message } = verdict.refusal
  if (last?.outcome !== 'fail')
    return `refused with ${reason}, and the last step is ${last?.step}, not failed`
  if (!STEP_OF[reason]?.includes(last.step)) return `refused with ${reason}, and the step ${last.step} failed`
  if (TELLS_MORE.has(last.step) || last.detail.endsWith(message)) return undefined
  return `refused since ${message}, and the step ${last.step} says ${last.detail}`
}

/** What does not agree on a call; undefined where everything does. */
function disagreement(mesh: Naive, matrix: Matrix, call: Asked, isWhole = true): string | undefined {
  const facts = askedFacts(matrix, call)
  const verdict = evaluateMatrix(matrix, facts)
  const actual = verdict.permit ? 'allowed' : verdict.refusal.reason
  const finding = naiveFinding(mesh, call)
  const { verdict: expected } = finding
  if (actual !== expected) return `the matrix says ${actual}, the documents say ${expected}`

  const steps: Step[] = []
  const told = evaluateMatrix(matrix, facts, steps)
  if (JSON.stringify(told) !== JSON.stringify(verdict)) return 'steps change the verdict'
  const own = contradiction(steps, verdict)
  if (own !== undefined) return own

  if (!isWhole) return undefined
  const onTheWay: Step[] = []
  const decision = decisionOn({ ...bare, matrix }, facts, call, onTheWay)
  const decided = { outcome: decision.outcome, reason: decision.reason, wouldBe: decision.wouldBe?.reason }
  const naive = naiveDecision(mesh, call, finding)
  if (JSON.stringify(decided) !== JSON.stringify(naive)) {
    return `the whole way says ${JSON.stringify(decided)}, the documents say ${JSON.stringify(naive)}`
  }
  const matrixSteps = (list: readonly Step[]) =>
    JSON.stringify(list.filter(({ step }) => OF_MATRIX.has(step)))
  if (matrixSteps(onTheWay) !== matrixSteps(steps)) return 'the whole way tells other steps than the matrix'
  const isOfMatrix = decision.outcome === 'deny' && call.via === undefined && !verdict.permit
  if (isOfMatrix && decision.message !== verdict.refusal.message) {
    return `denied since ${decision.message}, and the matrix refuses since ${verdict.refusal.message}`
  }
  return undefined
}

function isMesh(value: unknown): value is Naive {
  return typeof value === 'object' && value !== null && 'services' in value && 'baseline' in value
}

/** What a smaller mesh does not agree on; undefined too where it would not load. */
function stillDisagrees(mesh: unknown, call: Asked): string | undefined {
  if (!isMesh(mesh)) return undefined
  try {
    return disagreement(mesh, matrixOf(...mesh.services, mesh.baseline), call)
  } catch {
    // No sound mesh any more: a document lacks what it must have.
    return undefined
  }
}

/** Leaves out whatever is not needed for a disagreement. */
function shrunk(mesh: Naive, call: Asked): Naive {
  for (const less of smaller(mesh)) {
    if (isMesh(less) && stillDisagrees(less, call) !== undefined) return shrunk(less, call)
  }
  return mesh
}

test('a mesh that disagrees is shrunk to what is needed for it', () => {
  expect([...smaller({ a: [1, { b: 2 }] })]).toEqual([{}, { a: [{ b: 2 }] }, { a: [1] }, { a: [1, {}] }])
  expect(stillDisagrees({}, { to: 'x/a' })).toBeUndefined()
})

test('the compiled matrix, its steps, the whole way and a naive reading of the documents agree', () => {
  const first = Number(process.env['PROPERTY_SEED'] ?? Date.now() % 1_000_000_007)
  const seen = new Map<string, number>()
  const count = (what: string) => seen.set(what, (seen.get(what) ?? 0) + 1)
  // A generator that never reaches a verdict would prove nothing about it.
  const wanted = [
    ...Object.keys(STEP_OF).map((reason) => `deny ${reason}`),
    'allow allowed',
    'challenge step-up-required',
    'would be forbidden',
    'would be step-up-required',
    'would be call-not-allowed',
  ]
  const rarely = (): string[] => wanted.filter((verdict) => (seen.get(verdict) ?? 0) < 10)
  const isEnough = (): boolean => calls >= ENOUGH_CALLS && rarely().length === 0
  let calls = 0
  for (let seed = first; seed < first + MOST_MESHES && !isEnough(); seed++) {
    const random = generator(seed)
    const mesh = aMesh(random)
    const written = [...mesh.services, mesh.baseline]
    if (mesh.services.length === 0) continue
    const problems = problemsOf(...written).filter((problem) => !problem.includes(' warning '))
    // Only ties are left to chance: everything else the generator writes is sound.
    expect({ seed, problems: problems.filter((problem) => !problem.includes('endpoint-tie')) }).toEqual({
      seed,
      problems: [],
    })
    if (problems.length > 0) continue
    const matrix = matrixOf(...written)
    for (let at = 0; at < CALLS; at++) {
      const call = aCall(random)
      const found = disagreement(mesh, matrix, call, at % 2 === 0)
      if (found !== undefined) {
        const least = shrunk(mesh, call)
        throw new Error(
          `PROPERTY_SEED=${seed}: ${found}\n${JSON.stringify(call)}\n${stillDisagrees(least, call)}\n${JSON.stringify(least)}`,
        )
      }
      calls++
      const { outcome, reason, wouldBe } = naiveDecision(mesh, call)
      count(`${outcome} ${reason}`)
      if (wouldBe !== undefined) count(`would be ${wouldBe}`)
    }
  }
  const rare = rarely()
  expect({ first, rare, enough: calls >= ENOUGH_CALLS || calls }).toEqual({ first, rare: [], enough: true })
}, 60_000)
