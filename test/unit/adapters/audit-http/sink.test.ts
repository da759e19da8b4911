import { afterEach, describe, expect, test } from '@jest/globals'
import { createTrail } from '../../../../src/audit/trail.js'
import { createAuthority } from '../../../support/certificate-authority.js'
import { type Answer, status } from '../../../support/collector.js'
import { eventually } from '../../../support/eventually.js'
import { webCertificate } from '../../../support/federation-server.js'
import { collect, endAll, event, numbersIn, sinkTo, upTo } from './sinks.js'

const TOKEN = 'a-token-that-nobody-logs'

afterEach(endAll)

describe('what is refused for good', () => {
  test.each([300, 302, 307, 400, 404, 405, 410, 415, 422])(
    'status %d: the batch counts as lost, and the next one is sent',
    async (code) => {
      const collector = await collect(status(code, { location: '/elsewhere' }))
      const sink = sinkTo(collector.url)
      sink.take(event(1))
      sink.take(event(2))
      await eventually(() => expect(sink.figures().lost).toBe(2))
      expect(sink.figures()).toMatchObject({
        pending: 0,
        written: 0,
        problem: `status ${code}: refused for good`,
      })
      expect(sink.told).toContainEqual({
        level: 'error',
        message: 'security events are lost',
        fields: { lost: 2, problem: `status ${code}: refused for good` },
      })
      collector.answer = status(200)
      sink.take(event(3))
      await eventually(() => expect(sink.figures().written).toBe(1))
      expect(sink.figures().problem).toBeUndefined()
      expect(collector.posted.map(({ url }) => url)).toEqual(
        Array(2).fill('/logs/secret-path?key=secret-query'),
      )
    },
  )

  test('one event that is too large on its own is lost, the others of its batch are not', async () => {
    const collector = await collect((response, posted) => {
      const isTooLarge = posted.records.length > 2 || numbersIn(posted.records).includes(5)
      response.writeHead(isTooLarge ? 413 : 200).end()
    })
    const sink = sinkTo(collector.url)
    for (const n of upTo(9)) sink.take(event(n))
    await eventually(() => expect(sink.figures()).toMatchObject({ written: 8, lost: 1, pending: 0 }))
    const whole = collector.posted.filter(({ records }) => records.length <= 2)
    expect(whole.flatMap(({ records }) => numbersIn(records)).filter((n) => n !== 5)).toEqual(
      expect.arrayContaining([1, 2, 3, 4, 6, 7, 8, 9]),
    )
    expect(sink.told.filter(({ message }) => message.includes('halves'))).toHaveLength(1)
  })
})

