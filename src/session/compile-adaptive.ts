import type { Static } from '@sinclair/typebox'
import type { RuleSource } from '../decision/decision.js'
import type { Pointer } from '../schema/problem.js'
import { parseDurationMs } from '../schema/units.js'
import type { Directory } from '../segmentation/directory.js'
import { compileTo } from '../segmentation/to.js'
import { compileConditions, keysOf, type Report } from '../segmentation/when/condition.js'
import { aboutOf, type AdaptivePolicy, type CompiledRule, saysNothing } from './adaptive-policy.js'
import type { AdaptivePolicySchema, AdaptiveRule } from './adaptive-schema.js'

/** A document that fits its schema, where its parts were written, and where its faults go. */
export type AdaptiveDocument = Pick<Static<typeof AdaptivePolicySchema>, 'metadata' | 'spec'> & {
  readonly sourceOf: (pointer: Pointer) => RuleSource
  readonly report: Report
}

/** Source: REQUIREMENTS D6. Sensitive operations ask for a recent authentication only where `maxAuthAgeFrom` says so. */
const BUILT_IN_SESSION = { maxDuration: '8h', idleTimeout: '30m', maxAuthAge: '15m' } as const

/** Source: REQUIREMENTS D8. */
const BUILT_IN: readonly AdaptiveRule[] = [
  { name: 'high-risk', when: [{ key: 'risk.score', above: 70 }], then: 'StepUp', factor: 'mfa' },
  { name: 'unmanaged', when: [{ key: 'device.managed', is: false }], then: 'StepUp', factor: 'push' },
  {
    name: 'sensitive',
    to: [{ paths: ['/api/admin/**', '/api/billing/**', '/api/users/**'] }],
    when: [{ key: 'user.mfa', is: false }],
    then: 'StepUp',
    factor: 'mfa',
  },
]

/**
 * Compiles all AdaptivePolicy documents. One named `default` replaces the built-in rules, others add to them;
 * only one may set `session`. The directory is the one of the matrix that the policy goes with.
 */
export function compileAdaptive(
  documents: readonly AdaptiveDocument[],
  directory: Directory,
): AdaptivePolicy {
  const inert: string[] = []
  const replaced = documents.some(({ metadata }) => metadata.name === 'default')
  const rules = replaced ? [] : compileBuiltIn(directory, inert)
  let limits: Static<typeof AdaptivePolicySchema>['spec']['session'] = undefined
  let sessionBy: string | undefined
  const documentNames = new Set<string>()
  for (const { metadata, spec, sourceOf, report } of documents) {
    if (documentNames.has(metadata.name)) {
      const message = `there is an AdaptivePolicy \`${metadata.name}\` already`
      report(['metadata', 'name'], message, 'duplicate-name')
    }
    documentNames.add(metadata.name)
    const names = new Set<string>()
    for (const [index, rule] of (spec.rules ?? []).entries()) {
      const at = ['spec', 'rules', index]
      if (names.has(rule.name))
        report([...at, 'name'], `a second rule is named \`${rule.name}\``, 'duplicate-name')
      names.add(rule.name)
      rules.push(compileRule(rule, at, sourceOf(at), directory, report))
    }
    const { session } = spec
    if (!session) continue
    if (sessionBy !== undefined) {
      report(
        ['spec', 'session'],
        `\`session\` is set by the AdaptivePolicy \`${sessionBy}\` too`,
        'duplicate-session',
      )
    }
    sessionBy = metadata.name
    limits = session
  }
  const ms = (field: keyof typeof BUILT_IN_SESSION): number =>
    parseDurationMs(limits?.[field] ?? BUILT_IN_SESSION[field]) ?? 0
  return {
    rules,
    inert,
    maxAuthAgeMs: ms('maxAuthAge'),
    maxAuthAgeFrom: limits?.maxAuthAgeFrom,
    session: { maxDurationMs: ms('maxDuration'), idleTimeoutMs: ms('idleTimeout') },
  }
}

function compileBuiltIn(directory: Directory, inert: string[]): CompiledRule[] {
  return BUILT_IN.flatMap((rule) => {
    const faults: string[] = []
    const report: Report = (_, message) => faults.push(message)
    const compiled = compileRule(rule, [], 'built-in', directory, report, directory.builtInScope())
    for (const fault of faults)
      inert.push(`the built-in adaptive rule \`${rule.name}\` never applies: ${fault}`)
    return faults.length > 0 ? [] : [compiled]
  })
}

function compileRule(
  rule: AdaptiveRule,
  at: Pointer,
  source: RuleSource,
  directory: Directory,
  report: Report,
  scope = directory.conditionScope(undefined),
): CompiledRule {
  const { name, when = [], then, factor, mode } = rule
  if (factor !== undefined && then !== 'StepUp') {
    report(
      [...at, 'factor'],
      `only \`then: StepUp\` asks for a factor, not \`${then}\``,
      'factor-without-step-up',
    )
  }
  const keys = when.flatMap(keysOf)
  return {
    name,
    source,
    to: rule.to?.map((element, index) => compileTo(element, true, [...at, 'to', index], directory, report)),
    when: compileConditions(when, [...at, 'when'], report, { ...scope, saysNothing }),
    effect: then,
    factor: factor ?? 'mfa',
    mode,
    ...aboutOf(keys),
    riskAbove: riskAbove(when),
    ofDevice: keys.some((key) => key.startsWith('device.')),
  }
}

/** The greatest score that can't meet the rule's conditions on it; -1 where any can. */
function riskAbove(when: NonNullable<AdaptiveRule['when']>): number {
  const bounds = when.flatMap(({ key, above, atLeast }) =>
    key === 'risk.score' ? [above ?? -1, atLeast === undefined ? -1 : Math.max(-1, atLeast - 0.001)] : [],
  )
  return Math.max(-1, ...bounds)
}
