import { compileSpiffePattern, parseSpiffeId, type SpiffeId } from '../../identity/spiffe-id.js'
import type { CompiledService } from '../../segmentation/compiled.js'
import { type From, matchFrom } from '../../segmentation/from.js'
import type { Matrix } from '../../segmentation/matrix.js'
import type { Principal } from './access.js'
import { callerFacts } from './caller-facts.js'
import type { Written } from './written.js'

/** One name that a service calls under. */
export type CallerName = {
  readonly caller: CompiledService | undefined
  readonly principal: Principal
  /** One identity of those that the principal stands for; undefined where they may differ in what rules ask. */
  readonly example: SpiffeId | undefined
}

/** Who calls whom, seen from the target: by its number, callers and the endpoints that they name. */
export type Callers = ReadonlyMap<
  number,
  readonly { readonly caller: CompiledService; readonly endpoints: readonly number[] | undefined }[]
>

export function callersOf(matrix: Matrix): Callers {
  const services = [...matrix.services.values()]
  const callers = new Map<number, { caller: CompiledService; endpoints: readonly number[] | undefined }[]>()
  for (const caller of services) {
    for (const { target, endpoints } of matrix.calls.rowOf(caller.index)) {
      const known = callers.get(target)
      if (known) known.push({ caller, endpoints })
      else callers.set(target, [{ caller, endpoints }])
    }
  }
  return callers
}

/** Every name that a service's document gives it. */
export function namesOf(caller: CompiledService, written: Written): CallerName[] {
  const exact = caller.identities.map((id): CallerName => ({
    caller,
    principal: { kind: 'identity', text: id.text },
    example: id,
  }))
  const patterns = (written.services.get(caller.id)?.identities ?? []).filter((text) => text.includes('*'))
  return [
    ...exact,
    ...patterns.map((text): CallerName => ({
      caller,
      principal: { kind: 'pattern', text },
      example: exampleOf(text),
    })),
  ]
}

/** A SPIFFE ID that a pattern stands for. */
export function exampleOf(pattern: string): SpiffeId | undefined {
  const parsed = parseSpiffeId(pattern.replaceAll('*', 'x'))
  return parsed.ok ? parsed.id : undefined
}

/** A SPIFFE ID or pattern as `identities` of a rule has it. */
export function principalOf(text: string): Principal {
  const compiled = compileSpiffePattern(text)
  return { kind: compiled.ok && compiled.exact ? 'identity' : 'pattern', text }
}

/**
 * Whether a caller without a user is one that `from` means, as the evaluator finds it; undefined where that can't be
 * known of it. `unclear`: the names that the principal stands for differ in it.
 */
export function matchesFrom(
  from: readonly From[],
  name: CallerName,
  target: CompiledService,
): boolean | undefined | 'unclear' {
  let found: boolean | undefined = false
  for (const element of from) {
    if (element.any) return true
    const { workload } = element
    if (!name.example) return 'unclear'
    if (name.principal.kind === 'pattern' && workload?.identities) {
      const { trustDomain } = name.example
      const { text } = name.principal
      const pattern = { text, trustDomain, path: text.slice('spiffe://'.length + trustDomain.length) }
      if (workload.identities.overlapping(pattern, () => true)) return 'unclear'
      continue
    }
    const matched = matchFrom(element, callerFacts(target, name.example, name.caller, false))
    if (matched === true) return true
    if (matched === undefined) found = undefined
  }
  return found
}

export function principalKey(principal: Principal): string {
  if (principal.kind === 'any') return ''
  return principal.kind === 'domain' ? `spiffe://${principal.trustDomain}/` : principal.text
}
