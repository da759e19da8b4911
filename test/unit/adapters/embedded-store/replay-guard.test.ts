import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import {
  openEmbeddedReplayGuard,
  type EmbeddedReplayGuard,
} from '../../../../src/adapters/embedded-store/replay-guard.js'
import { replayKey } from '../../../../src/identity/replay.js'

const START_MS = 1_700_000_000_500
const FROM_MS = 1_700_000_001_000
let directory: string
let warnings: string[]
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'replay-'))
  warnings = []
})
afterEach(() => rm(directory, { recursive: true }))

function open(
  startedAtMs = START_MS,
  nowMs = startedAtMs + 1000,
  maxEntries?: number,
): Promise<EmbeddedReplayGuard> {
  const warn = (message: string): void => void warnings.push(message)
  return openEmbeddedReplayGuard({
    directory: join(directory, 'state'),
    startedAtMs,
    now: () => nowMs,
    warn,
    ...(maxEntries === undefined ? {} : { maxEntries }),
  })
}
const claim = (jti: string, issuedAtMs = FROM_MS, lifeMs = 30_000) => ({
  key: replayKey('iss', jti),
  issuedAtMs,
  expiresAtMs: issuedAtMs + lifeMs,
})

describe('the embedded replay guard refuses', () => {
  test('a second claim until the credential has ended, also with another end', async () => {
    const guard = await open()
    expect(guard.claim(claim('a'), FROM_MS)).toBe('first')
    expect(guard.claim(claim('a'), FROM_MS)).toBe('replayed')
    expect(guard.claim(claim('a', FROM_MS, 40_000), FROM_MS)).toBe('replayed')
    expect(guard.claim(claim('a'), FROM_MS + 29_999)).toBe('replayed')
    expect(guard.claim(claim('b'), FROM_MS)).toBe('first')
  })
  test('after a clock that was set back', async () => {
    const guard = await open()
    expect(guard.claim(claim('a'), FROM_MS)).toBe('first')
    expect(guard.claim(claim('b', FROM_MS + 60_000), FROM_MS + 60_000)).toBe('first')
    expect(guard.size).toBe(1)
    expect(guard.claim(claim('a'), FROM_MS)).toBe('replayed')
  })
  test('one more than it can hold, until others have ended', async () => {
    const guard = await open(START_MS, undefined, 2)
    expect(guard.claim(claim('a'), FROM_MS)).toBe('first')
    expect(guard.claim(claim('b'), FROM_MS)).toBe('first')
    expect(guard.claim(claim('c'), FROM_MS)).toBe('unavailable')
    expect(guard.claim(claim('a'), FROM_MS)).toBe('replayed')
    expect(guard.claim(claim('c', FROM_MS + 30_000), FROM_MS + 30_000)).toBe('first')
    expect(guard.size).toBe(1)
  })
  test('everything issued in a second that had begun when it started', async () => {
    const guard = await open()
    expect(guard.claim(claim('a', FROM_MS - 1), FROM_MS)).toBe('before-start')
    expect(guard.claim(claim('a', FROM_MS - 500), FROM_MS)).toBe('before-start')
    expect(guard.claim(claim('a', FROM_MS), FROM_MS)).toBe('first')
  })
  test('everything once closed', async () => {
    const guard = await open()
    await guard.close(FROM_MS)
    expect(guard.claim(claim('a'), FROM_MS)).toBe('unavailable')
  })
})

describe('over a restart', () => {
  const LATER_MS = START_MS + 10_000
  test('a clean shutdown keeps what was used, and what was not used stays good', async () => {
    const first = await open()
    first.claim(claim('used'), FROM_MS)
    await first.close(FROM_MS + 2000)
    const second = await open(LATER_MS)
    expect(second.claim(claim('used'), LATER_MS)).toBe('replayed')
    expect(second.claim(claim('fresh'), LATER_MS)).toBe('first')
    expect(second.claim(claim('old', FROM_MS - 1), LATER_MS)).toBe('before-start')
    expect(warnings).toEqual([])
  })
  test('the file is used once: a crash after it goes by the start', async () => {
    const first = await open()
    await first.close(FROM_MS)
    await open(LATER_MS)
    const third = await open(LATER_MS + 1000)
    expect(third.claim(claim('a', LATER_MS), LATER_MS + 2000)).toBe('before-start')
  })
  test('what had ended at the shutdown stays ended when the clock is behind', async () => {
    const first = await open()
    first.claim(claim('a'), FROM_MS)
    await first.close(FROM_MS + 60_000)
    const second = await open(LATER_MS)
    expect(second.claim(claim('a'), LATER_MS)).toBe('replayed')
  })
  test.each([
    ['empty', ''],
    ['cut', '{"watermarkSecond":1,"sweptSecond":1,"used":[["'],
    ['another shape', '{"used":[]}'],
    ['a wrong key', '{"watermarkSecond":1,"sweptSecond":1,"used":[["x",1]]}'],
    ['a wrong time', '{"watermarkSecond":"1","sweptSecond":1,"used":[]}'],
    [
      'more than it can hold',
      JSON.stringify({
        watermarkSecond: 1,
        sweptSecond: 1,
        used: ['a', 'b', 'c'].map((jti) => [replayKey('i', jti), 9e9]),
      }),
    ],
  ])('a file that is %s is said loudly and goes by the start', async (_name, text) => {
    await (await open()).close(FROM_MS)
    await writeFile(join(directory, 'state', 'used-tokens.json'), text)
    const guard = await open(LATER_MS, undefined, 2)
    expect(warnings).toEqual([expect.stringContaining('used-tokens.json')])
    expect(guard.claim(claim('a'), LATER_MS)).toBe('before-start')
  })
  test('the file holds no token and only its owner reads it', async () => {
    const guard = await open()
    guard.claim(claim('secret-jti'), FROM_MS)
    await guard.close(FROM_MS)
    const path = join(directory, 'state', 'used-tokens.json')
    expect(await readFile(path, 'utf8')).not.toContain('secret-jti')
    expect((await stat(path)).mode & 0o777).toBe(0o600)
  })
  test('a directory that can not be made is an exception', async () => {
    await writeFile(join(directory, 'state'), '')
    await expect(open()).rejects.toThrow()
  })
})
