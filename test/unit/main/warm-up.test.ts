import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { REPOSITORY } from '../../../demo/lay.js'
import { prepareReplies } from '../../../src/ext-authz/reply.js'
import { warmUp } from '../../../src/main/warm-up.js'
import { loadPolicy, type Policy } from '../../../src/policy/load-policy.js'
import type { PolicyFile } from '../../../src/policy/read-documents.js'

const NO_HEADERS = {
  userId: '',
  userRoles: '',
  deviceTrust: '',
  callerService: '',
  callerId: '',
  obligations: '',
}
const WORDING = { stepUpStatus: 401, acrValues: [], realm: 'shop', showMessages: false } as const

function policyOf(files: readonly PolicyFile[]): Policy {
  const loaded = loadPolicy(files, { localTrustDomain: 'cluster.local', trustDomains: [], hasDevices: true })
  if (!loaded.ok) throw new Error(loaded.problems.map(({ message }) => message).join('\n'))
  return loaded.policy
}

/** As the server hands them on, with parts that must stay unused. */
async function warm(files: readonly PolicyFile[]): Promise<{ decided: number; told: string[] }> {
  const told: string[] = []
  const tell =
    (what: string) =>
    (...given: unknown[]): undefined =>
      void told.push(`${what} ${String(given[0])}`)
  const parts = {
    serviceTokenHeader: 'x-service-token',
    reply: prepareReplies(NO_HEADERS, WORDING),
    nowMs: Date.now,
    clockUs: () => performance.now() * 1000,
    report: tell('failure'),
    record: tell('event'),
    learn: tell('lesson'),
    recordCheck: tell('recorded Check'),
    follow: tell('trace'),
    observe: tell('figure'),
    usualTime: { note: tell('usual time') },
    shed: tell('refusal unseen'),
    mintAssertion: tell('assertion'),
    newDecisionId: tell('decision ID'),
  }
  const decided = await warmUp({ ...parts, policy: policyOf(files) })
  return { decided, told }
}

test('of the example mesh each service is asked for by each, and nothing comes of it', async () => {
  const folder = join(REPOSITORY, 'examples/mesh/policy')
  const files = readdirSync(folder).map((file) => ({ file, text: readFileSync(join(folder, file), 'utf8') }))
  const services = policyOf(files).matrix.services.size
  expect(services).toBe(10)
  expect(await warm(files)).toEqual({ decided: 3 * services ** 2, told: [] })
})

test('without a service there is nothing to decide', async () => {
  const text = readFileSync(join(REPOSITORY, 'k8s/base/policy/baseline.yaml'), 'utf8')
  expect(await warm([{ file: 'baseline.yaml', text }])).toEqual({ decided: 0, told: [] })
})

test('a large policy takes no longer than one of twelve services', async () => {
  const service = (name: string): string => `
apiVersion: portcullis.dev/v1beta1
kind: ServicePolicy
metadata: { name: ${name}, namespace: shop }
spec: { rules: [{ name: all, from: [{ any: true }], when: [{ cel: "request.method == 'GET'" }] }] }
`
  const text = Array.from({ length: 60 }, (_, n) => service(`s${n}`)).join('---')
  expect(await warm([{ file: 'all.yaml', text }])).toEqual({ decided: 3 * 12 ** 2, told: [] })
})
