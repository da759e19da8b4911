import { describe, expect, test } from '@jest/globals'
import type { AuditEvent, EventSink, Overflow } from '../../../src/audit/event-sink.js'
import { createTrail } from '../../../src/audit/trail.js'

const NOW_MS = Date.UTC(2026, 2, 1)

/** A sink that writes when told to. */
function controlled(name: string, buffer: number, durable = false) {
  const held: { event: AuditEvent; settle: (how: 'kept' | 'lost') => void }[] = []
  const written: string[] = []
  let tellRoom: () => void = () => undefined
  let broken = false
  let drained = false
  const sink: EventSink = {
    name,
    hasRoom: () => !broken && !drained && held.length < buffer,
    take: (event) => {
      if (!durable) {
        held.push({ event, settle: () => undefined })
        return undefined
      }
      return new Promise((settle) => held.push({ event, settle }))
    },
    onRoom: (listener) => {
      tellRoom = listener
    },
    drain: async () => {
      drained = true
      return Promise.resolve(write())
    },
    figures: () => ({
      pending: held.length,
      written: written.length,
      lost: 0,
      problem: broken ? 'gone' : undefined,
      isBroken: broken,
    }),
  }
  function write(how: 'kept' | 'lost' = 'kept'): void {
    for (const { event, settle } of held.splice(0)) {
      if (how === 'kept') written.push(event.line)
      settle(how)
    }
    tellRoom()
  }
  const breakForGood = (): void => {
    broken = true
    tellRoom()
  }
  return { sink, held, written, write, breakForGood }
}

const event = (line: string, decisionId?: string): AuditEvent => ({
  line,
  classification: undefined,
  atMs: NOW_MS,
  decisionId,
})

function trailOf(
  sinks: readonly [ReturnType<typeof controlled>, Overflow][],
): ReturnType<typeof createTrail> {
  return createTrail({
    sinks: sinks.map(([{ sink }, overflow]) => ({ sink, overflow })),
    nowMs: () => NOW_MS,
  })
}

describe('an event that one of several sinks has no room for', () => {
  test('is refused, and no other sink gets it', () => {
    const [a, b] = [controlled('a', 10), controlled('b', 1)]
    const trail = trailOf([
      [a, 'Block'],
      [b, 'FailClosed'],
    ])
    expect(trail.accept(event('1'), 1000)).toBe('accepted')
    expect(trail.accept(event('2'), 1000)).toBe('refused')
    expect([a.held.length, b.held.length]).toEqual([1, 1])
    expect([trail.figures().get('a')?.refused, trail.figures().get('b')?.refused]).toEqual([0, 1])
  })

  test('is lost there alone under Drop, and counted', () => {
    const [a, b] = [controlled('a', 10), controlled('b', 1)]
    const trail = trailOf([
      [a, 'Block'],
      [b, 'Drop'],
    ])
    for (const line of ['1', '2', '3']) expect(trail.accept(event(line), 0)).toBe('accepted')
    expect([a.held.length, b.held.length]).toEqual([3, 1])
    expect(trail.figures().get('b')?.dropped).toBe(2)
  })

  test('is refused under Drop when it must be kept', () => {
    const a = controlled('a', 1)
    const trail = trailOf([[a, 'Drop']])
    expect(trail.acceptKept(event('1'), 0)).toBe('accepted')
    expect(trail.acceptKept(event('2'), 1000)).toBe('refused')
  })

  test('waits under Block until all have room; those who come later stay behind it', async () => {
    const [a, b] = [controlled('a', 10), controlled('b', 1)]
    const trail = trailOf([
      [a, 'Block'],
      [b, 'Block'],
    ])
    expect(trail.accept(event('1'), 0)).toBe('accepted')
    const [second, third] = [trail.accept(event('2'), 5000), trail.accept(event('3'), 5000)]
    b.write()
    await expect(second).resolves.toBe('accepted')
    b.write()
    await expect(third).resolves.toBe('accepted')
    a.write()
    b.write()
    expect([a.written, b.written]).toEqual([
      ['1', '2', '3'],
      ['1', '2', '3'],
    ])
  })

  test('gives up after its wait, and nobody writes it', async () => {
    const [a, b] = [controlled('a', 10), controlled('b', 1)]
    const trail = trailOf([
      [a, 'Block'],
      [b, 'Block'],
    ])
    expect(trail.accept(event('1'), 0)).toBe('accepted')
    await expect(trail.accept(event('2'), 20)).resolves.toBe('refused')
    b.write()
    await trail.drain()
    expect([a.written, b.written]).toEqual([['1'], ['1']])
  })

  test('is refused once that sink breaks for good', async () => {
    const a = controlled('a', 1)
    const trail = trailOf([[a, 'Block']])
    expect(trail.accept(event('1'), 0)).toBe('accepted')
    const waiting = trail.accept(event('2'), 5000)
    a.breakForGood()
    await expect(waiting).resolves.toBe('refused')
    expect(trail.accept(event('3'), 5000)).toBe('refused')
    expect(trail.isWriting()).toBe(false)
  })
})

describe('a sink whose events count once they are durable', () => {
  test('an event that is not durable in time is refused, and withdrawn everywhere', async () => {
    const [a, b] = [controlled('a', 10), controlled('b', 10, true)]
    const trail = trailOf([
      [a, 'Block'],
      [b, 'Block'],
    ])
    await expect(trail.accept(event('1', 'id-1'), 20)).resolves.toBe('refused')
    a.write()
    b.write()
    for (const { written } of [a, b]) {
      expect(written[0]).toBe('1')
      expect(JSON.parse(written[1] ?? '')).toMatchObject({
        eventType: 'withdrawal',
        decisionId: 'id-1',
        decision: 'deny',
        decisionReason: 'state-unavailable',
      })
    }
    expect(trail.figures().get('b')?.refused).toBe(1)
  })

  test('one that is lost is refused', async () => {
    const b = controlled('b', 10, true)
    const trail = trailOf([[b, 'Block']])
    const answer = trail.accept(event('1', 'id-1'), 5000)
    b.write('lost')
    await expect(answer).resolves.toBe('refused')
  })

  test('one that is kept is accepted', async () => {
    const b = controlled('b', 10, true)
    const trail = trailOf([[b, 'FailClosed']])
    const answer = trail.accept(event('1', 'id-1'), 5000)
    b.write()
    await expect(answer).resolves.toBe('accepted')
    expect(b.written).toEqual(['1'])
  })
})

test('after a drain nothing is accepted, and those who wait are refused', async () => {
  const a = controlled('a', 1)
  const trail = trailOf([[a, 'Block']])
  expect(trail.accept(event('1'), 0)).toBe('accepted')
  const waiting = trail.accept(event('2'), 5000)
  await trail.drain()
  await expect(waiting).resolves.toBe('refused')
  expect(trail.accept(event('3'), 5000)).toBe('refused')
  expect(a.written).toEqual(['1'])
})