describe('what is tried again', () => {
  const notNow: { name: string; answer: Answer; problem: string }[] = [
    ...[401, 403, 408, 429, 500, 502, 503, 504].map((code) => ({
      name: `status ${code}`,
      answer: status(code),
      problem: `status ${code}`,
    })),
    {
      name: 'a connection that breaks',
      answer: (response) => response.destroy(),
      problem: 'the request failed: ECONNRESET',
    },
    { name: 'silence', answer: () => undefined, problem: 'no answer in time' },
  ]

  test.each(notNow)('$name: the same batch comes again, and what came meanwhile after it', async (row) => {
    const collector = await collect(row.answer)
    const sink = sinkTo(collector.url, { post: { timeoutMs: 50 } })
    sink.take(event(1))
    await eventually(() => expect(sink.figures().problem).toBe(row.problem))
    sink.take(event(2))
    await eventually(() => expect(collector.posted.length).toBeGreaterThan(2))
    expect(sink.figures()).toMatchObject({ pending: 2, written: 0, lost: 0 })
    const tries = collector.posted.length
    collector.answer = status(204)
    await eventually(() => expect(sink.figures()).toMatchObject({ pending: 0, written: 2, lost: 0 }))
    const after = collector.posted.slice(tries).flatMap(({ records }) => numbersIn(records))
    expect(after.slice(-2)).toEqual([1, 2])
    expect(sink.figures().problem).toBeUndefined()
    expect(sink.told.map(({ message }) => message)).toEqual([
      'the collector does not take events',
      'the collector takes events again',
    ])
  })

  test('a collector that is not there, and then is', async () => {
    const collector = await collect()
    const { url } = collector
    await collector.close()
    const sink = sinkTo(url)
    sink.take(event(1))
    await eventually(() => expect(sink.figures().problem).toBe('the request failed: ECONNREFUSED'))
    await collector.open()
    await eventually(() => expect(sink.figures()).toMatchObject({ pending: 0, written: 1 }))
  })

  test('waits grow, to a bound', async () => {
    const collector = await collect(status(500))
    const sink = sinkTo(collector.url, { backoff: { firstMs: 30, mostMs: 120 } })
    sink.take(event(1))
    await eventually(() => expect(collector.posted.length).toBeGreaterThan(5))
    const gaps = collector.posted
      .map(({ atMs }, at) => atMs - (collector.posted[at - 1]?.atMs ?? atMs))
      .slice(1)
    for (const [at, leastMs] of [30, 60, 120, 120, 120].entries()) {
      expect(gaps[at]).toBeGreaterThanOrEqual(leastMs - 2)
    }
    expect(gaps[4]).toBeLessThan(240)
  })

  test.each([
    { name: 'seconds', value: () => '1' },
    { name: 'a date', value: () => new Date(Date.now() + 2000).toUTCString() },
  ])('Retry-After as $name is kept to', async ({ value }) => {
    const collector = await collect((response) => response.writeHead(429, { 'retry-after': value() }).end())
    const sink = sinkTo(collector.url)
    sink.take(event(1))
    await eventually(() => expect(collector.posted).toHaveLength(1))
    collector.answer = status(200)
    await eventually(() => expect(collector.posted).toHaveLength(2))
    expect((collector.posted[1]?.atMs ?? 0) - (collector.posted[0]?.atMs ?? 0)).toBeGreaterThan(900)
  })

  test('the end of a kept connection is no failure', async () => {
    const collector = await collect((response) =>
      response.writeHead(200, { 'keep-alive': 'timeout=60' }).end(),
    )
    const sink = sinkTo(collector.url)
    for (const n of upTo(5)) {
      sink.take(event(n))
      await eventually(() => expect(sink.figures().written).toBe(n))
      await collector.close()
      await collector.open()
    }
    expect(sink.told).toEqual([])
  })
})

test('neither the token nor the path and query of the URL is told', async () => {
  const collector = await collect(status(500))
  const sink = sinkTo(collector.url, { post: { token: () => TOKEN } })
  sink.take(event(1))
  await eventually(() => expect(collector.posted.length).toBeGreaterThan(1))
  collector.answer = status(400)
  await eventually(() => expect(sink.figures().lost).toBe(1))
  const said = JSON.stringify([sink.told, sink.figures()])
  expect(said).not.toMatch(/a-token|secret/)
  expect(collector.posted[0]?.headers.authorization).toBe(`Bearer ${TOKEN}`)
})

test('a token that no header can hold is a problem that does not tell it', async () => {
  const collector = await collect()
  let token = `${TOKEN}\nx`
  const sink = sinkTo(collector.url, { post: { token: () => token } })
  sink.take(event(1))
  await eventually(() => expect(sink.figures().problem).toBe('the request failed: ERR_INVALID_CHAR'))
  token = TOKEN
  await eventually(() => expect(sink.figures().written).toBe(1))
})

test('over TLS, only a collector whose certificate leads to the authorities of ours gets anything', async () => {
  const [ours, foreign] = [createAuthority({ name: 'ours' }), createAuthority({ name: 'foreign' })]
  const { certificatePem: cert, keyPem: key } = webCertificate(ours)
  const collector = await collect(status(200), { cert, key })
  for (const ca of [undefined, foreign.certificatePem]) {
    const sink = sinkTo(collector.url, { post: { ca } })
    sink.take(event(1))
    await eventually(() =>
      expect(sink.figures().problem).toMatch(/^the request failed: (UNABLE_TO_VERIFY|SELF_SIGNED|CERT)/),
    )
    expect(sink.figures()).toMatchObject({ pending: 1, written: 0 })
  }
  expect(collector.posted).toEqual([])
  const sink = sinkTo(collector.url, { post: { ca: ours.certificatePem } })
  sink.take(event(2))
  await eventually(() => expect(sink.figures()).toMatchObject({ pending: 0, written: 1 }))
  expect(collector.posted.flatMap(({ records }) => numbersIn(records))).toEqual([2])
})

