import { expect, test } from '@jest/globals'
import type { ReviewRequest } from '../../../src/adapters/http/admission-review.js'
import { answerOf, readReview } from '../../../src/adapters/http/admission-review.js'
import { reviewing } from '../../../src/main/live-webhook.js'
import type { Judgement } from '../../../src/policy/resources/judge.js'

const REQUEST: ReviewRequest = {
  uid: '1',
  group: 'portcullis.dev',
  version: 'v1beta1',
  kind: 'ServicePolicy',
  operation: 'CREATE',
  subResource: '',
  object: {},
}
const OK = { allowed: true, warnings: [] } as const

function* endless(): Generator<void, Judgement> {
  for (;;) yield
}

test.each([
  ['no JSON', '{'],
  ['no UTF-8', Buffer.from([0xff])],
  ['no review', '{}'],
  ['another version', JSON.stringify({ kind: 'AdmissionReview', apiVersion: 'admission.k8s.io/v1beta1' })],
  ['no request', JSON.stringify({ kind: 'AdmissionReview', apiVersion: 'admission.k8s.io/v1' })],
  [
    'no kind',
    JSON.stringify({
      kind: 'AdmissionReview',
      apiVersion: 'admission.k8s.io/v1',
      request: { uid: '1', operation: 'CREATE' },
    }),
  ],
])('%s is no review', (_what, body) => {
  expect(readReview(Buffer.from(body)).ok).toBe(false)
})

test('a refusal is 422 with its text', () => {
  expect(JSON.parse(answerOf('7', { allowed: false, message: 'spec: wrong' }))).toEqual({
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    response: {
      uid: '7',
      allowed: false,
      status: { status: 'Failure', reason: 'Invalid', code: 422, message: 'spec: wrong' },
    },
  })
})

test('beyond the bound nobody waits, and a review that takes too long is given up', async () => {
  const review = reviewing(endless, { reviews: 2, ms: 30 })
  const [first, second] = [review(REQUEST), review(REQUEST)]
  expect(await review(REQUEST)).toBe('busy')
  expect(await Promise.all([first, second])).toEqual(['late', 'late'])
})

test('one is looked at at a time, and one that fails takes no place of others', async () => {
  let running = 0
  let most = 0
  let calls = 0
  const review = reviewing(
    function* () {
      most = Math.max(most, ++running)
      const endMs = performance.now() + 5
      while (performance.now() < endMs) yield
      running--
      if (calls++ === 0) throw new Error('broken')
      return OK
    },
    { reviews: 4, ms: 2000 },
  )
  const outcomes = await Promise.allSettled([review(REQUEST), review(REQUEST), review(REQUEST)])
  expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'fulfilled', 'fulfilled'])
  expect(most).toBe(1)
  expect(await review(REQUEST)).toEqual(OK)
})

test.each([
  ['a deletion', { operation: 'DELETE', object: null }],
  ['a status', { operation: 'UPDATE', subResource: 'status' }],
])('%s is not judged', async (_what, change) => {
  const review = reviewing(endless, { reviews: 1, ms: 10 })
  expect(await review({ ...REQUEST, ...change })).toEqual(OK)
})
