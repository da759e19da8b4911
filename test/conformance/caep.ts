import { isJsonObject, type JsonObject, parseStrictJson } from '../../src/identity/strict-json.js'
import { bareSubject } from '../../src/signals/effects.js'
import { readSet } from '../../src/signals/parse-set.js'
import { readSubject } from '../../src/signals/subject-identifier.js'
import { AGREED, casesOf, judgeCases, type Outcome, type Suite } from './suite.js'

type Case = {
  readonly id: string
  readonly title: string
  readonly valid: boolean
  readonly claims: JsonObject
  readonly event_types: readonly string[]
}

export const caepSuite: Suite = {
  file: 'caep/examples.json',
  run: async (content) => judgeCases(casesOf(content) as readonly Case[], judge),
}

function judge({ title, valid, claims, event_types: types }: Case): Outcome {
  // Own members only, as the claims of a token that was parsed have.
  const parsed = parseStrictJson(JSON.stringify(claims))
  if (!parsed.ok || !isJsonObject(parsed.value))
    return { verdict: 'wrong-refusal', detail: `${title}: no object` }
  const read = readSet(
    parsed.value,
    audiencesOf(claims),
    { eventMaxAgeMs: Infinity, clockSkewMs: 0 },
    whenever(claims),
  )
  if (!read.ok) {
    return valid ? { verdict: 'wrong-refusal', detail: `${title}: ${read.description}` } : AGREED
  }
  if (!valid) return { verdict: 'wrong-accept', detail: title }
  const { event } = read
  if (event.name === undefined || !types.includes(event.type)) {
    return { verdict: 'wrong-result', detail: `${title}: read as ${event.type}` }
  }
  // Whether its subject is one of ours or not, reading it ends; nobody's subjects may be touched.
  const subject = readSubject(event.subject, bareSubject(event), { subjectIssuers: [], trustDomains: [] })
  return subject.ok && subject.named.length > 0
    ? { verdict: 'wrong-accept', detail: `${title}: its subject` }
    : AGREED
}

function audiencesOf({ aud }: JsonObject): readonly string[] {
  return (Array.isArray(aud) ? aud : [aud]).filter((one) => typeof one === 'string')
}

/** The examples are of many years: now is when each came. Milliseconds. */
function whenever({ iat, events }: JsonObject): number {
  const told = isJsonObject(events) ? Object.values(events) : []
  const seconds = [iat, ...told.map((event) => (isJsonObject(event) ? event['event_timestamp'] : undefined))]
  return Math.max(0, ...seconds.filter((value) => typeof value === 'number')) * 1000
}
