import { expect, test } from '@jest/globals'
import { edited, draftOf } from '../../../../src/lifecycle/explain/draft-policy.js'
import { findChanges } from '../../../../src/lifecycle/explain/search.js'
import { loadPolicy } from '../../../../src/policy/load-policy.js'
import type { Matrix } from '../../../../src/segmentation/matrix.js'
import { type Call, factsFor, listenerOf, spiffeId, verdictOf } from '../../../support/mesh.js'
import { aCall, aPolicyText, generator } from './random-policy.js'

const OPTIONS = { localTrustDomain: 'cluster.local', trustDomains: [] }

/** Of one policy, so that common reasons leave time for rare ones. */
const MOST_OF_A_REASON = 2

function endpointAt(matrix: Matrix, call: Call): string | undefined {
  return factsFor(matrix, call).endpoint?.name
}

/** Whether two calls are one to the asked caller: what no endpoint looks at may differ. */
function isSame(one: Call, other: Call): boolean {
  const words = ({ from, to, method, path, upgrade = false, tcp = false, port }: Call) =>
    JSON.stringify(tcp ? [from, to, port] : [from, to, method, path, upgrade])
  const isUser = !other.user || JSON.stringify(one.user) === JSON.stringify(other.user)
  return isUser && one.tcp === other.tcp && words(one) === words(other)
}

test('every change that is proposed lets the asked call in, takes nothing away, and tells what else it opens', () => {
  const seed = Number(process.env['PROPERTY_SEED'] ?? Date.now() % 1_000_000_007)
  const random = generator(seed)
  const seen = new Map<string, { asked: number; changed: number }>()
  let flips = 0
  for (let round = 0; round < Number(process.env['PROPERTY_ROUNDS'] ?? 60); round++) {
    const files = [{ file: 'p/policy.yaml', text: aPolicyText(random) }]
    const loaded = loadPolicy(files, OPTIONS)
    if (!loaded.ok) {
      // Only ties are left to chance.
      const others = loaded.problems.filter(({ code }) => code !== 'endpoint-tie')
      expect({ seed, round, others }).toEqual({ seed, round, others: [] })
      continue
    }
    const { matrix } = loaded.policy
    const draft = draftOf(loaded.sources, { ...OPTIONS, dataPolicies: loaded.policy.classifications })
    if (!draft) throw new Error(`seed ${seed}: what loads does not compile`)
    const calls = Array.from({ length: 120 }, () => aCall(random))
    const tried = new Map<string, number>()
    for (const call of calls) {
      const before = verdictOf(matrix, call)
      if (before.permit) continue
      const often = tried.get(before.refusal.reason) ?? 0
      tried.set(before.refusal.reason, often + 1)
      if (often >= MOST_OF_A_REASON) continue
      const facts = factsFor(matrix, call)
      const listener = listenerOf(
        call.gateway ? { role: 'Gateway', peerIdentity: 'None', target: ['extension'] } : {},
      )
      const asked = { request: facts.request, identity: facts.identity, listener, known: facts }
      const changes = findChanges(draft, asked, { ...loaded, files, options: OPTIONS })
      const { reason } = before.refusal
      const count = seen.get(reason) ?? { asked: 0, changed: 0 }
      seen.set(reason, { asked: count.asked + 1, changed: count.changed + (changes.length > 0 ? 1 : 0) })
      for (const change of changes) {
        const told = JSON.stringify({ seed, round, call, edits: change.edits.map(({ say }) => say) })
        const applied = loadPolicy(
          files.map((file) => change.files.find((each) => each.file === file.file) ?? file),
          OPTIONS,
        )
        if (!applied.ok) throw new Error(`it does not load: ${told}`)
        if (change.edits.length === 1 && !edited(draft, change.edits)) throw new Error(`no draft: ${told}`)
        const after = applied.policy.matrix
        if (!verdictOf(after, call).permit) throw new Error(`it stays refused: ${told}`)
        for (const other of calls) {
          const [had, has] = [verdictOf(matrix, other).permit, verdictOf(after, other).permit]
          if (had === has) continue
          if (had && change.complete) throw new Error(`it takes away ${JSON.stringify(other)}: ${told}`)
          const endpoint = endpointAt(after, other)
          const caller = other.from ?? 'nobody'
          if (!change.complete || isSame(other, call)) continue
          flips++
          const stranger = call.from === caller ? spiffeId(caller).text : 'workloads that no document names'
          const name = caller === 'z/stranger' ? stranger : caller
          const isTold = change.gained.some(
            (way) => way.caller === name && way.target === other.to && way.endpoint === endpoint,
          )
          if (!isTold)
            throw new Error(`untold ${JSON.stringify(other)}: ${told}\n${JSON.stringify(change.gained)}`)
        }
      }
    }
  }
  const lacking = [
    'call-not-allowed',
    'rule-not-matched',
    'endpoint-not-exposed',
    'forbidden',
    'scope-missing',
  ].filter((reason) => (seen.get(reason)?.changed ?? 0) === 0)
  if (process.env['PROPERTY_TELL']) process.stdout.write(`${JSON.stringify([...seen])} ${flips}\n`)
  expect({ seed, lacking, flips: flips > 0 }).toEqual({ seed, lacking: [], flips: true })
})
