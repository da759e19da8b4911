import { createHash } from 'node:crypto'
import { kinds } from '../kinds.js'

/** A custom resource as policy is made of it; never changed. */
export type Resource = {
  readonly kind: string
  /** Undefined for cluster-wide kinds. */
  readonly namespace: string | undefined
  readonly name: string
  readonly uid: string
  /** Rises with every change of `spec`. */
  readonly generation: number
  readonly resourceVersion: string
  /** RFC 3339. */
  readonly createdAt: string
  readonly labels: Readonly<Record<string, string>> | undefined
  readonly spec: unknown
  /** As it is stored: what a Portcullis wrote there last. */
  readonly status: unknown
  /** SHA-256 of labels and spec, hex: what decisions depend on. */
  readonly content: string
}

export type ParsedResource =
  { readonly ok: true; readonly resource: Resource } | { readonly ok: false; readonly problem: string }

/** Deeper than any schema of ours goes. */
const MAX_DEPTH = 64

/** What problems and rule sources call it: `servicepolicy/shop/payment`, `baselinepolicy/default`. */
export function keyOf({ kind, namespace, name }: Pick<Resource, 'kind' | 'namespace' | 'name'>): string {
  return [kind.toLowerCase(), ...(namespace === undefined ? [] : [namespace]), name].join('/')
}

/** Only one kind lies in namespaces. */
export function isNamespaced(kind: string): boolean {
  return kind === 'ServicePolicy'
}

/**
 * Reads an object of the Kubernetes API. It is no check of the policy in it: what fails here was not written by an
 * API server. Annotations and the fields that Kubernetes keeps for itself are left out.
 */
export function parseResource(kind: string, value: unknown): ParsedResource {
  const root = fieldsOf(value)
  const metadata = fieldsOf(root?.get('metadata'))
  const text = (name: string): string | undefined => {
    const field = metadata?.get(name)
    return typeof field === 'string' && field !== '' ? field : undefined
  }
  const [name, uid, resourceVersion] = [text('name'), text('uid'), text('resourceVersion')]
  const generation = metadata?.get('generation')
  const namespace = text('namespace')
  if (!kinds.has(kind) || !root || name === undefined || uid === undefined || resourceVersion === undefined)
    return { ok: false, problem: `an object that is no ${kind}` }
  if ((namespace !== undefined) !== isNamespaced(kind))
    return { ok: false, problem: `a ${kind} that is ${namespace === undefined ? 'in no' : 'in a'} namespace` }
  if (typeof generation !== 'number' || !Number.isSafeInteger(generation))
    return { ok: false, problem: `a ${kind} without a generation` }
  const labels = plain(metadata?.get('labels'), 0)
  const spec = plain(root.get('spec'), 0)
  if (labels === TOO_DEEP || spec === TOO_DEEP)
    return { ok: false, problem: `a ${kind} nested deeper than ${MAX_DEPTH} levels` }
  return {
    ok: true,
    resource: {
      kind,
      namespace,
      name,
      uid,
      generation,
      resourceVersion,
      createdAt: text('creationTimestamp') ?? '',
      labels: isTexts(labels) ? labels : undefined,
      spec,
      status: root.get('status'),
      content: createHash('sha256')
        .update(JSON.stringify([labels, spec]))
        .digest('hex'),
    },
  }
}

const TOO_DEEP = Symbol('too deep')

/** A copy whose maps have no prototype and whose keys are sorted. */
function plain(value: unknown, depth: number): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (depth > MAX_DEPTH) return TOO_DEEP
  const copies = (Array.isArray(value) ? value : []).map((each: unknown) => plain(each, depth + 1))
  if (copies.includes(TOO_DEEP)) return TOO_DEEP
  if (Array.isArray(value)) return copies
  const copy: Record<string, unknown> = Object.create(null)
  for (const [name, inner] of Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : Number(a > b)))) {
    const inside = plain(inner, depth + 1)
    if (inside === TOO_DEEP) return TOO_DEEP
    copy[name] = inside
  }
  return copy
}

/** Own fields of an object; undefined for anything else. */
export function fieldsOf(value: unknown): ReadonlyMap<string, unknown> | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? new Map<string, unknown>(Object.entries(value))
    : undefined
}

function isTexts(value: unknown): value is Readonly<Record<string, string>> {
  const fields = fieldsOf(value)
  return fields !== undefined && [...fields.values()].every((text) => typeof text === 'string')
}
