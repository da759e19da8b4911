import { PassThrough, Writable } from 'node:stream'
import { expect, test } from '@jest/globals'
import { Lines } from '../../../../src/main/workers/lines.js'

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** An output that takes as much as it is told to. */
class Slow extends Writable {
  readonly taken: string[] = []
  #next: (() => void) | undefined
  constructor() {
    super({ highWaterMark: 8 })
  }
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.taken.push(chunk.toString())
    this.#next = done
  }
  takeOne(): void {
    const next = this.#next
    this.#next = undefined
    next?.()
  }
}

test('a line without an end is not written, and its bytes are told', async () => {
  const output = new PassThrough()
  const source = new PassThrough()
  const rest = new Lines(output).follow(source)
  source.write('a\nbc')
  source.end('d')
  await turn()
  source.destroy()
  expect(await rest).toBe(3)
  expect(String(output.read())).toBe('a\n')
})

test('an output that breaks closes every source, also one that comes later', async () => {
  const output = new PassThrough()
  const lines = new Lines(output)
  const [early, late] = [new PassThrough(), new PassThrough()]
  const followed = lines.follow(early)
  output.destroy(new Error('EPIPE'))
  await followed
  await lines.follow(late)
  expect([early.destroyed, late.destroyed]).toEqual([true, true])
  expect(await lines.ended(10)).toBe(true)
})

test('lines of several sources never meet within a line, however they are cut', async () => {
  const output = new PassThrough({ highWaterMark: 1024 * 1024 })
  const lines = new Lines(output)
  const sources = ['a', 'b', 'c'].map((letter) => ({ letter, source: new PassThrough() }))
  const followed = sources.map(({ source }) => lines.follow(source))
  for (let round = 0; round < 200; round++) {
    for (const { letter, source } of sources) {
      const line = `${letter.repeat(1 + ((round * 7) % 50))}\n`
      const cut = round % line.length
      source.write(line.slice(0, cut))
      await turn()
      source.write(line.slice(cut))
    }
  }
  for (const { source } of sources) source.destroy()
  await Promise.all(followed)
  const written = String(output.read()).trimEnd().split('\n')
  expect(written).toHaveLength(600)
  expect(written.filter((line) => !/^(a+|b+|c+)$/.test(line))).toEqual([])
})

test('no source is read while the output is full', async () => {
  const output = new Slow()
  const lines = new Lines(output)
  const sources = [new PassThrough({ highWaterMark: 64 }), new PassThrough({ highWaterMark: 64 })]
  for (const source of sources) void lines.follow(source)
  const hasRoom = sources.map((source) => source.write('12345678\n'))
  await turn()
  let refused = 0
  for (let round = 0; round < 50; round++) {
    for (const source of sources) if (!source.write('12345678\n')) refused++
    await turn()
  }
  expect(hasRoom).toEqual([true, true])
  expect(refused).toBeGreaterThan(50)
  expect(output.taken).toHaveLength(1)
  for (let round = 0; round < 500; round++) {
    output.takeOne()
    await turn()
  }
  expect(output.taken.join('')).toBe('12345678\n'.repeat(102))
})

test('a reader that has stopped reading is given up, and that is told', async () => {
  const lines = new Lines(new Slow())
  const source = new PassThrough()
  const rest = lines.follow(source)
  source.write('12345678\n')
  await turn()
  source.end('87654321\n')
  expect(await lines.ended(20)).toBe(false)
  await rest
  expect(source.destroyed).toBe(true)
})
