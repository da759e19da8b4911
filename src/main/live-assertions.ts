import { readFileBounded, watchPaths } from '../adapters/files.js'
import type { Config } from '../config/config.js'
import { type AssertionKey, AssertionKeys, parseAssertionKey } from '../identity/assertion-key.js'
import { assertionMinter, type MintAssertion } from '../identity/upstream-assertion.js'
import { type Log, messageOf, StartFailure } from './log.js'

const MAX_KEY_FILE_BYTES = 64 * 1024
const SETTLE_MS = 100
const MAX_AGE_SECONDS = 3600

/** What signs the assertions for upstreams, and what they verify them with. */
export type LiveAssertions = {
  /** Undefined: none are minted. */
  readonly mint: MintAssertion | undefined
  /** The key set to publish. Kept by others for at most half of the overlap, a new key is known before it signs. */
  readonly jwks: () => { readonly body: string; readonly maxAgeSeconds: number }
  close(): void
}

/** Throws StartFailure where the key can't be used. Later, a file that can't be used changes nothing. */
export async function openAssertions(
  config: Config['upstreamAssertion'],
  log: Log,
  nowMs: () => number,
): Promise<LiveAssertions> {
  if (!config) {
    return { mint: undefined, jwks: () => keySet([], 0), close: () => undefined }
  }
  const { keyFile, algorithm, overlapMs, lifetimeMs, issuer, reuseMs } = config
  const first = await readKey(keyFile, algorithm).catch((error: unknown) => {
    throw new StartFailure([`upstreamAssertion.keyFile ${keyFile}: ${messageOf(error)}`])
  })
  const keys = new AssertionKeys(first, { overlapMs, lifetimeMs })
  const reread = async (): Promise<void> => {
    try {
      const key = await readKey(keyFile, algorithm)
      if (keys.offer(key, nowMs())) {
        const signsFrom = new Date(nowMs() + overlapMs).toISOString()
        log('info', 'assertion key changed: published now, signs later', { kid: key.kid, signsFrom })
      }
    } catch (error) {
      log('error', 'assertion key refused, the old one stays', { path: keyFile, problem: messageOf(error) })
    }
  }
  const watcher = watchPaths([keyFile], () => void reread(), { settleMs: SETTLE_MS })
  const maxAgeSeconds = Math.min(MAX_AGE_SECONDS, Math.floor(overlapMs / 2000))
  return {
    mint: assertionMinter({ issuer, lifetimeMs, reuseMs, signer: (at) => keys.signer(at) }),
    jwks: () => keySet(keys.published(nowMs()), maxAgeSeconds),
    close: () => watcher.close(),
  }
}

async function readKey(path: string, algorithm: AssertionKey['algorithm']): Promise<AssertionKey> {
  const read = await readFileBounded(path, MAX_KEY_FILE_BYTES)
  if (!read.ok) throw new Error(read.problem)
  const parsed = parseAssertionKey(read.bytes.toString(), algorithm)
  if (!parsed.ok) throw new Error(parsed.problem)
  return parsed.key
}

function keySet(
  keys: readonly unknown[],
  maxAgeSeconds: number,
): { readonly body: string; readonly maxAgeSeconds: number } {
  return { body: `${JSON.stringify({ keys })}\n`, maxAgeSeconds }
}
