import { afterEach, describe, expect, jest, test } from '@jest/globals'
import { type LiveLog, LOG_LEVELS, openLog } from '../../../src/main/log.js'

const NOW_MS = Date.parse('2026-03-01T12:00:00Z')
let lines: string[] = []
let open: LiveLog | undefined

function log(level: (typeof LOG_LEVELS)[number] = 'info'): LiveLog {
  lines = []
  open = openLog(
    (line) => lines.push(line),
    level,
    () => NOW_MS,
  )
  return open
}
afterEach(() => {
  open?.close()
  jest.useRealTimers()
})

describe('one line whatever it holds', () => {
  test.each([
    { name: 'line ends', text: 'a\nb\r\n\u2028\u2029\u0085' },
    { name: 'ANSI and C1', text: '\u001b[31m\u009b2J\u007f' },
    { name: 'marks of direction', text: '\u202e\u2066\u200b\ufeff' },
    { name: 'a lone surrogate', text: 'x\ud800y' },
    { name: '64 KiB', text: 'A'.repeat(65_536) },
    { name: 'quotes', text: '"}\\{"level":"info"' },
  ])('$name', ({ text }) => {
    log().of('test')('warn', text, { field: text, list: Array<string>(500).fill(text.slice(0, 10)) })
    expect(lines).toHaveLength(1)
    const [line = ''] = lines
    // oxlint-disable-next-line no-control-regex -- that is what is looked for
    expect(line.slice(0, -1)).not.toMatch(
      /[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069\u200b\ufeff]/,
    )
    expect(line.endsWith('}\n')).toBe(true)
    expect(line).not.toMatch(/\p{Surrogate}/u)
    expect(line).not.toMatch(/\\ud[89ab]/)
    expect(line.length).toBeLessThan(40_000)
    expect(JSON.parse(line)).toMatchObject({ level: 'warn', component: 'test' })
  })
})

test.each([
  { level: 'debug', written: ['debug', 'info', 'warn', 'error'] },
  { level: 'info', written: ['info', 'warn', 'error'] },
  { level: 'warn', written: ['warn', 'error'] },
  { level: 'error', written: ['error'] },
] as const)('$level writes $written', ({ level, written }) => {
  const live = log(level)
  for (const each of LOG_LEVELS) live.of('test')(each, each)
  expect(lines.map((line) => JSON.parse(line).level)).toEqual(written)
  expect(LOG_LEVELS.filter(live.isWritten)).toEqual(written)
})

describe('the level changes while it runs', () => {
  test('and says so, even where the new one would not', () => {
    const live = log('info')
    live.setLevel('error', undefined)
    live.of('test')('warn', 'not told')
    expect(lines.map((line) => JSON.parse(line))).toEqual([
      {
        time: '2026-03-01T12:00:00.000Z',
        level: 'info',
        component: 'log',
        message: 'log level changed',
        from: 'info',
        to: 'error',
      },
    ])
  })

  test('for a while, then it is as configured; a later change takes the place of the fall back', () => {
    jest.useFakeTimers()
    const live = log('warn')
    expect(live.setLevel('debug', 60_000)).toEqual({
      level: 'debug',
      configured: 'warn',
      untilMs: NOW_MS + 60_000,
    })
    jest.advanceTimersByTime(59_999)
    expect(live.isWritten('debug')).toBe(true)
    jest.advanceTimersByTime(1)
    expect(live.status()).toEqual({ level: 'warn', configured: 'warn', untilMs: undefined })
    live.setLevel('debug', 60_000)
    live.setLevel('info', undefined)
    jest.advanceTimersByTime(120_000)
    expect(live.status().level).toBe('info')
  })
})

test.each([
  { configured: 'info', levels: ['debug', 'info', 'debug'] },
  { configured: 'error', levels: ['debug', 'error', 'debug'] },
  { configured: 'debug', levels: ['info', 'debug', 'info'] },
] as const)('toggled from $configured: $levels', ({ configured, levels }) => {
  const live = log(configured)
  const seen = levels.map(() => {
    live.toggleDebug()
    return live.status().level
  })
  expect(seen).toEqual(levels)
})

describe('a flood of one message', () => {
  test('is its first lines and then a count, at the end of the window or of the log', () => {
    jest.useFakeTimers()
    const live = log()
    const told = live.of('test')
    for (let at = 0; at < 10_000; at++) told('warn', 'again', { at })
    told('warn', 'another')
    expect(lines).toHaveLength(21)
    expect(live.heldBack()).toBe(9980)
    jest.advanceTimersByTime(10_000)
    expect(JSON.parse(lines.at(-1) ?? '')).toMatchObject({ level: 'warn', message: 'again', heldBack: 9980 })
    for (let at = 0; at < 30; at++) told('warn', 'again')
    live.close()
    expect(lines).toHaveLength(21 + 1 + 20 + 1)
  })

  test('of ever new messages takes bounded room', () => {
    const live = log()
    for (let at = 0; at < 100_000; at++) live.of('test')('info', `message ${at}`)
    expect(lines.length).toBeLessThanOrEqual(1020)
    expect(lines.length + live.heldBack()).toBe(100_000)
  })

  test('does not hold back details that somebody asked for, or alerts', () => {
    const live = log('debug')
    for (let at = 0; at < 100; at++) {
      live.of('decision')('debug', 'decided', {})
      live.everyLineOf('alerts')('warn', 'risk alert', {})
    }
    expect(lines).toHaveLength(200)
  })
})
