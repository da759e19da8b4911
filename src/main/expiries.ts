import { X509Certificate } from 'node:crypto'

/** When certificates that Portcullis itself presents end. */
export type Expiries = {
  /** `what` is a name out of the configuration; the earliest end of the certificates in the PEM counts. */
  readonly note: (what: string, pem: string) => void
  /** Milliseconds since the epoch, by what it is. */
  readonly all: () => ReadonlyMap<string, number>
}

const BLOCK = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g

export function createExpiries(): Expiries {
  const ends = new Map<string, number>()
  return {
    note: (what, pem) => {
      const times = Array.from(pem.matchAll(BLOCK), ([block]) => endOf(block)).filter(Number.isFinite)
      if (times.length > 0) ends.set(what, Math.min(...times))
    },
    all: () => ends,
  }
}

/** NaN for what is no certificate: TLS has told that already. */
function endOf(pem: string): number {
  try {
    return Date.parse(new X509Certificate(pem).validTo)
  } catch {
    return NaN
  }
}
