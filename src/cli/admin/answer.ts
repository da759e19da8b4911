import { Type, type Static, type TSchema } from '@sinclair/typebox'
import { matchesShape } from '../../schema/shape.js'
import type { Exchange } from './exchange.js'
import { printable } from './printable.js'

/** What RFC 9457 and this API let a refusal say; a server may say less. */
const ProblemDetails = Type.Object({
  title: Type.Optional(Type.String()),
  detail: Type.Optional(Type.String()),
  errors: Type.Optional(
    Type.Array(
      Type.Object({
        pointer: Type.Optional(Type.String()),
        code: Type.Optional(Type.String()),
        message: Type.String(),
      }),
    ),
  ),
})
type ProblemDetails = Static<typeof ProblemDetails>

/** `problem` is lines for standard error, harmless for a terminal, without an `error:` before them. */
export type Answer<Value> =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly exitCode: 1 | 2; readonly problem: string }

/** A sound request that the state of things refuses is a finding (1); all else is the asker's or the server's fault (2). */
const FINDINGS: ReadonlySet<number> = new Set([403, 404, 409])

/**
 * Reads an answer as JSON of a shape. The shape says what the command reads; more is kept, so that newer servers can
 * say more. What does not fit is a refusal.
 */
export function readJson<Shape extends TSchema>(
  name: string,
  got: Exchange,
  shape: Shape,
  nameField: NameField = fieldOf,
): Answer<Static<Shape>> {
  const told = readText(name, got, nameField)
  if (!told.ok) return told
  const value = parseJson(told.value)
  if (value !== undefined && matchesShape(shape, value)) return { ok: true, value }
  return strange(
    `${name} answered something else than this command knows; is it Portcullis' admin API, of this version?`,
  )
}

/** Reads an answer of any text, such as CSV. */
export function readText(name: string, got: Exchange, nameField: NameField = fieldOf): Answer<string> {
  if (!got.ok) return strange(got.problem)
  const text = got.bytes.toString('utf8')
  if (got.status >= 200 && got.status < 300) return { ok: true, value: text }
  const body = parseJson(text)
  const details: ProblemDetails = matchesShape(ProblemDetails, body) ? body : {}
  return {
    ok: false,
    exitCode: FINDINGS.has(got.status) ? 1 : 2,
    problem: wording(name, got.status, details, nameField),
  }
}

function strange(problem: string): { readonly ok: false; readonly exitCode: 2; readonly problem: string } {
  return { ok: false, exitCode: 2, problem: printable(problem) }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function wording(
  name: string,
  status: number,
  { title, detail, errors = [] }: ProblemDetails,
  nameField: NameField,
): string {
  const said = headline(detail ?? title ?? '', errors)
  const first = said === '' ? `${name} answered with status ${status}` : said
  const lines = [`${printable(first)} (${status})`]
  for (const { pointer = '', code, message } of errors.slice(0, MAX_ERRORS)) {
    const { place, field } = nameField(pointer)
    const isSaid = message === said
    // Most messages name the field themselves.
    const isNamed = field === '' || (!isSaid && message.includes(`${lastStep(field)}\``))
    const told = [place, isNamed ? undefined : field, isSaid ? undefined : message].filter(
      (part) => part !== undefined,
    )
    if (told.length === 0) continue
    lines.push(`  ${printable(told.join(': '))}${code === undefined ? '' : ` (${printable(code)})`}`)
  }
  if (errors.length > MAX_ERRORS) lines.push(`  and ${errors.length - MAX_ERRORS} more`)
  if (status === 401) {
    lines.push('  your token or certificate is none of those under admin.tokens and admin.clients')
  }
  return lines.join('\n')
}

/** The first of several errors stands with the others, not above them too. */
function headline(said: string, errors: readonly { readonly message: string }[]): string {
  const [first, ...others] = errors
  return first && others.length > 0 && said.startsWith(first.message)
    ? `${errors.length} things are wrong with the request`
    : said
}

/** More than a screen of them is read by nobody. */
const MAX_ERRORS = 20

/** How a JSON pointer (RFC 6901) into the request is told to who wrote the command. */
export type NameField = (pointer: string) => {
  /** Where a file has what is wrong. */
  readonly place?: string
  /** As people write it: `subject.issuer`; empty for the whole. */
  readonly field: string
}

export function fieldOf(pointer: string): { readonly field: string } {
  const field = pointer
    .split('/')
    .slice(1)
    .map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'))
    .map((step, at) => (/^[0-9]+$/.test(step) ? `[${step}]` : at === 0 ? step : `.${step}`))
    .join('')
  return { field }
}

function lastStep(field: string): string {
  return field.slice(field.lastIndexOf('.') + 1)
}
