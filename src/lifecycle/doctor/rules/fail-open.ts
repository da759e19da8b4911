import { isLeftOff, type Ask } from '../asks.js'
import { routesLeftOff } from '../levels.js'
import type { Examined } from '../examined.js'
import { flagOf, isThere, member, numberOf, textOf, wordOf, type Part } from '../part.js'
import { isDisabled } from '../read-setup.js'

export function failureModeAllow({ asks, tell }: Examined): void {
  for (const { filter, http } of asks) {
    const at = member(filter.message, 'failure_mode_allow')
    if (flagOf(at) !== true) continue
    tell({
      severity: 'error',
      code: 'failure-mode-allow',
      message: 'failure_mode_allow is true',
      why: `While Portcullis does not answer, every ${http ? 'call' : 'connection'} passes, so whoever can keep it from answering gets in.`,
      where: filter.where,
      at,
      fix: { into: filter.message, called: 'ExtAuthz', set: { failure_mode_allow: false } },
    })
  }
}

/** Ways to switch the question off, for all calls or for some. */
export function canBeOff({ asks, tell }: Examined): void {
  for (const ask of asks) {
    const { filter } = ask
    const { entry, message } = filter
    if (isDisabled(filter) && isLeftOff(asks.filter(({ chain }) => chain === ask.chain))) {
      const left = ask.http && routesLeftOff(ask.http, [filter])[0]
      tell({
        severity: 'error',
        code: 'can-be-off',
        message: `the filter is disabled${left ? `, and nothing switches it on for ${left.where}` : ''}`,
        why: 'It asks only where a route switches it on; everything else passes undecided.',
        where: filter.where,
        at: member(entry, 'disabled'),
        fix: { into: entry, called: 'filter', set: { disabled: false } },
      })
    }
    if (filter.behindMatcher) {
      tell({
        severity: 'warning',
        code: 'can-be-off',
        message: 'the filter stands behind a matcher',
        why: 'Calls for which the matcher says to skip it pass undecided.',
        where: filter.where,
        at: entry,
        fix: { into: entry, called: 'filter', set: withoutMatcher(message) },
      })
    }
    // Where it is off and calls are refused for it, nothing passes.
    if (flagOf(member(message, 'deny_at_disable', 'default_value')) !== true) partlyOff(ask, tell)
  }
}

function withoutMatcher(message: Part): object {
  const nothing = { extension_config: null, xds_matcher: null, matcher: null }
  const config = typeof message.value === 'object' ? message.value : {}
  return { typed_config: { ...nothing, ...config } }
}

const PARTS = [100, 10_000, 1_000_000]
const DENOMINATORS = ['HUNDRED', 'TEN_THOUSAND', 'MILLION']

function partlyOff({ filter }: Ask, tell: Examined['tell']): void {
  const { message } = filter
  const enabled = member(message, 'filter_enabled')
  const share = shareOf(member(enabled, 'default_value'))
  const key = textOf(member(enabled, 'runtime_key'))
  if (isThere(enabled) && (share < 1 || key !== '')) {
    tell({
      severity: share < 1 ? 'error' : 'warning',
      code: 'can-be-off',
      message:
        share < 1
          ? `filter_enabled lets Envoy ask about ${share * 100} % of the calls`
          : `the runtime key ${key} can switch the filter off`,
      why: 'What is not asked about passes undecided.',
      where: filter.where,
      at: enabled,
      fix: { into: message, called: 'ExtAuthz', set: { filter_enabled: null } },
    })
  }
  const metadata = member(message, 'filter_enabled_metadata')
  if (!isThere(metadata)) return
  tell({
    severity: 'warning',
    code: 'can-be-off',
    message: 'filter_enabled_metadata decides which calls are asked about',
    why: 'A call without that metadata passes undecided: whatever writes it decides in place of Portcullis.',
    where: filter.where,
    at: metadata,
    fix: { into: message, called: 'ExtAuthz', set: { filter_enabled_metadata: null } },
  })
}

/** From 0 to 1. Source: envoy.type.v3.FractionalPercent. */
function shareOf(fraction: Part): number {
  const parts = PARTS[DENOMINATORS.indexOf(wordOf(member(fraction, 'denominator'), DENOMINATORS))] ?? 100
  return (numberOf(member(fraction, 'numerator')) ?? 0) / parts
}

/** Names of statuses below 400. Source: envoy.type.v3.StatusCode. */
const NO_REFUSALS = new Set(
  `Empty Continue OK Created Accepted NonAuthoritativeInformation NoContent ResetContent PartialContent MultiStatus
   AlreadyReported IMUsed MultipleChoices MovedPermanently Found SeeOther NotModified UseProxy TemporaryRedirect
   PermanentRedirect`.split(/\s+/),
)

export function statusOnError({ asks, tell }: Examined): void {
  for (const { filter } of asks) {
    const at = member(filter.message, 'status_on_error', 'code')
    const number = numberOf(at)
    if (number === undefined ? !NO_REFUSALS.has(textOf(at)) : number >= 400) continue
    tell({
      severity: 'error',
      code: 'status-on-error',
      message: `status_on_error is ${number ?? textOf(at)}, which is no refusal`,
      why: 'While Portcullis does not answer, callers take the refusal for an answer of the application.',
      where: filter.where,
      at,
      fix: {
        into: filter.message,
        called: 'ExtAuthz',
        set: { status_on_error: { code: 'ServiceUnavailable' } },
      },
    })
  }
}
