import type { ChainEnd } from '../audit/chain/chain-line.js'
import { activeName, DEFAULT_STREAM, headName } from '../audit/chain/file-names.js'
import type { Finding } from '../audit/chain/finding.js'
import { join } from 'node:path'
import type { SignatureCheck } from '../audit/chain/signature-check.js'
import { KnownEnds } from '../audit/chain/known-ends.js'
import type { StreamReport } from '../audit/chain/stream-report.js'
import { StreamVerifier } from '../audit/chain/verify-stream.js'
import type { Witness } from '../audit/chain/witnesses.js'
import { readByteLines } from './audit-lines.js'
import {
  type HeadFile,
  type Log,
  type OpenableFile,
  openRegular,
  readHeadFile,
  streamFilesOf,
  streamNamesOf,
} from './audit-log-files.js'

export type VerifyOptions = {
  readonly checkSignature: SignatureCheck
  readonly expectsSignatures: boolean
  /** Ends that were noted elsewhere, by stream. */
  readonly heads: ReadonlyMap<string, readonly ChainEnd[]>
  /** How long the end of a line that is being written is waited for. */
  readonly waitMs: number
  /** Told now and then, for people who wait. */
  readonly onProgress: (file: string, lines: number) => void
}

export type VerifiedStream = StreamReport & {
  /** A checkpoint of the default stream names it, or it is that. */
  readonly isKnown: boolean
}

export type LogReport = {
  readonly log: Log
  readonly streams: readonly VerifiedStream[]
}

/** Verifies a log, also one that is being written. Throws where files can't be read. */
export async function verifyLog(log: Log, options: VerifyOptions): Promise<LogReport> {
  const known = new KnownEnds()
  const streams: VerifiedStream[] = []
  // The default stream is always there, and so is one whose end somebody noted.
  const names = new Set([DEFAULT_STREAM, ...(await streamNamesOf(log)), ...options.heads.keys()])
  for (const name of names) streams.push(await verifyStream(log, name, known, options))
  for (const name of known.streams()) {
    if (!names.has(name)) streams.push(await verifyStream(log, name, known, options))
  }
  return { log, streams: await withDefaultChecked(log, streams, known, options) }
}

/** Other streams name the last line of the default one too. It may have grown while they were read: then it is read again. */
async function withDefaultChecked(
  log: Log,
  streams: readonly VerifiedStream[],
  known: KnownEnds,
  options: VerifyOptions,
): Promise<readonly VerifiedStream[]> {
  const named = known.lastOf(DEFAULT_STREAM)
  const [first, ...others] = streams
  if (!named || !first || first.last.seq >= named.seq) return streams
  const again = await verifyStream(log, DEFAULT_STREAM, new KnownEnds(), options)
  const { last } = again
  if (last.seq >= named.seq) return [again, ...others]
  const finding: Finding = {
    file: activeName(log.stem, DEFAULT_STREAM),
    line: 0,
    kind: 'truncated',
    seq: last.seq + 1,
    message: `the log ends with line ${last.seq}, and checkpoints of other streams name line ${named.seq}`,
  }
  return [{ ...again, findings: [...again.findings, finding] }, ...others]
}

/**
 * What tells of a line is read before the line, so that a log that is being written has it: the head before the files,
 * the default stream before others.
 */
async function verifyStream(
  log: Log,
  stream: string,
  known: KnownEnds,
  options: VerifyOptions,
): Promise<VerifiedStream> {
  const name = headName(log.stem, stream)
  const head = await readHeadFile(log, stream)
  const verifier = new StreamVerifier({
    stream,
    checkSignature: options.checkSignature,
    expectsSignatures: options.expectsSignatures,
    witnesses: [
      ...(head.kind === 'line' ? [headWitness(head.line, name)] : []),
      ...(options.heads.get(stream) ?? []).map(givenWitness),
      ...known.witnessesOf(stream),
    ],
    onStreams: (streams, by) => known.note(streams, by),
  })
  const files = await streamFilesOf(log, stream)
  try {
    for (const file of files) await readFile(log, file, verifier, options)
  } finally {
    for (const { handle } of files) await handle?.close()
  }
  const report = verifier.end()
  const gone = files.length === 0 ? [streamMissing(activeName(log.stem, stream))] : []
  const aged = files.length === 0 ? [] : await headFindings(log, stream, head, report, options.waitMs)
  const isKnown = stream === DEFAULT_STREAM || known.has(stream)
  return { ...report, isKnown, findings: [...gone, ...report.findings, ...aged] }
}

async function readFile(
  { folder }: Log,
  file: OpenableFile,
  verifier: StreamVerifier,
  { waitMs, onProgress }: VerifyOptions,
): Promise<void> {
  const path = join(folder, file.name)
  const handle = file.handle ?? (await openRegular(path))
  try {
    verifier.beginFile(file)
    let lines = 0
    const { size } = await handle.stat()
    await readByteLines(handle, { size, waitMs: file.kind === 'active' ? waitMs : 0 }, (line, isEnded) => {
      verifier.line(line, isEnded)
      if (++lines % 10_000 === 0) onProgress(path, lines)
    })
  } finally {
    if (!file.handle) await handle.close()
  }
}

function givenWitness({ seq, hash }: ChainEnd): Witness {
  return { seq, hash, by: 'given', told: '--head' }
}

function headWitness(line: ChainEnd & { readonly body: Buffer }, told: string): Witness {
  return { seq: line.seq, hash: line.hash, body: line.body, by: 'head-file', told }
}

function streamMissing(file: string): Finding {
  return { file, line: 0, kind: 'stream-missing', message: 'the stream has no file' }
}

const BETWEEN_LOOKS_MS = 50

/** A head is one checkpoint behind when the process ended between both; more than one it never is. */
async function headFindings(
  log: Log,
  stream: string,
  before: HeadFile,
  { checkpoint, previousCheckpoint }: StreamReport,
  waitMs: number,
): Promise<readonly Finding[]> {
  const file = headName(log.stem, stream)
  const finding = (message: string): readonly Finding[] => [{ file, line: 1, kind: 'head', message }]
  if (!checkpoint) return []
  const isOld = (each: HeadFile): boolean =>
    each.kind !== 'line' || each.line.seq < (previousCheckpoint ?? checkpoint).seq
  let head = before
  // It may be newer by now, or in a moment.
  for (let waitedMs = 0; isOld(head) && waitedMs <= waitMs; waitedMs += BETWEEN_LOOKS_MS) {
    if (waitedMs > 0) await new Promise((resolve) => setTimeout(resolve, BETWEEN_LOOKS_MS))
    head = await readHeadFile(log, stream)
  }
  if (!isOld(head)) return []
  if (head.kind === 'absent')
    return finding('the head file is missing: that the end of the log was cut off would go unnoticed')
  if (head.kind === 'unreadable') return finding('no line of an audit log')
  return finding(
    `line ${head.line.seq} is in it, and checkpoints up to line ${checkpoint.seq} are in the log`,
  )
}
