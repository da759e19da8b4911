/** A shipped file, one change to it, and the one thing that is then found, at a line with this text. */
export type Broken = {
  readonly name: string
  readonly file: 'sidecar.yaml' | 'sidecar-tcp.yaml' | 'gateway.yaml'
  readonly change: readonly [from: string, to: string]
  /** Done first. */
  readonly also?: readonly [from: string, to: string]
  readonly finds: string
  readonly line: string
}

/** The short form: a field of the file takes another value, and is found where it stands. */
export const value = (
  file: Broken['file'],
  finds: string,
  name: string,
  from: string,
  to: string,
  line = to,
): Broken => ({ file, finds, name, change: [from, to], line })

/** A line goes, and the finding is where its message begins. */
export const gone = (
  file: Broken['file'],
  finds: string,
  name: string,
  text: string,
  line: string,
): Broken => ({
  file,
  finds,
  name,
  change: [text, ''],
  line,
})

/** A line more in the filter. */
export const more = (file: Broken['file'], finds: string, name: string, written: string): Broken => ({
  file,
  finds,
  name,
  change: ['clear_route_cache: false\n', `clear_route_cache: false\n                      ${written}\n`],
  line: written.split(':')[0] ?? '',
})

export const HTTP = 'type.googleapis.com/envoy.extensions.filters.http'
export const NETWORK = 'type.googleapis.com/envoy.extensions.filters.network'
