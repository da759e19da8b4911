import { createHash, generateKeyPairSync } from 'node:crypto'
import { parseSigner } from '../../src/audit/chain/audit-keys.js'
import { appendLine, CHAIN_START, type ChainEnd } from '../../src/audit/chain/chain-line.js'
import { activeName, closedName, headName } from '../../src/audit/chain/file-names.js'
import {
  checkpointBody,
  encryptedBody,
  openedBody,
  type LogSigner,
  type Opened,
  type RemovedFile,
  retentionBody,
  signedBody,
} from '../../src/audit/chain/log-lines.js'

const STEM = 'events'
const START_MS = Date.UTC(2026, 10, 25, 8)

export type SigningPair = {
  readonly signer: LogSigner
  readonly publicPem: string
  readonly privatePem: string
}

export function signingPair(): SigningPair {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519', {
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  })
  const parsed = parseSigner(privateKey)
  if (!parsed.ok) throw new Error(parsed.problem)
  return { signer: parsed.signer, publicPem: publicKey, privatePem: privateKey }
}

/** Writes one stream of an audit log into memory, line by line. */
export class SampleStream {
  readonly files = new Map<string, Buffer>()
  readonly #stream: string
  readonly #signer: LogSigner | undefined
  #end: ChainEnd = CHAIN_START
  #text: Buffer[] = []
  #firstSeq = 1
  #events = 0
  #atMs = START_MS

  constructor(stream: string, signer: LogSigner | undefined) {
    this.#stream = stream
    this.#signer = signer
  }

  /** Goes on with what another one wrote. */
  continueAfter(end: ChainEnd): this {
    this.#end = end
    this.#firstSeq = end.seq + 1
    return this
  }

  get end(): ChainEnd {
    return this.#end
  }

  opened(reason: Opened['reason'], torn?: string): this {
    if (torn !== undefined) this.#text.push(Buffer.from(`${torn}\n`))
    const ofTorn = torn === undefined ? undefined : { bytes: Buffer.byteLength(torn), hash: digest(torn) }
    const at = { atMs: this.#nextMs(), stream: this.#stream }
    return this.#signed(openedBody({ ...at, reason, previous: this.#end, torn: ofTorn }))
  }

  events(count: number): this {
    for (let left = count; left > 0; left--) {
      const at = new Date(this.#nextMs()).toISOString()
      const id = `${this.#stream}-${++this.#events}`
      this.#append(
        `{"schemaVersion":"1.0","timestamp":"${at}","eventType":"authorization","decisionId":"${id}","decision":"allow","decisionReason":"allowed"`,
      )
    }
    return this
  }

  encrypted(classification: string | undefined, jwe: string): this {
    return this.#append(encryptedBody(classification, jwe))
  }

  checkpoint(reason: 'interval' | 'rotation' | 'close', streams?: Readonly<Record<string, ChainEnd>>): this {
    const at = { atMs: this.#nextMs(), stream: this.#stream, covered: this.#end.seq, reason }
    this.#signed(checkpointBody({ ...at, ...(streams && { streams: new Map(Object.entries(streams)) }) }))
    const line = this.#text.at(-1) ?? Buffer.alloc(0)
    this.files.set(headName(STEM, this.#stream), line)
    return reason === 'rotation' ? this.#close() : this
  }

  retention(removed: readonly RemovedFile[]): this {
    return this.#signed(retentionBody({ atMs: this.#nextMs(), stream: this.#stream, removed }))
  }

  /** What retention says of the file that was closed last. */
  get lastClosed(): RemovedFile {
    const file = [...this.files.keys()].findLast((name) => /\d{12}/.test(name)) ?? ''
    return {
      file,
      firstSeq: Number(/\d{12}/.exec(file)?.[0]),
      lastSeq: this.#end.seq,
      lastHash: this.#end.hash,
    }
  }

  /** The active file as it is now. */
  done(): this {
    this.files.set(activeName(STEM, this.#stream), Buffer.concat(this.#text))
    return this
  }

  #close(): this {
    this.files.set(closedName(STEM, this.#stream, this.#firstSeq), Buffer.concat(this.#text))
    this.#text = []
    this.#firstSeq = this.#end.seq + 1
    return this
  }

  #signed(body: string): this {
    return this.#append(this.#signer ? signedBody(body, this.#end.hash, this.#signer) : body)
  }

  #append(body: string): this {
    const { line, seq, hash } = appendLine(this.#end, body)
    this.#text.push(Buffer.from(`${line}\n`))
    this.#end = { seq, hash }
    return this
  }

  #nextMs(): number {
    return (this.#atMs += 1000)
  }
}

/**
 * Two streams over several files, with restarts, a torn end, rotations, retention and encrypted lines.
 * `isClosed`: it ends with closing checkpoints; else two events stand behind the last one.
 */
export function sampleLog(signer: LogSigner | undefined, isClosed = true): Map<string, Buffer> {
  const restricted = new SampleStream('restricted', signer)
  restricted.opened('new').events(2).checkpoint('rotation')
  const first = restricted.lastClosed
  restricted.opened('rotation').encrypted('restricted', 'a..b.c.d').events(1).checkpoint('interval')
  restricted.encrypted('restricted', 'e..f.g.h').checkpoint('rotation').opened('rotation')
  restricted.retention([first]).events(2).checkpoint('interval')
  restricted.files.delete(first.file)

  const early = restricted.end
  const main = new SampleStream('default', signer)
  main.opened('new').events(3).checkpoint('interval').events(1).checkpoint('rotation')
  main.opened('rotation').events(2).opened('start', '{"schemaVersion":"1.0","timest\u0000amp').events(2)
  main.checkpoint('rotation', { restricted: early }).opened('rotation').events(1).checkpoint('close')
  main.opened('start').events(2).checkpoint('interval', { restricted: early })
  restricted.events(1)
  if (isClosed) restricted.checkpoint('close')
  main.events(2)
  if (isClosed) main.checkpoint('close', { restricted: restricted.end })
  return new Map([...main.done().files, ...restricted.done().files])
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('base64url')
}
