import { canonicalPath } from '../../src/ext-authz/canonical-path.js'
import { AGREED, casesOf, judgeCases, type Outcome, type Suite } from './suite.js'

type Case = {
  readonly id: string
  readonly path: string
  readonly verdict: 'plain' | 'ambiguous' | 'either'
  readonly reason: string
  /** The path part, as Envoy forwards it when told to normalise; null: unknown or refused. */
  readonly envoy_normalized: string | null
}

export const pathSuite: Suite = {
  file: 'paths.json',
  run: async (content) => judgeCases(casesOf(content) as readonly Case[], judge),
}

/** plain: as is. ambiguous: refused, or exactly what Envoy makes of it. either: as is or refused. */
function judge({ path, verdict, reason, envoy_normalized: normalized }: Case): Outcome {
  const shown = `${JSON.stringify(path)} (${reason})`
  const canonical = canonicalPath(path)
  if (!canonical.ok) {
    return verdict === 'plain'
      ? { verdict: 'wrong-refusal', detail: `${shown}: ${canonical.problem}` }
      : AGREED
  }
  const [asIs] = path.split('?', 1)
  if (verdict !== 'ambiguous') {
    return canonical.path === asIs
      ? AGREED
      : { verdict: 'wrong-result', detail: `${shown}: ${canonical.path}` }
  }
  return canonical.path === normalized
    ? AGREED
    : { verdict: 'wrong-accept', detail: `${shown}: ${canonical.path}` }
}
