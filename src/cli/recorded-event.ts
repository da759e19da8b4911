import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { isEncryptedLine } from '../audit/chain/open-line.js'
import { ENCRYPTED, readTrafficLine, type TrafficEvent } from '../lifecycle/traffic.js'

export type FoundEvent =
  { readonly ok: true; readonly event: TrafficEvent } | { readonly ok: false; readonly problem: string }

/** The event of a decision in a log of security events, `-` for standard input; without an id the only one there. */
export async function findEvent(file: string, id: string | undefined): Promise<FoundEvent> {
  const name = file === '-' ? 'standard input' : file
  let found: TrafficEvent | undefined
  let [events, lines] = [0, 0]
  let problem: string | undefined
  try {
    const input = createReadStream(file === '-' ? '/dev/stdin' : file, 'utf8')
    for await (const line of createInterface({ input, crlfDelay: Infinity })) {
      lines++
      // Reading a line costs more than looking for the id in it.
      if (id !== undefined && !line.includes(id)) {
        if (isEncryptedLine(line)) problem ??= `${name}:${lines}: ${ENCRYPTED}`
        continue
      }
      const read = readTrafficLine(line)
      if (read.kind === 'bad') problem ??= `${name}:${lines}: ${read.problem}`
      if (read.kind !== 'event' || (id !== undefined && read.event.decisionId !== id)) continue
      events++
      found = read.event
      if (id !== undefined) break
    }
  } catch (error) {
    return {
      ok: false,
      problem: `${name} can't be read: ${error instanceof Error ? error.message : String(error)}`,
    }
  }
  if (found && events === 1) return { ok: true, event: found }
  if (events > 1) return { ok: false, problem: `${name} holds ${events} decisions: say which, by its id` }
  const what = id === undefined ? 'no decision' : `no decision ${id}`
  return { ok: false, problem: problem ?? `${name} holds ${what}` }
}
