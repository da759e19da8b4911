import { existsSync, readFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { Replay } from '../../src/lifecycle/replay/report.js'
import { loadPolicy } from '../../src/policy/load-policy.js'
import { asEnvoySends, createAuthority } from '../support/certificate-authority.js'
import { startPortcullis } from '../support/portcullis.js'
import { jwksText, signedToken, testKey } from '../support/tokens.js'

const POLICY = `apiVersion: portcullis.dev/v1beta1
kind: ServicePolicy
metadata: { name: pay, namespace: shop }
spec:
  endpoints:
    - { name: Read, paths: [/read], methods: [GET] }
    - { name: Profile, paths: [/profile], methods: [GET], require: Both }
  rules:
    - { name: reads, from: [{ services: [web] }], to: [{ endpoints: [Read] }] }
    - { name: buyers, from: [{ services: [web] }], to: [{ endpoints: [Profile] }], when: [{ key: "user.claims[team]", values: [blue] }] }
---
apiVersion: portcullis.dev/v1beta1
kind: ServicePolicy
metadata: { name: web, namespace: shop }
spec: { calls: [{ service: pay }] }
`

function replayed(lines: readonly string[], text: string) {
  const loaded = loadPolicy([{ file: 'shop.yaml', text }], {
    localTrustDomain: 'cluster.local',
    trustDomains: [],
  })
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems))
  const replay = new Replay(loaded.policy)
  for (const line of lines) expect(replay.take(line)).toBeUndefined()
  return replay.report()
}

test('Checks are recorded behind the answers, without a credential, and replay as they were decided', async () => {
  const authority = createAuthority({ name: 'root' })
  const key = await testKey('RS256')
  const web = 'spiffe://cluster.local/ns/shop/sa/web'
  const certificate = asEnvoySends(authority.issueSvid({ spiffeId: web }).certificatePem)
  const server = await startPortcullis(
    { 'policy/shop.yaml': POLICY, 'ca.pem': authority.certificatePem, 'idp.json': jwksText(key) },
    {
      trustDomains: { 'cluster.local': { bundle: { file: './ca.pem' } } },
      userTokens: {
        issuers: [
          {
            issuer: 'https://idp.example',
            audiences: ['shop'],
            jwksFile: './idp.json',
            algorithms: ['RS256'],
          },
        ],
      },
      audit: { record: { file: './checks.jsonl' } },
    },
  )
  const call = (path: string, claims?: Readonly<Record<string, unknown>>) => {
    const now = Math.floor(Date.now() / 1000)
    const payload = { iss: 'https://idp.example', aud: 'shop', sub: 'alice', iat: now, exp: now + 600 }
    return server.check({
      destinationPrincipal: 'spiffe://cluster.local/ns/shop/sa/pay',
      principal: web,
      certificate,
      path,
      headers: claims ? { authorization: `Bearer ${signedToken(key, { ...payload, ...claims })}` } : {},
    })
  }
  try {
    expect((await call('/read')).outcome).toBe('allow')
    expect((await call('/profile', { team: 'blue' })).outcome).toBe('allow')
    expect((await call('/profile', { team: 'red' })).reason).toBe('rule-not-matched')
    expect((await call('/read', { exp: 1 })).reason).toBe('user-token-expired')
    expect((await call('/none')).reason).toBe('endpoint-not-exposed')
    expect((await call('/a/../b')).reason).toBe('ambiguous-request')
    const file = join(server.directory, 'checks.jsonl')
    await server.running.stop()
    expect(existsSync(file)).toBe(true)
    const lines = readFileSync(file, 'utf8').trimEnd().split('\n')
    expect(lines).toHaveLength(5)
    expect(lines.join()).not.toMatch(/eyJ|BEGIN/)
    expect(lines.map((line): unknown => JSON.parse(line).decisionId)).toEqual(
      server
        .events()
        .flatMap(({ decisionReason, decisionId }) =>
          decisionReason === 'ambiguous-request' ? [] : [decisionId],
        ),
    )
    expect(replayed(lines, POLICY)).toMatchObject({ checks: 5, same: 5 })
    expect(replayed(lines, POLICY.replace('[blue]', '[red]'))).toMatchObject({
      same: 3,
      broken: 1,
      opened: 1,
    })
  } finally {
    await server.stop().catch(() => undefined)
    await rm(server.directory, { recursive: true, force: true })
  }
})
