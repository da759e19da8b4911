type Address = { readonly host: string; readonly port: number }

export type RedisDeployment =
  | ({ readonly kind: 'standalone'; readonly db?: number | undefined } & Address)
  | {
      readonly kind: 'sentinel'
      readonly sentinels: readonly Address[]
      /** The name by which the sentinels know the master. */
      readonly name: string
      readonly sentinelUsername?: string | undefined
      readonly sentinelPassword?: string | undefined
    }
  | { readonly kind: 'cluster'; readonly nodes: readonly Address[] }

export type RedisStoreOptions = {
  readonly deployment: RedisDeployment
  /** PEM texts. `{}` is TLS with the system's authorities. Sentinels are spoken to over TLS too. */
  readonly tls?:
    | {
        readonly ca?: string | undefined
        readonly cert?: string | undefined
        readonly key?: string | undefined
        readonly servername?: string | undefined
      }
    | undefined
  readonly username?: string | undefined
  readonly password?: string | undefined
  /** First part of every key and channel; 'portcullis' by default. Replicas share what has the same prefix. */
  readonly keyPrefix?: string | undefined
  /** No read, commit or claim waits longer for the store; 50 by default. */
  readonly commandTimeoutMs?: number | undefined
  /** What is noted is written after so long at most, many together; 20 by default. */
  readonly flushEveryMs?: number | undefined
  /** Subjects with changes that could not be written yet; changes of more are lost. 100,000 by default. */
  readonly maxPending?: number | undefined
  /** Records held here at most; 200,000 by default. */
  readonly maxCopies?: number | undefined
  /** Redis replicas that must have a claim or a commit before it counts; 0 by default. See `claims`. */
  readonly replicasToWait?: number | undefined
  readonly onUnavailable: { readonly mode: 'Deny' } | { readonly mode: 'LastKnown'; readonly forMs: number }
  /** Names this process in the store; the same one may start again. */
  readonly replicaId: string
  readonly now: () => number
  readonly warn: (message: string) => void
}
