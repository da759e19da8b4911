import type { ServicePolicy } from '../../src/segmentation/service-policy.js'
import type { Call } from './mesh.js'

/** A call with what `mesh.ts` leaves out. */
export type Asked = Call & {
  readonly sourceIp?: string
  readonly roles?: readonly string[]
  /** The trusted proxy that forwards the caller, named as `from` names it. */
  readonly via?: string
}

export type Maybe = boolean | undefined

/** Three values, whatever the order: a false decides, else something unknown does. */
export const all = (parts: readonly Maybe[]): Maybe =>
  parts.includes(false) ? false : parts.includes(undefined) ? undefined : true

export const anyHolds = (parts: readonly Maybe[]): Maybe =>
  parts.includes(true) ? true : parts.includes(undefined) ? undefined : false

/** What conditions may look at beside the call. */
export type Around = {
  /** Of a caller of the local trust domain that a document names. */
  readonly callerNamespace: string | undefined
  readonly callerLabels: Readonly<Record<string, string>> | undefined
  /** Name of the endpoint that was chosen. */
  readonly endpoint: string | undefined
}

type Condition = NonNullable<NonNullable<ServicePolicy['spec']['rules']>[number]['when']>[number]

const like = (pattern: string, value: string) =>
  pattern.endsWith('*') ? value.startsWith(pattern.slice(0, -1)) : pattern === value

function textOf(
  key: string,
  call: Asked,
  { callerNamespace, callerLabels, endpoint }: Around,
): string | undefined {
  switch (key) {
    case 'request.headers[x-k]': {
      const [first, ...others] = (call.headers ?? []).map(([, value]) => value)
      return call.tcp || others.length > 0 || first?.includes(',') ? undefined : first
    }
    case 'request.method':
      return call.tcp ? undefined : call.method
    case 'request.path':
      return call.tcp ? undefined : call.path
    case 'workload.namespace':
      return callerNamespace
    case 'workload.labels[tier]':
      return callerLabels?.['tier']
    case 'target.endpoint':
      return endpoint
    case 'source.ip':
      return call.sourceIp
    default:
      throw new Error(`${key} is no text that the generator writes`)
  }
}

function isPresent(key: string, call: Asked, around: Around): Maybe {
  if (key === 'request.headers[x-k]') return call.tcp ? undefined : (call.headers ?? []).length > 0
  if (key === 'user.roles') return call.roles !== undefined && call.user !== undefined
  return textOf(key, call, around) !== undefined
}

function comparisons(condition: Condition, call: Asked, around: Around): Maybe[] {
  const { key = '', values, notValues, is, atLeast, below, cidr } = condition
  if (key === 'user.mfa') return [call.user ? (call.user.mfaVerified ?? false) === is : undefined]
  if (key === 'destination.port') {
    const port = call.port ?? 8080
    return [atLeast === undefined || port >= atLeast, below === undefined || port < below]
  }
  const items =
    key === 'user.roles' ? (call.user ? call.roles : undefined) : [textOf(key, call, around)].filter(isText)
  const known = items && (key === 'user.roles' || items.length > 0) ? items : undefined
  const some = (patterns: readonly string[]): Maybe =>
    known?.some((item) => patterns.some((pattern) => like(pattern, item)))
  const refused = notValues && some(notValues)
  return [
    ...(values ? [some(values)] : []),
    ...(notValues ? [refused === undefined ? undefined : !refused] : []),
    // The generator writes 10.0.0.0/8 alone.
    ...(cidr ? [known?.some((address) => address.startsWith('10.'))] : []),
  ]
}

const isText = (text: string | undefined): text is string => text !== undefined

/** Whether all conditions of a rule hold. */
export function whenHolds(when: readonly Condition[] | undefined, call: Asked, around: Around): Maybe {
  const parts: Maybe[] = []
  for (const condition of when ?? []) {
    const { key = '', present } = condition
    if (present !== undefined) parts.push(equals(isPresent(key, call, around), present))
    parts.push(...comparisons(condition, call, around))
  }
  return all(parts)
}

const equals = (found: Maybe, wanted: boolean): Maybe => (found === undefined ? undefined : found === wanted)
