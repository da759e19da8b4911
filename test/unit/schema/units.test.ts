import { describe, expect, test } from '@jest/globals'
import { nearestName } from '../../../src/schema/nearest-name.js'
import { parseDurationMs, parseSizeBytes } from '../../../src/schema/units.js'

describe('parseDurationMs', () => {
  test.each([
    '',
    '30',
    's',
    '-1s',
    '+1s',
    '1.5s',
    '1 s',
    ' 1s',
    '1s\n',
    '1S',
    '1w',
    '1h30m',
    '1e3s',
    '９s',
    '300000y',
    '9'.repeat(400) + 's',
  ])('refuses %j', (text) => expect(parseDurationMs(text)).toBe(undefined))

  test.each([
    ['0s', 0],
    ['250ms', 250],
    ['30s', 30_000],
    ['15m', 900_000],
    ['8h', 28_800_000],
    ['30d', 2_592_000_000],
    ['7y', 220_752_000_000],
    ['9007199254740991ms', Number.MAX_SAFE_INTEGER],
  ])('%s is %d ms', (text, ms) => expect(parseDurationMs(text)).toBe(ms))
})

describe('parseSizeBytes', () => {
  test.each(['', '64', '64KB', '64kib', '-1B', '1.5MiB', '64 KiB', '9007199254740992B', '1TiB'])(
    'refuses %j',
    (text) => expect(parseSizeBytes(text)).toBe(undefined),
  )

  test.each([
    ['512B', 512],
    ['64KiB', 65_536],
    ['4MiB', 4_194_304],
    ['2GiB', 2_147_483_648],
  ])('%s is %d bytes', (text, bytes) => expect(parseSizeBytes(text)).toBe(bytes))
})

describe('nearestName', () => {
  test.each([
    { word: 'zebra', candidates: ['mode', 'calls'], nearest: undefined },
    { word: 'x', candidates: ['y'], nearest: undefined },
    { word: '', candidates: ['mode'], nearest: undefined },
    { word: 'mode', candidates: [], nearest: undefined },
    { word: 'a'.repeat(100), candidates: ['a'.repeat(100)], nearest: undefined },
    { word: 'endpoint', candidates: ['mode', 'endpoints'], nearest: 'endpoints' },
    { word: 'clals', candidates: ['calls', 'clock'], nearest: 'calls' },
    { word: 'ENFORCE', candidates: ['Observe', 'Enforce'], nearest: 'Enforce' },
    { word: 'ab', candidates: ['ac', 'ad'], nearest: 'ac' },
    { word: 'paymnet-service', candidates: ['user-service', 'payment-service'], nearest: 'payment-service' },
  ])('$word', ({ word, candidates, nearest }) => expect(nearestName(word, candidates)).toBe(nearest))

  test('is quick among many', () => {
    const names = Array.from({ length: 20_000 }, (_, index) => `service-number-${index}-of-the-mesh`)
    const startedAt = performance.now()
    expect(nearestName('service-nmuber-19999-of-the-mesh', names)).toBe('service-number-19999-of-the-mesh')
    expect(performance.now() - startedAt).toBeLessThan(2000)
  })
})
