import { setImmediate } from 'node:timers/promises'
import type { AdminPorts } from '../../admin/ports.js'
import { readGrant } from '../../grants/grant.js'
import { useOf } from '../../grants/grant-use.js'
import { type ReviewedRule, reviewAccess } from '../../grants/review.js'
import { lastRuleUseMs, OBSERVATION_KEY, observedSinceMs, ruleUseKey } from '../../grants/rule-use.js'
import { writeReviewCsv, writeReviewTable } from '../../grants/write-review.js'
import type { Policy } from '../../policy/load-policy.js'
import type { StateStore } from '../../state/store.js'
import { grantsKey } from '../../state/subjects.js'
import { AWAY, found } from './answers.js'

const PAGE = 500
const SERVICES_A_TURN = 20

/** Every grant, and when each rule last let a call pass. */
export function reviewPort({
  store,
  policy,
  nowMs,
}: {
  readonly store: Pick<StateStore, 'read' | 'documents'>
  readonly policy: () => Policy
  readonly nowMs: () => number
}): AdminPorts['grants']['review'] {
  return async (unusedForMs, format) => {
    const atMs = nowMs()
    const grants = []
    let cursor: string | undefined
    do {
      const page = await store.documents.list('grants', cursor, PAGE)
      if (page === 'unavailable') return AWAY
      for (const { text } of page.documents) {
        const grant = readGrant(text)
        if (!grant) continue
        const record = await store.read(grantsKey(grant.subject.issuer, grant.subject.subject), atMs)
        if (record === 'unavailable') return AWAY
        grants.push({ grant, use: useOf(grant, record) })
      }
      cursor = page.next
    } while (cursor !== undefined)
    const rules: ReviewedRule[] = []
    let turn = 0
    for (const service of policy().matrix.services.values()) {
      // Calls are answered meanwhile.
      if (++turn % SERVICES_A_TURN === 0) await setImmediate()
      for (const { name, source } of service.rules) {
        const record = await store.read(ruleUseKey(service.id, name), atMs)
        if (record === 'unavailable') return AWAY
        rules.push({
          id: `${service.id}/${name}`,
          source,
          service: service.id,
          name,
          lastUsedMs: lastRuleUseMs(record),
        })
      }
    }
    const observation = await store.read(OBSERVATION_KEY, atMs)
    if (observation === 'unavailable') return AWAY
    const since = observedSinceMs(observation)
    const report = reviewAccess({ grants, rules, observedSinceMs: since, unusedForMs, nowMs: atMs })
    if (format === 'csv') return found(writeReviewCsv(report))
    return found(format === 'table' ? writeReviewTable(report) : JSON.stringify(report))
  }
}
