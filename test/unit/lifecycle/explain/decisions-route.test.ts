import { expect, test } from '@jest/globals'
import { RecentDecisions } from '../../../../src/admin/recent-decisions.js'
import { call, decisionLine, knownState, READER_TOKEN, startApi } from '../../admin/running-api.js'

const HOW = { requestMethod: 'POST', requestPath: '/pay', protocol: 'HTTP/2', destinationPort: 8080 }

async function ask(id: string, more: Readonly<Record<string, unknown>>) {
  const known = knownState()
  const recent = new RecentDecisions(10)
  recent.note(decisionLine('d-1', { ...HOW, ...more }))
  const decisions = {
    newest: () => ({ ok: true as const, value: recent.newest() }),
    follow: (listener: (line: string) => void) => recent.follow(listener),
  }
  const api = await startApi({ ...known, ports: { ...known.ports, decisions } })
  try {
    return await call(api, 'GET', `/v1/decisions/${id}/explain`, { token: READER_TOKEN })
  } finally {
    await api.close()
  }
}

test('a decision that this replica does not remember', async () => {
  expect((await ask('d-2', {})).status).toBe(404)
})

test.each([
  ['credentials', { decisionReason: 'certificate-expired' }, 'credentials'],
  ['a device', { decisionReason: 'device-risk' }, 'device'],
  ['the policy', {}, 'policy'],
  [
    'what Enforce would refuse',
    { decision: 'allow', decisionReason: 'allowed', wouldBeReason: 'location' },
    'risk',
  ],
])('refused by %s', async (_name, more, by) => {
  const { status, json } = await ask('d-1', more)
  expect({ status, json }).toMatchObject({
    status: 200,
    json: { refusedBy: by, event: { decisionId: 'd-1' }, missing: expect.arrayContaining(['headers']) },
  })
})

test('the same call is asked about now', async () => {
  const { json } = await ask('d-1', {})
  expect(json).toMatchObject({
    now: {
      asked: { target: 'shop/payment', method: 'POST', path: '/pay', port: 8080, listenerRole: 'Sidecar' },
    },
  })
})

test('without a target there is nothing to ask', async () => {
  const { status, json } = await ask('d-1', { targetService: undefined })
  expect(status).toBe(200)
  expect(json).not.toHaveProperty('now')
})
