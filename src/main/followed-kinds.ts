import type { ApiClient } from '../adapters/kubernetes/api-client.js'
import { Collection, type CollectionLimits } from '../adapters/kubernetes/collection.js'
import { kinds } from '../policy/kinds.js'
import { pluralOf } from '../policy/resources/crds.js'
import { isNamespaced, keyOf, parseResource, type Resource } from '../policy/resources/resource.js'
import { API_VERSION } from '../segmentation/vocabulary.js'
import type { Log } from './log.js'

export type FollowedOptions = {
  readonly client: ApiClient
  /** Whose ServicePolicies are followed; empty: those of every namespace. */
  readonly namespaces: readonly string[]
  readonly limits: Partial<CollectionLimits>
  /** A resource is other than it was, or whether it can be followed. Must not throw. */
  readonly changed: () => void
  readonly log: Log
}

/** A list of resources that is not known to be current; since when, milliseconds since the epoch. */
export type Unfollowed = { readonly what: string; readonly problem: string; readonly sinceMs: number }

type Followed = { readonly what: string; readonly collection: Collection<Resource> }

/** Every kind of policy resource, followed on one API server. Tells in the log what can't be followed, once each. */
export class FollowedKinds {
  readonly #followed: readonly Followed[]
  readonly #log: Log
  /** Problems as they were last logged. */
  readonly #told = new Map<string, string>()

  constructor({ client, namespaces, limits, changed, log }: FollowedOptions) {
    this.#log = log
    this.#followed = [...kinds.keys()].flatMap((kind) =>
      pathsOf(kind, namespaces).map(({ path, what }): Followed => ({
        what,
        collection: new Collection({
          client,
          path,
          read: (object) => {
            const parsed = parseResource(kind, object)
            if (!parsed.ok) return parsed
            return { ok: true, kept: { key: keyOf(parsed.resource), item: parsed.resource } }
          },
          changed: () => {
            this.#tell()
            changed()
          },
          nowMs: Date.now,
          random: Math.random,
          limits,
        }),
      })),
    )
  }

  start(): void {
    for (const { collection } of this.#followed) collection.start()
  }

  /** Every kind was listed whole at least once. */
  get isListed(): boolean {
    return this.#followed.every(({ collection }) => collection.health.listed)
  }

  resources(): Resource[] {
    return this.#followed.flatMap(({ collection }) => [...collection.items()])
  }

  unfollowed(): Unfollowed[] {
    return this.#followed.flatMap(({ what, collection }) => {
      const { problem, sinceMs = 0, status } = collection.health
      return problem === undefined ? [] : [{ what, problem: `${problem}${hintFor(status)}`, sinceMs }]
    })
  }

  close(): void {
    for (const { collection } of this.#followed) collection.close()
  }

  #tell(): void {
    for (const { what, collection } of this.#followed) {
      const { problem, status, listed } = collection.health
      const before = this.#told.get(what)
      if (problem === before) continue
      if (problem === undefined) {
        this.#told.delete(what)
        this.#log('info', 'custom resources are followed again', { what })
      } else if (listed || status !== undefined || problem !== NEVER_LISTED) {
        this.#told.set(what, problem)
        this.#log('warn', 'custom resources can not be followed, what was read stays', {
          what,
          problem: `${problem}${hintFor(status)}`,
        })
      }
    }
  }
}

/** What the health of a collection is before its first list. */
const NEVER_LISTED = 'never listed'

function pathsOf(kind: string, namespaces: readonly string[]): { path: string; what: string }[] {
  const plural = pluralOf(kind)
  const within =
    isNamespaced(kind) && namespaces.length > 0
      ? namespaces.map((namespace) => `namespaces/${namespace}/${plural}`)
      : [plural]
  return within.map((what) => ({ path: `/apis/${API_VERSION}/${what}`, what }))
}

function hintFor(status: number | undefined): string {
  switch (status) {
    case 403:
      return ' (its rights: docs/custom-resources.md)'
    case 404:
      return ' (are the CustomResourceDefinitions applied?)'
    case undefined:
    default:
      return ''
  }
}
