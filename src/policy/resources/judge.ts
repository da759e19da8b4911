import type { Problem } from '../../schema/problem.js'
import type { Steps } from '../../schema/steps.js'
import { API_GROUP, kinds } from '../kinds.js'
import { readResource } from './read-resource.js'
import { fieldsOf, keyOf, parseResource, type Resource } from './resource.js'
import { type InForce, type SettleOptions, settleInSteps } from './settle.js'
import { told } from './status.js'

const VERSION = 'v1beta1'
/** The API server shows no more than 4096 characters of all warnings. */
const MAX_WARNINGS = 20
const MAX_WARNING = 256

/** What would become of a resource if it were stored. */
export type Judgement = { readonly allowed: true; readonly warnings: readonly string[] } | Refused

type Refused = { readonly allowed: false; readonly message: string }

/** What stands, and is left as it is. */
export type Standing = {
  readonly resources: readonly Resource[]
  readonly inForce: ReadonlyMap<string, InForce>
  /** Namespaces that are read; empty: every one. */
  readonly namespaces: readonly string[]
}

export type Proposed = {
  readonly group: string
  readonly version: string
  readonly kind: string
  readonly object: unknown
  /** Stands for the object's own UID where it has none yet. */
  readonly uid: string
}

/** Says of a proposed resource what its status would say. Changes nothing. */
export function* judgeInSteps(
  proposed: Proposed,
  { resources, inForce, namespaces }: Standing,
  options: SettleOptions,
): Steps<Judgement> {
  const { group, version, kind } = proposed
  if (group !== API_GROUP || version !== VERSION || !kinds.has(kind)) {
    const wanted = `${[...kinds.keys()].join(', ')} of ${API_GROUP}/${VERSION}`
    return refused(`\`${kind}\` of \`${group}/${version}\` is not judged here: this version reads ${wanted}`)
  }
  const parsed = parseResource(kind, completed(proposed))
  if (!parsed.ok) return refused(parsed.problem)
  const { resource } = parsed
  const { namespace } = resource
  if (namespace !== undefined && namespaces.length > 0 && !namespaces.includes(namespace)) {
    return { allowed: true, warnings: [`the namespace ${namespace} is not read, so nothing comes of it`] }
  }
  const own = readResource(resource, options).problems
  if (own.length > 0) return refused(told(own, { resource }))
  yield
  const key = keyOf(resource)
  const others = resources.filter((each) => keyOf(each) !== key)
  const settled = yield* settleInSteps([...others, resource], inForce, options)
  if (!settled.ok) {
    const why = told(settled.problems, { resource })
    return { allowed: true, warnings: [clipped(`not judged beside the other resources: ${why}`)] }
  }
  const verdict = settled.verdicts.find((each) => each.resource === resource)
  if (!verdict) throw new Error('a resource was settled without a verdict')
  if (verdict.inForce !== 'this') return refused(told(verdict.problems, verdict))
  const about = [...verdict.unresolved, ...settled.loaded.warnings].filter(
    ({ position }) => position?.file === key,
  )
  return { allowed: true, warnings: warningsOf(about, resource) }
}

function refused(message: string): Refused {
  return { allowed: false, message }
}

/** What the API server sets only when it stores an object. */
function completed({ object, uid }: Proposed): unknown {
  const root = fieldsOf(object)
  const metadata = fieldsOf(root?.get('metadata'))
  if (!root || !metadata) return object
  const defaults = { uid, resourceVersion: '0', generation: 1 }
  return { ...Object.fromEntries(root), metadata: { ...defaults, ...Object.fromEntries(metadata) } }
}

function warningsOf(problems: readonly Problem[], resource: Resource): string[] {
  const texts = [...new Set(problems.map((problem) => clipped(told([problem], { resource }))))]
  const more = texts.length - MAX_WARNINGS
  return more > 0 ? [...texts.slice(0, MAX_WARNINGS), `and ${more} more`] : texts
}

function clipped(text: string): string {
  return text.length > MAX_WARNING ? `${text.slice(0, MAX_WARNING - 1)}…` : text
}