test('events are an array of JSON, gzipped, many in one batch', async () => {
  const collector = await collect()
  const sink = sinkTo(collector.url, { render: ({ line }) => `{"as":${line}}` })
  for (const n of upTo(100)) sink.take(event(n))
  await eventually(() => expect(sink.figures()).toMatchObject({ pending: 0, written: 100, lost: 0 }))
  expect(collector.posted).toHaveLength(1)
  expect(collector.posted[0]).toMatchObject({
    method: 'POST',
    headers: { 'content-type': 'application/json', 'content-encoding': 'gzip' },
  })
  expect(collector.posted[0]?.records).toEqual(upTo(100).map((n) => ({ as: { n } })))
})

test.each([
  { name: 'by count', over: { batchEvents: 10 }, most: 10 },
  { name: 'by size', over: { batchBytes: 70 }, most: 10 },
  { name: 'by a small buffer', over: { buffer: 20 }, most: 10 },
])('batches are bounded $name, in order', async ({ over, most }) => {
  const collector = await collect()
  const sink = sinkTo(collector.url, { flushIntervalMs: 60_000, ...over })
  const events = upTo(20)
  for (const n of events) sink.take(event(n))
  await sink.drain(2000)
  expect(Math.max(...collector.posted.map(({ records }) => records.length))).toBeLessThanOrEqual(most)
  expect(collector.posted.flatMap(({ records }) => numbersIn(records))).toEqual(events)
})

describe('a full buffer', () => {
  test('has no room while the collector takes nothing, and has again afterwards; nothing is lost', async () => {
    const collector = await collect(status(503))
    const sink = sinkTo(collector.url, { buffer: 10 })
    const trail = createTrail({ sinks: [{ sink, overflow: 'Block' }], nowMs: Date.now })
    for (const n of upTo(10)) expect(trail.accept(event(n), 0)).toBe('accepted')
    expect(trail.accept(event(99), 0)).toBe('refused')
    const waiting = [11, 12, 13].map(async (n) => trail.accept(event(n), 5000))
    await eventually(() => expect(sink.figures().problem).toBe('status 503'))
    expect(trail.isWriting()).toBe(false)
    collector.answer = status(200)
    expect(await Promise.all(waiting)).toEqual(Array(3).fill('accepted'))
    await eventually(() => expect(sink.figures()).toMatchObject({ pending: 0, written: 13, lost: 0 }))
  })
})

describe('drain', () => {
  test('writes what was taken', async () => {
    const collector = await collect()
    const sink = sinkTo(collector.url, { flushIntervalMs: 60_000 })
    for (const n of upTo(50)) sink.take(event(n))
    await sink.drain(2000)
    expect(sink.figures()).toMatchObject({ pending: 0, written: 50, lost: 0 })
    expect(sink.hasRoom()).toBe(false)
  })

  test('with the collector away, it gives up in time, and the rest counts as lost and is told', async () => {
    const collector = await collect(status(500))
    const sink = sinkTo(collector.url)
    for (const n of upTo(7)) sink.take(event(n))
    await eventually(() => expect(sink.figures().problem).toBe('status 500'))
    const startedMs = performance.now()
    await sink.drain(150)
    expect(performance.now() - startedMs).toBeLessThan(1000)
    expect(performance.now() - startedMs).toBeGreaterThan(140)
    expect(sink.figures()).toMatchObject({ pending: 0, written: 0, lost: 7 })
    expect(sink.told).toContainEqual({
      level: 'error',
      message: 'security events are lost',
      fields: { lost: 7, problem: 'status 500' },
    })
    sink.take(event(8))
    expect(sink.figures().lost).toBe(8)
  })

  test('a long pause is not waited for', async () => {
    const collector = await collect(status(500))
    const sink = sinkTo(collector.url, { backoff: { firstMs: 60_000, mostMs: 60_000 } })
    sink.take(event(1))
    await eventually(() => expect(sink.figures().problem).toBe('status 500'))
    collector.answer = status(200)
    await sink.drain(5000)
    expect(sink.figures()).toMatchObject({ pending: 0, written: 1, lost: 0 })
  })
})
