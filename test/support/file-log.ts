import { generateKeyPairSync } from 'node:crypto'
import { join } from 'node:path'
import { type FileSinkOptions, openFileLog } from '../../src/adapters/audit-file/file-sink.js'
import { keyIdOf, parseSigner, type Recipient } from '../../src/audit/chain/audit-keys.js'
import type { LogSigner } from '../../src/audit/chain/log-lines.js'
import type { AuditEvent, EventSink } from '../../src/audit/event-sink.js'

export const DAY_MS = 86_400_000

export type OpenLog = {
  readonly sink: EventSink
  /** What an operator was told, in order. */
  readonly told: string[]
  /** Problems as they changed; `ok` for none. */
  readonly problems: string[]
}

/** A real log in a folder; what is not given is large enough not to matter. */
export async function openLog(folder: string, options: Partial<FileSinkOptions> = {}): Promise<OpenLog> {
  const told: string[] = []
  const problems: string[] = []
  const sink = await openFileLog({
    name: 'File 0',
    file: join(folder, 'events.jsonl'),
    render: ({ line }) => line,
    maxBytes: 1e9,
    maxAgeMs: DAY_MS,
    fsync: 'Interval',
    flushIntervalMs: 5,
    checkpointIntervalMs: DAY_MS,
    bufferEvents: 10_000,
    signer: () => undefined,
    recipient: () => undefined,
    keyRotationMs: () => DAY_MS,
    retentionMs: () => undefined,
    nowMs: Date.now,
    warn: (message) => told.push(message),
    onProblem: (problem) => problems.push(problem ?? 'ok'),
    ...options,
  })
  return { sink, told, problems }
}

export function eventOf(n: number, classification?: string, extra = ''): AuditEvent {
  const line = `{"schemaVersion":"1.0","eventType":"security","n":${n},"text":"${extra}"}`
  return { line, classification, atMs: 0 }
}

export function signerOf(privateKeyPem: string): LogSigner {
  const parsed = parseSigner(privateKeyPem)
  if (!parsed.ok) throw new Error(parsed.problem)
  return parsed.signer
}

export function newSigner() {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  const pem = privateKey.export({ format: 'pem', type: 'pkcs8' }).toString()
  return { signer: signerOf(pem), publicKey, pem }
}

export function newRecipient() {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-384' })
  const recipient: Recipient = { keyId: keyIdOf(publicKey), publicKey }
  return { recipient, privateKey, publicKey }
}

/** Resolves once `holds`; throws after `withinMs`. */
export async function until(holds: () => boolean | Promise<boolean>, withinMs = 5000): Promise<void> {
  const end = performance.now() + withinMs
  while (!(await holds())) {
    if (performance.now() > end) throw new Error('it did not come to pass in time')
    await new Promise((resolve) => {
      setTimeout(resolve, 5)
    })
  }
}
