import type { Surroundings } from '../../segmentation/directory.js'
import type { Facts } from '../../segmentation/facts.js'
import { type Condition, compileConditions } from '../../segmentation/when/condition.js'
import { compileKey, type Key } from '../../segmentation/when/key.js'
import { flowText } from './flow-text.js'
import type { Part } from './part.js'

const MAX_FOUND = 200

/** Each condition by itself: whether it holds, and the value it looked at. */
export function conditionParts(
  conditions: readonly Condition[],
  facts: Facts,
  {
    localTrustDomain,
    hasPlaces = true,
    hasDevices = true,
    namespace,
  }: Surroundings & { namespace: string | undefined },
): Part[] {
  const scope = { namespace, localTrustDomain, hasPlaces, hasDevices }
  const sound = (): void => undefined
  return conditions.map((condition, index): Part => {
    const met = compileConditions([condition], [], sound, scope)(facts)
    const written: string | undefined = condition.key
    const key = written === undefined ? undefined : compileKey(written, scope, sound)
    return {
      part: 'when',
      asks: flowText(condition),
      met,
      found: key && foundText(key, facts),
      index,
      key: written ?? 'cel',
      admit: key && met !== true ? admitted(condition, key, facts) : undefined,
    }
  })
}

function foundText(key: Key, facts: Facts): string {
  if (key.kind === 'time') return new Date(facts.nowMs).toISOString()
  if (key.kind === 'address') return addressText(key, facts) ?? 'nothing'
  const value: unknown = key.read(facts)
  if (value === undefined) return 'nothing'
  const text = flowText(value)
  return text.length > MAX_FOUND ? `${text.slice(0, MAX_FOUND)}…` : text
}

function addressText({ name }: Key, { client, request }: Facts): string | undefined {
  return name === 'source.ip' ? request.source.ip || undefined : client.ip
}

/** A list of exact values that the found one could join; no other way of making a condition hold is proposed. */
function admitted(condition: Condition, key: Key, facts: Facts): Part['admit'] {
  if (key.kind === 'address') {
    const ip = addressText(key, facts)
    if (!condition.cidr || ip === undefined) return undefined
    return { field: 'cidr', value: `${ip}/${ip.includes(':') ? 128 : 32}` }
  }
  if (!condition.values || key.kind === 'time' || key.kind === 'boolean') return undefined
  const value: unknown = key.read(facts)
  const one: unknown = Array.isArray(value) ? value[0] : value
  const text = typeof one === 'number' ? String(one) : one
  if (typeof text !== 'string' || text === '' || text.includes('*')) return undefined
  return { field: 'values', value: text }
}
