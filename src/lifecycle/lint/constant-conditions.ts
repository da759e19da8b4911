import { compileConditions, keysOf } from '../../segmentation/when/condition.js'
import { eventFacts } from '../learn/event-facts.js'
import { readTrafficLine } from '../traffic.js'
import { conditionLists } from './condition-lists.js'
import type { Tell } from './finding.js'
import { ADDRESSES } from './known-keys.js'
import type { LintedMesh, WrittenWhen } from './linted-mesh.js'

type Condition = WrittenWhen[number]

/** Conditions that are the same for every request: expressions of constants, and values that leave nothing out. */
export function findConstant(mesh: LintedMesh, tell: Tell): void {
  for (const document of mesh.documents) {
    for (const { pointer, name, when, permits } of conditionLists(document)) {
      for (const [index, condition] of when.entries()) {
        const at = [...pointer, 'when', index]
        const { key, cel } = condition
        const value = cel === undefined ? 'no constant' : constantOf(cel, mesh)
        if (value === false || (value === undefined && permits)) {
          const never = permits ? `the rule ${name} never matches` : `the conditions of ${name} never hold`
          const why = value === false ? 'is false for every request' : 'can never be evaluated'
          const message = `${never}: \`cel\` ${why}`
          tell(document.source, at, { severity: 'warning', code: 'unmeetable-condition', message })
        } else if (value === true || holdsAlways(condition)) {
          const what =
            value === true ? '`cel` is true for every request' : `\`${key}\` ${anything(condition)}`
          tell(document.source, at, {
            severity: 'warning',
            code: 'constant-condition',
            message: `a condition of ${name} leaves nobody out: ${what}`,
            hint: value === true ? undefined : 'write `present: true` if it has to be there and no more',
          })
        }
      }
    }
  }
}

/** What an expression without names comes to: undefined where that is neither true nor false. */
function constantOf(cel: string, { policy: { matrix } }: LintedMesh): boolean | 'no constant' | undefined {
  if (keysOf({ cel }).length > 0) return 'no constant'
  const scope = {
    namespace: undefined,
    localTrustDomain: matrix.localTrustDomain,
    hasPlaces: true,
    hasDevices: true,
  }
  let sound = true
  const holds = compileConditions([{ cel }], [], () => void (sound = false), scope)
  const nothing = readTrafficLine(NO_CALL)
  return sound && nothing.kind === 'event' ? holds(eventFacts(nothing.event, matrix)) : 'no constant'
}

/** A constant looks at nothing of it. */
const NO_CALL = JSON.stringify({
  eventType: 'authorization',
  timestamp: '1970-01-01T00:00:00Z',
  decisionId: '-',
  decision: 'deny',
  decisionReason: '-',
})

/** Of a value that is there, by this condition alone. */
function holdsAlways({ key, values, cidr, zone: _zone, ...others }: Condition): boolean {
  if (key === undefined || Object.values(others).some((operator) => operator !== undefined)) return false
  const isAddress = ADDRESSES.has(key) || key === 'remote.ip'
  if (!isAddress) return cidr === undefined && (values?.includes('*') ?? false)
  const lists = [values, cidr].filter((list) => list !== undefined)
  return lists.length > 0 && lists.every((list) => list.includes('0.0.0.0/0') && list.includes('::/0'))
}

function anything({ key = '' }: Condition): string {
  return ADDRESSES.has(key) || key === 'remote.ip' ? 'may be any address' : 'may be any text but an empty one'
}
