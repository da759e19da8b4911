import { expect, test } from '@jest/globals'
import type { TrailFigures } from '../../../../src/audit/trail.js'
import { LossAlerts } from '../../../../src/main/audit/loss-alerts.js'

const NOW_MS = Date.UTC(2026, 2, 1)

function watched() {
  const told: unknown[] = []
  const logged: string[] = []
  const losses = new LossAlerts(
    (line) => told.push(JSON.parse(line)),
    (level, message) => logged.push(`${level} ${message}`),
  )
  const look = (dropped: number, refused: number, atMs: number, isLast = false): void => {
    const figures: TrailFigures = {
      pending: 0,
      written: 5,
      lost: 0,
      dropped,
      refused,
      problem: 'status 500',
      isBroken: false,
    }
    losses.look(new Map([['Http 1', figures]]), atMs, isLast)
  }
  return { told, logged, look }
}

test('nothing lost is nothing told', () => {
  const { told, logged, look } = watched()
  look(0, 0, NOW_MS)
  look(0, 0, NOW_MS + 120_000)
  look(0, 0, NOW_MS + 121_000, true)
  expect([told, logged]).toEqual([[], []])
})

test('a loss is told at once, more of it once a minute with all that came meanwhile', () => {
  const { told, logged, look } = watched()
  look(3, 0, NOW_MS)
  look(10, 2, NOW_MS + 1000)
  look(11, 2, NOW_MS + 59_000)
  expect(told).toEqual([
    {
      schemaVersion: '1.0',
      timestamp: '2026-03-01T00:00:00.000Z',
      eventType: 'audit-loss',
      severity: 'HIGH',
      sink: 'Http 1',
      dropped: 3,
      refused: 0,
      problem: 'status 500',
    },
  ])
  look(12, 2, NOW_MS + 60_000)
  look(12, 2, NOW_MS + 180_000)
  expect(told.slice(1)).toMatchObject([{ dropped: 9, refused: 2 }])
  expect(logged).toEqual(Array(2).fill('error security events were not recorded'))
})

test('at the end everything is told', () => {
  const { told, look } = watched()
  look(1, 0, NOW_MS)
  look(2, 1, NOW_MS + 1000, true)
  expect(told).toMatchObject([{ dropped: 1 }, { dropped: 1, refused: 1 }])
})
