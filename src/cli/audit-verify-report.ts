import { join } from 'node:path'
import type { Finding } from '../audit/chain/finding.js'
import type { StreamReport } from '../audit/chain/stream-report.js'
import { printable, printableJson } from './admin/printable.js'
import type { LogReport, VerifiedStream } from './audit-verify-log.js'
import type { Style } from './style.js'

export type Told = {
  readonly reports: readonly LogReport[]
  /** Files of the folders that are no audit logs. */
  readonly others: readonly string[]
  readonly isChainOnly: boolean
}

/** Findings of one stream that are told to people. */
const MAX_TOLD = 100

export function isIntact({ streams }: LogReport): boolean {
  return streams.every(({ findings }) => findings.length === 0)
}

export function reportJson({ reports, others, isChainOnly }: Told): string {
  return printableJson({
    intact: reports.every(isIntact),
    signaturesChecked: !isChainOnly && reports.some(({ streams }) => streams.some(({ sealed }) => sealed)),
    logs: reports.map((report) => ({
      log: join(report.log.folder, `${report.log.stem}.jsonl`),
      intact: isIntact(report),
      streams: report.streams.map(({ sealed, ...stream }) => ({
        ...stream,
        signedUpTo: sealed && {
          seq: sealed.seq,
          hash: sealed.hash,
          time: new Date(sealed.atMs).toISOString(),
          ...sealed.place,
        },
        notSignedYet: stream.last.seq - (sealed?.seq ?? 0),
      })),
    })),
    noLogs: others,
  })
}

export function reportText({ reports, others, isChainOnly }: Told, style: Style): string {
  const lines: string[] = []
  for (const { log, streams } of reports) {
    for (const stream of streams) {
      lines.push(
        ...findingLines(stream, log.folder, style),
        ...summaryLines(stream, log.folder, isChainOnly, style),
      )
    }
    const verdict = streams.every(({ findings }) => findings.length === 0)
    const name = printable(join(log.folder, `${log.stem}.jsonl`))
    const count = streams.reduce((sum, { findings, untold }) => sum + findings.length + untold, 0)
    lines.push(verdict ? style.good(`${name}: intact`) : style.bad(`${name}: ${plural(count, 'finding')}`))
  }
  if (others.length > 0)
    lines.push(style.faint(`no audit log, not looked at: ${printable(others.slice(0, 10).join(', '))}`))
  return lines.join('\n')
}

function findingLines({ findings, untold }: StreamReport, folder: string, { bad }: Style): string[] {
  const lines = findings.slice(0, MAX_TOLD).map((finding) => bad(printable(findingText(finding, folder))))
  const more = findings.length - MAX_TOLD + untold
  if (findings.length > MAX_TOLD || untold > 0)
    lines.push(bad(`${number(Math.max(more, untold))} more findings`))
  return lines
}

function findingText({ file, line, toLine, kind, seq, toSeq, message }: Finding, folder: string): string {
  const place = line === 0 ? file : `${file}:${line}${toLine === undefined ? '' : `-${toLine}`}`
  const numbers =
    seq === undefined
      ? ''
      : ` (line ${seq}${toSeq === undefined || toSeq === seq ? '' : ` to ${toSeq}`} of the stream)`
  return `${join(folder, place)}: ${kind}: ${message}${numbers}`
}

function summaryLines(
  stream: VerifiedStream,
  folder: string,
  isChainOnly: boolean,
  { faint }: Style,
): string[] {
  const { first, last, files, removedTo, uncleanStarts, tornBytes } = stream
  if (files === 0) return []
  const lines = [
    `${stream.stream}: lines ${number(first)} to ${number(last.seq)} in ${plural(files, 'file')}`,
  ]
  if (removedTo > 0)
    lines.push(`  lines up to ${number(removedTo)} were removed by retention, as the log accounts for`)
  if (uncleanStarts > 0)
    lines.push(
      `  ${plural(uncleanStarts, 'start')} after an end without a closing checkpoint (killed, or no power)`,
    )
  if (tornBytes > 0) lines.push(`  ${number(tornBytes)} bytes of torn lines, as the log accounts for`)
  if (!stream.isKnown)
    lines.push('  no checkpoint of the default stream names it: new, or put here from another log')
  lines.push(...worthLines(stream, folder, isChainOnly).map((line) => `  ${line}`))
  const { seq, hash } = stream.sealed ?? last
  lines.push(`  to keep elsewhere: --head ${stream.stream}=${seq}:${hash}`)
  return lines.map((line, index) => (index === 0 ? printable(line) : faint(printable(line))))
}

/** What may still be changed unnoticed. */
function worthLines(
  { sealed, last, signedLines, isClosed, keyIds }: StreamReport,
  folder: string,
  isChainOnly: boolean,
): string[] {
  if (signedLines === 0)
    return [
      'not signed: shows accidents and clumsy changes; who can write the files can chain them anew, unless --head is given',
    ]
  if (isChainOnly)
    return [
      'signatures were not checked: who can write the files may have changed lines and chained them anew',
    ]
  if (!sealed) return ['no signature holds']
  const at = `${join(folder, sealed.place.file)}:${sealed.place.line}, ${new Date(sealed.atMs).toISOString()}`
  const signed = `signed up to line ${number(sealed.seq)} (${at}) with ${keyIds.length === 1 ? `the key ${keyIds[0]}` : plural(keyIds.length, 'key')}`
  const behind = last.seq - sealed.seq
  if (behind === 0) return [`${signed}${isClosed ? ', and closed there' : ''}`]
  return [
    signed,
    `${plural(behind, 'line')} behind it ${behind === 1 ? 'is' : 'are'} not signed yet: could be changed or cut off unnoticed`,
  ]
}

function plural(count: number, word: string): string {
  return `${number(count)} ${word}${count === 1 ? '' : 's'}`
}

function number(value: number): string {
  return value.toLocaleString('en')
}
