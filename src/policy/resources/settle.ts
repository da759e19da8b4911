import { formatPosition, type Problem } from '../../schema/problem.js'
import { finish, type Steps } from '../../schema/steps.js'
import { linkPolicy, type LoadedPolicy, type LoadOptions } from '../load-policy.js'
import type { PolicyDocument } from '../read-documents.js'
import { revisionOf } from '../revision.js'
import { type Claimable, closedService, readResource } from './read-resource.js'
import { keyOf, type Resource } from './resource.js'
import { programmedGeneration } from './stored-status.js'

/** What decides for one resource. */
export type InForce = {
  /** The version that it was made of. */
  readonly resource: Resource
  readonly document: PolicyDocument
  /** It stands for a version that nobody here knows, and lets nothing pass. */
  readonly closed: boolean
}

/** What became of one resource. */
export type Verdict = {
  readonly resource: Resource
  /** Why the version is refused; empty when it is in force. */
  readonly problems: readonly Problem[]
  /** Names in the version in force that nothing has yet. */
  readonly unresolved: readonly Problem[]
  readonly inForce: 'this' | 'earlier' | 'closed' | 'nothing'
  /** Of the version in force; undefined where that is closed or nothing. */
  readonly generation: number | undefined
}

export type Settled =
  | {
      readonly ok: true
      readonly loaded: Extract<LoadedPolicy, { ok: true }>
      /** By key. */
      readonly inForce: ReadonlyMap<string, InForce>
      readonly verdicts: readonly Verdict[]
    }
  /** Nothing may change: a version that is in force elsewhere is not known here, and nothing can stand for it. */
  | { readonly ok: false; readonly problems: readonly Problem[] }

export type SettleOptions = LoadOptions & Pick<Claimable, 'grants'>

/** What may decide for a resource, the best first. */
type Choice = {
  readonly is: Verdict['inForce']
  readonly document: PolicyDocument | undefined
  readonly made: Resource
}

type Entry = {
  readonly key: string
  readonly resource: Resource
  /** Sorts the older one first. */
  readonly age: string
  /** The version that is written is the one that was in force. */
  readonly unchanged: boolean
  readonly choices: readonly Choice[]
  readonly problems: Problem[]
  at: number
  /** For a trial: the next choice counts. */
  held: boolean
}

/**
 * Makes one policy of all resources. Each that is sound is in force; of each that is not, what was in force stays. A
 * resource is refused for its own faults, or because it would make one that is in force unsound, never because of
 * what another has that is new too: then the one that was there first stays.
 */
export function settle(
  resources: Iterable<Resource>,
  before: ReadonlyMap<string, InForce>,
  options: SettleOptions,
): Settled {
  return finish(settleInSteps(resources, before, options))
}

/** The same in steps of about a resource. */
export function* settleInSteps(
  resources: Iterable<Resource>,
  before: ReadonlyMap<string, InForce>,
  options: SettleOptions,
): Steps<Settled> {
  const entries: Entry[] = []
  for (const resource of resources) {
    entries.push(entryOf(resource, before.get(keyOf(resource)), options))
    yield
  }
  const byKey = new Map(entries.map((entry) => [entry.key, entry]))
  for (;;) {
    const loaded = yield* link(entries, options)
    if (loaded.ok) return settled(entries, loaded)
    const blamed = blame(loaded.problems, byKey)
    if (blamed.size === 0) return loaded
    const faults = [...blamed]
    const own = faults.filter(([entry]) => isNew(entry))
    // What stands for an unknown version makes way for what is known.
    const guilty = own.length > 0 ? own : faults.filter(([entry]) => choiceOf(entry)?.is === 'closed')
    if (guilty.length > 0) {
      for (const [entry, problems] of guilty) refuse(entry, problems)
      continue
    }
    const suspects = entries.filter(isNew)
    if (suspects.length > 0 && (yield* isSoundWithout(suspects, entries, options))) {
      yield* admit(suspects, entries, options)
    } else for (const [entry, problems] of blamed) refuse(entry, problems)
  }
}

function entryOf(resource: Resource, earlier: InForce | undefined, options: SettleOptions): Entry {
  const key = keyOf(resource)
  // A resource of the same name that was deleted and made again is another.
  const known = earlier?.resource.uid === resource.uid ? earlier : undefined
  const unchanged = known !== undefined && !known.closed && known.resource.content === resource.content
  const read = unchanged ? { document: known.document, problems: [] } : readResource(resource, options)
  const choices: Choice[] = []
  if (read.document) choices.push({ is: 'this', document: read.document, made: resource })
  if (known && !known.closed && !unchanged)
    choices.push({ is: 'earlier', document: known.document, made: known.resource })
  const wasInForce = known !== undefined || programmedGeneration(resource) !== undefined
  if (wasInForce && resource.kind === 'ServicePolicy') {
    for (const claims of ['Written', 'None'] as const) {
      const document = closedService(resource, claims)
      if (document) choices.push({ is: 'closed', document, made: resource })
    }
  }
  choices.push({ is: 'nothing', document: undefined, made: resource })
  const age = `${resource.createdAt} ${key}`
  return { key, resource, age, unchanged, choices, problems: [...read.problems], at: 0, held: false }
}

function choiceOf({ choices, at, held }: Entry): Choice | undefined {
  return choices[held ? at + 1 : at]
}

