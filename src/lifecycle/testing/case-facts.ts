import type { CaseFacts, TAKEN_BACK, WrittenCase } from './case-schema.js'

/**
 * The facts of a case: its own, over those of the defaults that it does not take back; groups field by field. What the
 * defaults say of a user or a caller that the case does not have is left out.
 */
export function factsOfCase(written: WrittenCase, defaults: CaseFacts): CaseFacts {
  const { name: _name, expect: _expect, without = [], ...own } = written
  const inherited: CaseFacts = { ...defaults }
  leaveOut(inherited, without)
  if (!inherited.caller && !own.caller) leaveOut(inherited, ['via', 'serviceToken'])
  if (!inherited.user && !own.user) leaveOut(inherited, ['device', 'session', 'grants'])
  const facts: CaseFacts = { ...inherited, ...own }
  if (inherited.request && own.request) facts.request = { ...inherited.request, ...own.request }
  if (inherited.listener && own.listener) facts.listener = { ...inherited.listener, ...own.listener }
  if (inherited.user && own.user) facts.user = { ...inherited.user, ...own.user }
  if (inherited.device && own.device) facts.device = { ...inherited.device, ...own.device }
  if (inherited.session && own.session) facts.session = { ...inherited.session, ...own.session }
  if (inherited.risk && own.risk) facts.risk = { ...inherited.risk, ...own.risk }
  if (inherited.place && own.place) facts.place = { ...inherited.place, ...own.place }
  return facts
}

function leaveOut(facts: CaseFacts, names: readonly (typeof TAKEN_BACK)[number][]): void {
  for (const name of names) delete facts[name]
}
