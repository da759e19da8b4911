import type { Static } from '@sinclair/typebox'
import type { Step } from '../../src/decision/decision.js'
import type { UserPrincipal } from '../../src/identity/principal.js'
import type { SpiffeId } from '../../src/identity/spiffe-id.js'
import type { Asker, ListenerRules } from '../../src/request/listener.js'
import type { AccessRequest } from '../../src/request/access-request.js'
import { shapeFindings } from '../../src/schema/shape.js'
import { type BaselinePolicy, BaselinePolicySchema } from '../../src/segmentation/baseline-policy.js'
import { compileMatrix, type PolicyDocument, serviceOfIdentity } from '../../src/segmentation/compile.js'
import { chooseEndpoint, evaluateMatrix, type MatrixVerdict } from '../../src/segmentation/evaluate.js'
import { type Facts, NO_DEVICE, NO_SESSION, UNKNOWN_CLIENT } from '../../src/segmentation/facts.js'
import type { Matrix } from '../../src/segmentation/matrix.js'
import { type ServicePolicy, ServicePolicySchema } from '../../src/segmentation/service-policy.js'
import { resolveTarget } from '../../src/segmentation/target.js'
import { aCall, aUser, NOW_MS } from './facts.js'

export type ServiceSpec = ServicePolicy['spec']
export type Written = ServicePolicy | BaselinePolicy

/** A ServicePolicy of `namespace/name`. */
export function service(id: string, spec: ServiceSpec = {}, labels?: Record<string, string>): ServicePolicy {
  const [namespace = '', name = ''] = id.split('/')
  return {
    apiVersion: 'portcullis.dev/v1beta1',
    kind: 'ServicePolicy',
    metadata: { name, namespace, ...(labels && { labels }) },
    spec,
  }
}

export function baseline(
  spec: Static<typeof BaselinePolicySchema>['spec'],
  name = 'default',
): BaselinePolicy {
  return { apiVersion: 'portcullis.dev/v1beta1', kind: 'BaselinePolicy', metadata: { name }, spec }
}

const input = (written: readonly Written[]) => ({
  documents: written.map((document, index): PolicyDocument => {
    const schema = document.kind === 'ServicePolicy' ? ServicePolicySchema : BaselinePolicySchema
    const misfits = shapeFindings(schema, document)
    if (misfits.length > 0) throw new Error(misfits.map(({ message }) => message).join('\n'))
    const sourceOf = (pointer: readonly (string | number)[]) =>
      `${document.metadata.name}:${pointer.join('.')}`
    return { ...document, index, sourceOf }
  }),
  localTrustDomain: 'cluster.local',
  trustDomains: ['partner.example'],
  revision: 'r1',
})

/** `document pointer code: message` of everything wrong with the documents. */
export function problemsOf(...written: Written[]): string[] {
  const compiled = compileMatrix(input(written))
  const problems = compiled.ok ? compiled.warnings : compiled.problems
  return problems.map(({ document, pointer, severity, code, message }) => {
    const warning = severity === 'warning' ? 'warning ' : ''
    return `${written[document]?.metadata.name} ${pointer.join('.')} ${warning}${code}: ${message}`
  })
}

export function matrixOf(...written: Written[]): Matrix {
  const compiled = compileMatrix(input(written))
  if (!compiled.ok) throw new Error(problemsOf(...written).join('\n'))
  return compiled.matrix
}

/** One call; what is left out is absent, but for the method GET and the path `/`. */
export type Call = {
  /** `namespace/name` of a service account in the local trust domain, or a SPIFFE ID; absent: no workload. */
  readonly from?: string | undefined
  readonly to: string
  readonly user?: Partial<UserPrincipal> | undefined
  /** Scopes of a service token. */
  readonly token?: readonly string[] | undefined
  readonly method?: string
  readonly path?: string
  readonly upgrade?: boolean
  readonly grpc?: boolean
  /** A TCP check, when there is no http. */
  readonly tcp?: boolean
  readonly port?: number
  readonly gateway?: boolean
  readonly headers?: readonly (readonly [string, string])[]
}

export function spiffeId(text: string): SpiffeId {
  const [namespace, name] = text.split('/')
  const full = text.startsWith('spiffe://') ? text : `spiffe://cluster.local/ns/${namespace}/sa/${name}`
  const trustDomain = full.split('/')[2] ?? ''
  return { text: full, trustDomain, path: full.slice(`spiffe://${trustDomain}`.length) }
}

export function requestOf(call: Partial<Call>): AccessRequest {
  const { method = 'GET', path = '/', upgrade = false, grpc = false, headers = [] } = call
  return {
    requestId: '',
    source: { ip: '', port: 0, principal: '', certificate: '' },
    destination: { ip: '', port: call.port ?? 8080, principal: '' },
    http: call.tcp ? undefined : aCall({ method, path, upgrade, grpc, headers }),
    contextExtensions: new Map(call.to === undefined ? [] : [['portcullis.service', call.to]]),
    sni: '',
  }
}

export function listenerOf(rules: Partial<ListenerRules> = {}): ListenerRules {
  return {
    name: 'mesh',
    role: 'Sidecar',
    peerIdentity: 'Certificate',
    principalTrustDomains: [],
    trustedProxies: new Map(),
    trustedHops: 0,
    mtls: 'Strict',
    target: ['principal', 'extension'],
    ...rules,
  }
}

export const NO_ASKER: Asker = { spiffeId: undefined }

export function factsFor(matrix: Matrix, call: Call): Facts {
  const request = requestOf(call)
  const resolved = resolveTarget(matrix, request, listenerOf(), NO_ASKER)
  if (!resolved.ok) throw new Error(resolved.refusal.message)
  const id = call.from === undefined ? undefined : spiffeId(call.from)
  return {
    request,
    identity: {
      workload: id && { spiffeId: id, verifiedBy: 'certificate' },
      serviceToken: call.token && { issuer: 'i', service: call.from ?? '', scopes: call.token, jti: 'j' },
      user: call.user && aUser(call.user),
    },
    caller: id && serviceOfIdentity(matrix, id),
    target: resolved.target,
    endpoint: chooseEndpoint(resolved.target, request),
    gateway: call.gateway ?? false,
    riskScore: undefined,
    riskSources: [],
    riskLevel: undefined,
    client: UNKNOWN_CLIENT,
    device: NO_DEVICE,
    session: NO_SESSION,
    nowMs: NOW_MS,
  }
}

export function verdictOf(matrix: Matrix, call: Call, steps?: Step[]): MatrixVerdict {
  return evaluateMatrix(matrix, factsFor(matrix, call), steps)
}

/** `allow`, `allow by RULE`, or the reason of the refusal. */
export function ask(matrix: Matrix, call: Call): string {
  const verdict = verdictOf(matrix, call)
  if (!verdict.permit) return verdict.refusal.reason
  return verdict.rule === undefined ? 'allow' : `allow by ${verdict.rule}`
}
