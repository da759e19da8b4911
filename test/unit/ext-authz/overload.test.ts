import { fork } from 'node:child_process'
import { afterEach, describe, expect, test } from '@jest/globals'
import { waitThatCounts } from '../../../src/adapters/grpc/call-timeout.js'
import { type GrpcListener, startGrpcListener } from '../../../src/adapters/grpc/listener.js'
import type { Decision } from '../../../src/decision/decision.js'
import { type CheckParts, createCheck, type RecordEvent } from '../../../src/ext-authz/check.js'
import { isOverdue, UsualTime } from '../../../src/ext-authz/overload.js'
import { prepareReplies } from '../../../src/ext-authz/reply.js'
import { AUTHORIZATION, encodeCheck } from '../../support/envoy-wire.js'
import type { Burst, BurstAnswer } from '../../support/burst-program.js'
import { listenerOf } from '../../support/mesh.js'
import { readAnswer } from '../../support/portcullis.js'
import { HEADER_NAMES, WORDING } from '../../support/replies.js'

const ALLOW: Decision = {
  outcome: 'allow',
  reason: 'allowed',
  message: '',
  mode: 'Enforce',
  obligations: [],
  revision: 'r1',
}
const MESSAGE = encodeCheck({ service: 'shop/pay', method: 'GET', path: '/' })

function checkOf({ record, burnMs = 0 }: { record?: RecordEvent; burnMs?: number } = {}) {
  const told = {
    events: [] as Decision[],
    observed: [] as string[],
    shed: 0,
    asked: 0,
    reported: [] as unknown[],
  }
  const clock = { ms: 1_700_000_000_000, isReal: burnMs > 0 }
  let ids = 0
  const parts: CheckParts = {
    listener: listenerOf(),
    authorize: () => {
      told.asked++
      const endMs = performance.now() + burnMs
      while (performance.now() < endMs);
      return ALLOW
    },
    record: (event, waitMs) => {
      told.events.push(event.decision)
      return record ? record(event, waitMs) : 'accepted'
    },
    learn: () => undefined,
    observe: ({ reason }) => told.observed.push(reason),
    usualTime: new UsualTime(200),
    shed: () => told.shed++,
    report: (error) => told.reported.push(error),
    newDecisionId: () => `id-${++ids}`,
    revision: () => 'r1',
    serviceTokenHeader: 'x-service-token',
    reply: prepareReplies(HEADER_NAMES, WORDING),
    mintAssertion: undefined,
    defaultDeadlineMs: 200,
    nowMs: () => (clock.isReal ? Date.now() : clock.ms),
    clockUs: () => performance.now() * 1000,
  }
  return { check: createCheck(parts), told, clock }
}

describe('isOverdue', () => {
  test.each([
    { name: 'more than half of the time is gone', waitedMs: 120, leftMs: 115, overdue: true },
    { name: 'all of it is', waitedMs: 300, leftMs: -65, overdue: true },
    { name: 'less than half is', waitedMs: 100, leftMs: 135, overdue: false },
    {
      name: 'hardly anything was waited for, with a deadline that leaves no time at all',
      waitedMs: 5,
      leftMs: -10,
      overdue: false,
    },
    { name: 'nothing was waited for', waitedMs: 0, leftMs: 200, overdue: false },
  ])('$name: $overdue', ({ waitedMs, leftMs, overdue }) => {
    expect(isOverdue(waitedMs, leftMs)).toBe(overdue)
  })
})

describe('UsualTime', () => {
  test('is never less than that of a call that brings no deadline', () => {
    const usual = new UsualTime(200)
    for (let call = 0; call < 1000; call++) usual.note(1)
    expect(usual.ms).toBe(200)
  })

  test('follows what calls are given', () => {
    const usual = new UsualTime(200)
    for (let call = 0; call < 200; call++) usual.note(10_000)
    expect(usual.ms).toBeGreaterThan(9900)
    for (let call = 0; call < 200; call++) usual.note(250)
    expect(usual.ms).toBeLessThan(260)
  })
})

describe('waitThatCounts', () => {
  test.each([
    { waitedMs: 150, own: 200, counts: 150 },
    { waitedMs: 150, own: undefined, counts: 0 },
    { waitedMs: 1500, own: undefined, counts: 500 },
  ])('of $waitedMs ms with a deadline of $own: $counts', ({ waitedMs, own, counts }) => {
    expect(waitThatCounts(waitedMs, own)).toBe(counts)
  })
})

