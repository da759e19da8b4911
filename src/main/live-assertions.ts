import { readFileBounded } from '../adapters/files.js'
import type { Config } from '../config/config.js'
import { type AssertionKey, AssertionKeys, parseAssertionKey } from '../identity/assertion-key.js'
import { assertionMinter, type MintAssertion } from '../identity/upstream-assertion.js'
import { type Log, StartFailure } from './log.js'
import { watched } from './watched.js'

const MAX_KEY_FILE_BYTES = 64 * 1024
const MAX_AGE_SECONDS = 3600

/** A public key as JWK. */
export type PublishedKey = AssertionKey['publicJwk']

/** What signs the assertions for upstreams, and what they verify them with. */
export type LiveAssertions = {
  /** Undefined: none are minted. */
  readonly mint: MintAssertion | undefined
  /** The key set to publish. Kept by others for at most half of the overlap, a new key is known before it signs. */
  readonly jwks: (ofOthers?: readonly PublishedKey[]) => {
    readonly body: string
    readonly maxAgeSeconds: number
  }
  /** Keys of the set, for a process that publishes those of several. */
  readonly published: () => readonly PublishedKey[]
  close(): void
}

/** Throws StartFailure where the key can't be used. Later, a file that can't be used changes nothing. */
export async function openAssertions(
  config: Config['upstreamAssertion'],
  log: Log,
  nowMs: () => number,
): Promise<LiveAssertions> {
  if (!config) {
    return { mint: undefined, jwks: () => keySet([], 0), published: () => [], close: () => undefined }
  }
  const { keyFile, algorithm, overlapMs, lifetimeMs, issuer, reuseMs } = config
  let keys: AssertionKeys | undefined
  const read = async (): Promise<void> => {
    const found = await readKey(keyFile, algorithm)
    if (!keys) {
      if (!found.ok) throw new StartFailure([`upstreamAssertion.keyFile ${keyFile}: ${found.problem}`])
      keys = new AssertionKeys(found.key, { overlapMs, lifetimeMs })
    } else if (!found.ok) {
      log('error', 'assertion key refused, the old one stays', { path: keyFile, problem: found.problem })
    } else if (keys.offer(found.key, nowMs())) {
      const signsFrom = new Date(nowMs() + overlapMs).toISOString()
      log('info', 'assertion key changed: published now, signs later', { kid: found.key.kid, signsFrom })
    }
  }
  const file = await watched([keyFile], read, `assertion key ${keyFile}`, log)
  const known = (): AssertionKeys => {
    if (!keys) throw new Error('the assertion key was read and is not there')
    return keys
  }
  const maxAgeSeconds = Math.min(MAX_AGE_SECONDS, Math.floor(overlapMs / 2000))
  return {
    mint: assertionMinter({ issuer, lifetimeMs, reuseMs, signer: (at) => known().signer(at) }),
    jwks: (ofOthers = []) => {
      const all = [...known().published(nowMs()), ...ofOthers]
      return keySet([...new Map(all.map((key) => [key['kid'], key])).values()], maxAgeSeconds)
    },
    published: () => known().published(nowMs()),
    close: () => file.close(),
  }
}

async function readKey(
  path: string,
  algorithm: AssertionKey['algorithm'],
): Promise<ReturnType<typeof parseAssertionKey>> {
  const content = await readFileBounded(path, MAX_KEY_FILE_BYTES)
  return content.ok ? parseAssertionKey(content.bytes.toString(), algorithm) : content
}

function keySet(
  keys: readonly unknown[],
  maxAgeSeconds: number,
): { readonly body: string; readonly maxAgeSeconds: number } {
  return { body: `${JSON.stringify({ keys })}\n`, maxAgeSeconds }
}
