/** What no peer does that means well. */
const EXCESSES = [
  'connections',
  'connections-of-address',
  'new-connections-of-address',
  'rapid-resets',
  'settings',
  'data-frames',
  'idle-bytes',
  'unread-answers',
] as const
export type Excess = (typeof EXCESSES)[number]

/** What a listener ends a connection for. Also the label of the metric. */
export const CLOSED_FOR = [
  ...EXCESSES,
  'protocol-error',
  'resets',
  'handshake',
  'silent',
  'lost',
  'age',
  'certificate',
  'roots',
] as const
export type ClosedFor = (typeof CLOSED_FOR)[number]

/** Who was at the other end: a SPIFFE ID or else an IP address; undefined on a Unix socket. */
export type Closed = { readonly reason: ClosedFor; readonly peer: string | undefined }

const excesses: ReadonlySet<ClosedFor> = new Set(EXCESSES)

export const isExcess = (reason: ClosedFor): reason is Excess => excesses.has(reason)