describe('a call that has waited too long', () => {
  const late = (clock: { ms: number }) => ({
    deadlineMs: clock.ms + 80,
    waitedMs: 120,
    asker: { spiffeId: undefined },
    traceparent: undefined,
  })

  test('is refused unseen, whatever it is, with one event for all of a second', async () => {
    const { check, told, clock } = checkOf()
    const first = readAnswer(await check(MESSAGE, late(clock)))
    expect(first).toMatchObject({ outcome: 'deny', httpStatus: 429, reason: 'overloaded' })
    clock.ms += 999
    expect(await check(Buffer.from('no message'), late(clock))).toEqual(await check(MESSAGE, late(clock)))
    expect(told).toMatchObject({ shed: 3, asked: 0, observed: ['overloaded', 'overloaded', 'overloaded'] })
    expect(told.events.map(({ outcome, reason }) => [outcome, reason])).toEqual([['deny', 'overloaded']])
    clock.ms += 1
    const next = readAnswer(await check(MESSAGE, late(clock)))
    expect(next.reason).toBe('overloaded')
    expect(told.events).toHaveLength(2)
    expect(next.headers.get('x-portcullis-decision-id')).not.toBe(
      first.headers.get('x-portcullis-decision-id'),
    )
  })

  test('gets an event anew when the clock was set back', async () => {
    const { check, told, clock } = checkOf()
    await check(MESSAGE, late(clock))
    clock.ms -= 3_600_000
    await check(MESSAGE, late(clock))
    expect(told.events).toHaveLength(2)
  })

  test.each([
    { name: 'is not taken', record: (() => 'refused') as RecordEvent },
    { name: 'is not taken in time', record: (() => Promise.resolve('refused')) as RecordEvent },
  ])('is refused where its event $name', async ({ record }) => {
    const { check, clock } = checkOf({ record })
    expect(readAnswer(await check(MESSAGE, late(clock)))).toMatchObject({
      outcome: 'deny',
      reason: 'overloaded',
    })
  })

  test.each([
    {
      name: 'throws',
      record: (() => {
        throw new Error('broken')
      }) as RecordEvent,
    },
    { name: 'rejects', record: (() => Promise.reject(new Error('broken'))) as RecordEvent },
  ])('is refused where the record of its event $name', async ({ record }) => {
    const { check, told, clock } = checkOf({ record })
    expect(readAnswer(await check(MESSAGE, late(clock))).outcome).toBe('deny')
    expect(told.reported).toHaveLength(1)
  })

  test('one in time is decided', async () => {
    const { check, told, clock } = checkOf()
    const call = { ...late(clock), deadlineMs: clock.ms + 185, waitedMs: 15 }
    expect(readAnswer(await check(MESSAGE, call)).outcome).toBe('allow')
    expect(told).toMatchObject({ shed: 0, asked: 1 })
  })
})

/** From another process, so that sending takes none of the listener's time. */
async function burst(told: Burst): Promise<readonly BurstAnswer[]> {
  const program = new URL('../../support/burst-program.ts', import.meta.url)
  const hooks = new URL('../../support/ts.js', import.meta.url)
  const sender = fork(program, {
    execArgv: ['--import', hooks.href],
    env: { ...process.env, NODE_OPTIONS: '' },
  })
  try {
    sender.send(told)
    return await new Promise((resolve, reject) => {
      sender.once('message', (answers: readonly BurstAnswer[]) => resolve(answers))
      sender.once('exit', (code) => reject(new Error(`the sender ended with ${code}`)))
    })
  } finally {
    sender.kill('SIGKILL')
  }
}

describe('a listener with more calls than time', () => {
  let listener: GrpcListener | undefined
  afterEach(async () => {
    await listener?.close()
  })

  test.each(['Http2', 'GrpcJs'] as const)(
    'on %s answers some and refuses the rest before their deadline',
    async (checkServer) => {
      const { check, told } = checkOf({ burnMs: 6 })
      listener = await startGrpcListener({
        address: { kind: 'tcp', host: '127.0.0.1', port: 0 },
        check,
        checkServer,
        maxMessageBytes: 1024 * 1024,
        deadlineMs: 60_000,
      })
      // 3.6 s of work for calls with 1 s each.
      const answers = await burst({
        address: listener.address,
        path: AUTHORIZATION.path,
        message: MESSAGE.toString('base64'),
        calls: 600,
        timeoutMs: 1000,
      })
      const reasons = answers.map(({ reply, status }) =>
        reply === '' ? status : readAnswer(Buffer.from(reply, 'base64')).reason,
      )
      const count = (reason: string): number => reasons.filter((each) => each === reason).length
      expect({ reasons: new Set(reasons) }).toEqual({ reasons: new Set(['allowed', 'overloaded']) })
      expect(count('allowed')).toBeGreaterThan(20)
      expect(count('overloaded')).toBeGreaterThan(20)
      expect(told.shed).toBe(count('overloaded'))
      expect(Math.max(...answers.map(({ tookMs }) => tookMs))).toBeLessThan(2000)
    },
    20_000,
  )
})
