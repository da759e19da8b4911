import type { ChainEnd } from './chain-line.js'
import type { Finding, Place } from './finding.js'

/** A line whose signature holds: it vouches for all before it. */
export type Sealed = ChainEnd & { readonly atMs: number; readonly place: Place }

export type StreamReport = {
  readonly stream: string
  readonly files: number
  readonly lines: number
  /** Number of the first line that is there; 0: there is none. */
  readonly first: number
  readonly last: ChainEnd
  readonly sealed: Sealed | undefined
  /** Of the newest checkpoint, signed or not. */
  readonly checkpoint: ChainEnd | undefined
  readonly previousCheckpoint: ChainEnd | undefined
  /** Signed lines, whether their signature was checked or not. */
  readonly signedLines: number
  /** Lines of the log itself without a signature. */
  readonly unsignedLogLines: number
  readonly keyIds: readonly string[]
  /** Lines up to this one were removed by retention, as the log accounts for; 0: none. */
  readonly removedTo: number
  /** Starts after an end without a closing checkpoint. */
  readonly uncleanStarts: number
  /** Bytes of torn ends that starts accounted for. */
  readonly tornBytes: number
  /** The last line is a closing checkpoint: nothing was written after it. */
  readonly isClosed: boolean
  readonly findings: readonly Finding[]
  /** More were found than are kept. */
  readonly untold: number
}
