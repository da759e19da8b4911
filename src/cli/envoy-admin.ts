import { isLocal } from '../lifecycle/doctor/addresses.js'

export type AdminDump =
  | { readonly ok: true; readonly name: string; readonly bytes: Uint8Array }
  | { readonly ok: false; readonly problem: string }

export type AdminLimits = { readonly timeMs: number; readonly maxBytes: number }

/**
 * Fetches config_dump with endpoints from Envoy's admin interface. `timeMs` is for the whole of it. Plain http goes to
 * this host alone, as the dump holds what an attacker wants to know. What the network does is a result.
 */
export async function fetchConfigDump(written: string, limits: AdminLimits): Promise<AdminDump> {
  const address = URL.canParse(written) ? new URL(written) : undefined
  if (!address || !/^https?:$/.test(address.protocol) || address.hostname === '') {
    return {
      ok: false,
      problem: `--admin takes an address such as http://127.0.0.1:9901, and not ${written}`,
    }
  }
  if (address.username !== '' || address.pathname !== '/' || address.search !== '' || address.hash !== '') {
    return {
      ok: false,
      problem: '--admin takes scheme, host and port alone, for example http://127.0.0.1:9901',
    }
  }
  if (address.protocol === 'http:' && !isLocal(address.hostname.replaceAll(/[[\]]/g, ''))) {
    const problem = `--admin over http takes an address of this host, and not ${address.hostname}; forward its port here`
    return { ok: false, problem }
  }
  const name = address.origin
  const signal = AbortSignal.timeout(limits.timeMs)
  try {
    const answer = await fetch(`${name}/config_dump?include_eds`, { signal, redirect: 'manual' })
    const bytes = await readBounded(answer, limits.maxBytes)
    if (typeof bytes === 'string') return { ok: false, problem: `${name}: ${bytes}` }
    if (answer.status !== 200) return strange(name, `answered with status ${answer.status}`)
    const type = answer.headers.get('content-type') ?? ''
    if (!/^application\/json\b/.test(type)) {
      return strange(name, `answered with ${type === '' ? 'no type' : type}`)
    }
    return { ok: true, name, bytes }
  } catch (error) {
    const reason = signal.aborted ? `did not answer within ${limits.timeMs / 1000} s` : reasonOf(error)
    return { ok: false, problem: `${name}: ${reason}` }
  }
}

async function readBounded(answer: Response, maxBytes: number): Promise<Uint8Array | string> {
  if (!answer.body) return new Uint8Array()
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of answer.body) {
    if (!(chunk instanceof Uint8Array)) continue
    length += chunk.length
    if (length > maxBytes) return `its answer has more than ${maxBytes} bytes`
    chunks.push(chunk)
  }
  return Buffer.concat(chunks, length)
}

function strange(name: string, how: string): AdminDump {
  const problem = `${name} ${how.replaceAll(/\p{C}/gu, '?')}, which is no config_dump; is it Envoy's admin interface?`
  return { ok: false, problem }
}

/** What the network said lies in the cause of what `fetch` says. */
function reasonOf(error: unknown): string {
  const cause = fieldOf(error, 'cause') ?? error
  const code = fieldOf(cause, 'code')
  if (code === 'ECONNREFUSED') return 'nothing listens there'
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return 'no such host'
  return String(fieldOf(cause, 'message') ?? code ?? cause)
}

function fieldOf(value: unknown, field: 'cause' | 'code' | 'message'): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, field) : undefined
}
