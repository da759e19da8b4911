import { RE2JS } from '@bufbuild/re2'
import { flagOf, isThere, items, member, textOf, type Part } from './part.js'

/** What a decision may hang on, and what marks a call as one to refuse. */
const ASKED_WITH = [
  'authorization',
  'x-service-token',
  'dpop',
  'x-forwarded-client-cert',
  'x-forwarded-for',
  'x-request-id',
  'traceparent',
  'content-type',
  'upgrade',
  'x-http-method-override',
]

/** Headers that Portcullis sets for the application or takes away from callers. */
const ANSWERED_WITH = [
  'x-user-id',
  'x-user-roles',
  'x-device-trust',
  'x-caller-service',
  'x-caller-spiffe-id',
  'x-portcullis-obligations',
  'x-portcullis-assertion',
  'x-portcullis-decision-id',
]

/** Names that Envoy keeps from Portcullis; `disallowed_headers` wins. Source: SPECS 1.4. */
export function withheldHeaders(extAuthz: Part): readonly string[] {
  const allowed = member(extAuthz, 'allowed_headers')
  const refused = member(extAuthz, 'disallowed_headers')
  return ASKED_WITH.filter(
    (name) => (isThere(allowed) && !matchesAny(allowed, name)) || matchesAny(refused, name),
  )
}

/**
 * Names that an answer may not change. `disallow_expression` wins over `allow_expression`, which wins over the rest.
 * Source: envoy.config.common.mutation_rules.v3.HeaderMutationRules.
 */
export function fixedHeaders(rules: Part): readonly string[] {
  const all = flagOf(member(rules, 'disallow_all')) === true
  const refused = member(rules, 'disallow_expression')
  const allowed = member(rules, 'allow_expression')
  return ANSWERED_WITH.filter((name) => matchesRegex(refused, name) || (all && !matchesRegex(allowed, name)))
}

function matchesAny(list: Part, name: string): boolean {
  return items(member(list, 'patterns')).some((pattern) => matches(pattern, name))
}

/** Source: envoy.type.matcher.v3.StringMatcher. */
function matches(pattern: Part, name: string): boolean {
  const folded = flagOf(member(pattern, 'ignore_case')) === true
  const of = (field: string): string | undefined => {
    const text = textOf(member(pattern, field))
    return text === '' ? undefined : folded ? text.toLowerCase() : text
  }
  const [exact, prefix, suffix, contains] = ['exact', 'prefix', 'suffix', 'contains'].map(of)
  return (
    name === exact ||
    (prefix !== undefined && name.startsWith(prefix)) ||
    (suffix !== undefined && name.endsWith(suffix)) ||
    (contains !== undefined && name.includes(contains)) ||
    matchesRegex(member(pattern, 'safe_regex'), name)
  )
}

/** The whole name, in time linear in it; what is no regular expression matches nothing, and Envoy refuses it. */
function matchesRegex(matcher: Part, name: string): boolean {
  const regex = textOf(member(matcher, 'regex'))
  if (regex === '') return false
  try {
    return RE2JS.compile(regex).matches(name)
  } catch {
    return false
  }
}
