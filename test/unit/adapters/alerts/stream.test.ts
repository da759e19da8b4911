import { expect, test } from '@jest/globals'
import { createAlertLog } from '../../../../src/adapters/alerts/log.js'
import { createAlertStream } from '../../../../src/adapters/alerts/stream.js'
import { eventually } from '../../../support/eventually.js'

test('a stream that fails keeps its alerts, in order, until there is no room', async () => {
  const appended: string[] = []
  const warnings: string[] = []
  let away = true
  const sink = createAlertStream({
    append: (stream, line, maxLength) => {
      if (away) return Promise.reject(new Error('READONLY'))
      appended.push(`${stream} ${line} ${maxLength}`)
      return Promise.resolve('1-1')
    },
    stream: 'portcullis:alerts',
    maxLength: 100,
    buffer: 2,
    backoffMs: 5,
    random: () => 0.5,
    warn: (message) => warnings.push(message),
  })
  for (const line of ['a', 'b', 'c', 'd']) sink.send(line)
  expect(sink.figures()).toEqual({ pending: 3, delivered: 0, dropped: 1 })
  await new Promise((resolve) => setTimeout(resolve, 50))
  away = false
  await eventually(() => expect(sink.figures()).toEqual({ pending: 0, delivered: 3, dropped: 1 }))
  expect(appended).toEqual(['a', 'c', 'd'].map((line) => `portcullis:alerts ${line} 100`))
  expect(warnings.map((text) => text.replace('stream portcullis:alerts: ', ''))).toEqual([
    'alerts given up: 1; the latest: too many wait',
    'READONLY',
    'alerts are delivered again',
  ])
})

test('an append that never settles does not hold up the end', async () => {
  const sink = createAlertStream({
    append: () => new Promise(() => undefined),
    stream: 's',
    maxLength: 1,
    buffer: 10,
    random: () => 0,
    warn: () => undefined,
  })
  sink.send('a')
  sink.send('b')
  await sink.drain(50)
  expect(sink.figures()).toEqual({ pending: 0, delivered: 0, dropped: 2 })
})

test('the log takes every line', async () => {
  const lines: string[] = []
  const sink = createAlertLog((line) => lines.push(line))
  sink.send('a')
  await sink.drain(1000)
  expect([lines, sink.figures()]).toEqual([['a'], { pending: 0, delivered: 1, dropped: 0 }])
})
