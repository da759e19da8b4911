import type { RedisDeployment } from './options.js'

/** A part of the subjects and claims whose keys lie together on one server, with what says whether it lost them. */
export type Bucket = {
  readonly tag: string
  /** Value: an epoch. */
  readonly epochKey: string
  /** Value: the server that took the last claim, and the first second from which on it knows of all. */
  readonly claimsKey: string
}

/**
 * How long the keys of a bucket are there without a loss. `createdAtMs` is the later one of the server's time and
 * the time of the replica that made it.
 */
export type Epoch = {
  readonly text: string
  readonly id: string
  readonly createdAtMs: number
  /** What was there before it was lost. */
  readonly isLost: boolean
}

/** Few enough to ask for each several times a second, and many enough to spread evenly over ten servers. */
const CLUSTER_BUCKETS = 32

export function bucketsOf(prefix: string, deployment: RedisDeployment): readonly Bucket[] {
  return Array.from({ length: deployment.kind === 'cluster' ? CLUSTER_BUCKETS : 1 }, (_, tag) => ({
    tag: `${tag}`,
    epochKey: `${prefix}:{${tag}}:epoch`,
    claimsKey: `${prefix}:{${tag}}:claims`,
  }))
}

/** FNV-1a over UTF-16 units. */
export function bucketIndex(key: string, count: number): number {
  if (count === 1) return 0
  let hash = 0x811c9dc5
  for (let at = 0; at < key.length; at++) hash = Math.imul(hash ^ key.charCodeAt(at), 0x01000193)
  return (hash >>> 0) % count
}

/** Escaped where it isn't ASCII, so that two names never become one. */
export function redisKey(prefix: string, bucket: Bucket, kind: 'r' | 'c' | 'w', key: string): string {
  return `${prefix}:{${bucket.tag}}:${kind}:${/^[\x20-\x21\x23-\x7e]*$/.test(key) ? key : JSON.stringify(key)}`
}

/** Where the documents of a kind whose names fall into this bucket are. */
export function documentsKey(prefix: string, bucket: Bucket, collection: string): string {
  return `${prefix}:{${bucket.tag}}:docs:${collection}`
}

export function parseEpoch(text: string): Epoch {
  const [id = '', createdAt, state] = text.split('|')
  const createdAtMs = Number(createdAt)
  return { text, id, createdAtMs: Number.isFinite(createdAtMs) ? createdAtMs : 0, isLost: state === 'lost' }
}

/** The epoch, with a loss before it. */
export function afterLoss({ id, createdAtMs }: Epoch): Epoch {
  return { text: `${id}|${createdAtMs}|lost`, id, createdAtMs, isLost: true }
}
