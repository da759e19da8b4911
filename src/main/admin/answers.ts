import type { Outcome, PortProblem } from '../../admin/ports.js'
import type { DocumentPage } from '../../state/store.js'

type Refused = Extract<Outcome<never>, { readonly ok: false }>

export function refused(status: Refused['status'], ...problems: readonly PortProblem[]): Refused {
  return { ok: false, status, problems }
}

export function problem(
  pointer: PortProblem['pointer'],
  code: PortProblem['code'],
  message: string,
): PortProblem {
  return { pointer, code, message }
}

/** The store can't be asked, or did not take the change. */
export const AWAY: Refused = refused(
  503,
  problem([], 'state-unavailable', 'the store of state is away: nothing can be told or changed now'),
)

export function found<Value>(value: Value): Outcome<Value> {
  return { ok: true, value }
}

/** RFC 3339 to the millisecond, in UTC; undefined for no time. */
export function timeOf(ms: number | undefined): string | undefined {
  if (ms === undefined || !Number.isFinite(ms) || Math.abs(ms) > 8.64e15) return undefined
  return new Date(ms).toISOString()
}

/** What a client hands back to go on; its alphabet is that of URLs. */
export function cursorOf({ next }: Pick<DocumentPage, 'next'>): string | undefined {
  return next === undefined ? undefined : Buffer.from(next).toString('base64url')
}

export function cursorIn(text: string | undefined): string | undefined {
  return text === undefined ? undefined : Buffer.from(text, 'base64url').toString()
}

type Given<Value> = { [Key in keyof Value]: Exclude<Value[Key], undefined> }

/** Members that are undefined left out, as schemas of optional members need it. */
export function given<Value extends object>(value: Value): Given<Value>
export function given(value: object): object {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined))
}