function isNew(entry: Entry): boolean {
  return !entry.unchanged && choiceOf(entry)?.is === 'this'
}

function refuse(entry: Entry, problems: readonly Problem[]): void {
  if (choiceOf(entry)?.is === 'this') entry.problems.push(...problems)
  entry.at++
}

function* link(entries: readonly Entry[], options: SettleOptions): Steps<LoadedPolicy> {
  const chosen = entries.flatMap((entry) => {
    const choice = choiceOf(entry)
    return choice?.document ? [{ entry, choice, document: choice.document }] : []
  })
  const ranked: { readonly rank: number; readonly age: string; readonly document: PolicyDocument }[] = []
  for (const { entry, document } of chosen) {
    ranked.push({ rank: precedence(entry), age: entry.age, document })
    yield
  }
  const documents = ranked
    .toSorted((a, b) => a.rank - b.rank || (a.age < b.age ? -1 : Number(a.age > b.age)))
    .map(({ document }) => document)
  const revision = yield* revisionOf(
    chosen.map(({ entry, choice }) => ({
      file: entry.key,
      text: `${choice.is === 'closed' ? 'closed ' : ''}${choice.made.content}`,
    })),
  )
  return yield* linkPolicy({ documents, problems: [], incomplete: false }, options, {
    revision,
    nameOf: (key) => key,
    missing: 'Denied',
  })
}

/** Of two that claim the same, the second one is reported: what is in force comes first, here or elsewhere. */
function precedence(entry: Entry): number {
  if (choiceOf(entry)?.is === 'closed') return 3
  if (!isNew(entry)) return 0
  return programmedGeneration(entry.resource) === entry.resource.generation ? 1 : 2
}

function blame(
  problems: readonly Problem[],
  byKey: ReadonlyMap<string, Entry>,
): ReadonlyMap<Entry, readonly Problem[]> {
  const blamed = new Map<Entry, Problem[]>()
  for (const problem of problems) {
    const entry = problem.severity === 'error' ? byKey.get(problem.position?.file ?? '') : undefined
    if (entry) blamed.set(entry, [...(blamed.get(entry) ?? []), problem])
  }
  return blamed
}

function* isSoundWithout(
  suspects: readonly Entry[],
  entries: readonly Entry[],
  options: SettleOptions,
): Steps<boolean> {
  for (const suspect of suspects) suspect.held = true
  const { ok } = yield* link(entries, options)
  for (const suspect of suspects) suspect.held = false
  return ok
}

/** Refuses those of the suspects with which the others are unsound; each half is tried beside what was admitted. */
function* admit(suspects: readonly Entry[], entries: readonly Entry[], options: SettleOptions): Steps<void> {
  for (const suspect of suspects) suspect.held = true
  function* tryThese(some: readonly Entry[]): Steps<void> {
    for (const entry of some) entry.held = false
    const loaded = yield* link(entries, options)
    if (loaded.ok) return
    const [only] = some
    if (some.length === 1 && only) {
      refuse(
        only,
        loaded.problems.flatMap((problem) => withItsVictim(problem, only)),
      )
      return
    }
    for (const entry of some) entry.held = true
    const half = some.length >> 1
    yield* tryThese(some.slice(0, half))
    yield* tryThese(some.slice(half))
  }
  yield* tryThese(suspects)
}

function withItsVictim(problem: Problem, culprit: Entry): Problem[] {
  const { position, message, severity } = problem
  if (severity !== 'error') return []
  if (!position || position.file === culprit.key) return [problem]
  return [
    {
      severity,
      code: 'breaks-another',
      message: `with it ${formatPosition(position)} would be wrong: ${message}`,
      position: { file: culprit.key, line: 1, column: 1, field: 'spec' },
    },
  ]
}

function settled(entries: readonly Entry[], loaded: Extract<LoadedPolicy, { ok: true }>): Settled {
  const unresolved = new Map<string, Problem[]>()
  for (const problem of loaded.unresolved) {
    const key = problem.position?.file ?? ''
    const list = unresolved.get(key)
    if (list) list.push(problem)
    else unresolved.set(key, [problem])
  }
  const inForce = new Map<string, InForce>()
  const lost: Problem[] = []
  const verdicts = entries.map((entry): Verdict => {
    const choice = choiceOf(entry)
    const { is = 'nothing', document, made = entry.resource } = choice ?? {}
    if (document) inForce.set(entry.key, { resource: made, document, closed: is === 'closed' })
    if (is === 'nothing' && programmedGeneration(entry.resource) !== undefined) lost.push(notKnownHere(entry))
    return {
      resource: entry.resource,
      problems: is === 'this' ? [] : entry.problems,
      unresolved: unresolved.get(entry.key) ?? [],
      inForce: is,
      generation: is === 'this' || is === 'earlier' ? made.generation : undefined,
    }
  })
  return lost.length > 0 ? { ok: false, problems: lost } : { ok: true, loaded, inForce, verdicts }
}

function notKnownHere({ key, resource, problems }: Entry): Problem {
  const [first] = problems
  const why = first?.position ? `${first.position.field ?? ''}: ${first.message}` : 'it is refused'
  return {
    severity: 'error',
    code: 'version-not-known',
    message: `generation ${resource.generation} is refused (${why}), and generation ${programmedGeneration(resource)}, which is in force elsewhere, is not known here`,
    position: { file: key, line: 1, column: 1, field: '' },
  }
}
