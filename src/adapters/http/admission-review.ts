/** What the API server asks about. */
export type ReviewRequest = {
  readonly uid: string
  readonly group: string
  readonly version: string
  readonly kind: string
  readonly operation: string
  /** Empty: the resource itself. */
  readonly subResource: string
  /** Not looked at yet; null where one is deleted. */
  readonly object: unknown
}

export type Reviewed =
  | { readonly allowed: true; readonly warnings: readonly string[] }
  | { readonly allowed: false; readonly message: string }

type Read =
  { readonly ok: true; readonly request: ReviewRequest } | { readonly ok: false; readonly problem: string }

const API_VERSION = 'admission.k8s.io/v1'

/** Source: the Kubernetes API, admission.k8s.io/v1 AdmissionReview. */
export function readReview(bytes: Uint8Array): Read {
  const refuse = (problem: string): Read => ({ ok: false, problem })
  let parsed: unknown
  try {
    parsed = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch {
    return refuse('the body is no JSON')
  }
  const root = fieldsOf(parsed)
  if (root?.get('kind') !== 'AdmissionReview' || root.get('apiVersion') !== API_VERSION) {
    return refuse(`the body is no AdmissionReview of ${API_VERSION}`)
  }
  const request = fieldsOf(root.get('request'))
  const of = fieldsOf(request?.get('kind'))
  const uid = textOf(request, 'uid')
  const operation = textOf(request, 'operation')
  const group = textOf(of, 'group')
  const version = textOf(of, 'version')
  const kind = textOf(of, 'kind')
  if (!request || !uid || !operation || group === undefined || !version || !kind) {
    return refuse('`request` has no uid, kind or operation')
  }
  const subResource = textOf(request, 'subResource') ?? ''
  return {
    ok: true,
    request: { uid, group, version, kind, operation, subResource, object: request.get('object') ?? null },
  }
}

/** The AdmissionReview that answers, as JSON. */
export function answerOf(uid: string, reviewed: Reviewed): string {
  const response = reviewed.allowed
    ? { uid, allowed: true, ...(reviewed.warnings.length > 0 && { warnings: reviewed.warnings }) }
    : {
        uid,
        allowed: false,
        status: { status: 'Failure', reason: 'Invalid', code: 422, message: reviewed.message },
      }
  return JSON.stringify({ apiVersion: API_VERSION, kind: 'AdmissionReview', response })
}

type FieldMap = ReadonlyMap<string, unknown>

function fieldsOf(value: unknown): FieldMap | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? new Map<string, unknown>(Object.entries(value))
    : undefined
}

function textOf(fields: FieldMap | undefined, name: string): string | undefined {
  const value = fields?.get(name)
  return typeof value === 'string' ? value : undefined
}
