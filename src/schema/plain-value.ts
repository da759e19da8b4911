import { isAlias, isMap, isNode, isPair, isScalar, isSeq } from 'yaml'
import type { Node, Scalar, YAMLMap, YAMLSeq } from 'yaml'
import { readPlainScalar } from './plain-scalar.js'

/** Where a value stands, in offsets of the text; a map's `names`, `keys` and `values` run in parallel. */
export type Place = {
  readonly at: number
  readonly names?: readonly string[]
  readonly keys?: readonly number[]
  readonly values?: readonly Place[]
}

export type Report = (offset: number, code: string, message: string) => void

/** Deeper nesting is refused; nothing that people write comes near. */
export const MAX_DEPTH = 64
/** Values that aliases of one document may stand for in all, so that a few lines can't become gigabytes. */
const MAX_ALIASED_VALUES = 50_000

type Found = { readonly value: unknown; readonly place: Place; readonly size: number }

/**
 * Turns a composed YAML document (schema `failsafe`: every scalar is text) into plain data: maps are
 * null-prototype objects, so no name of a user meets `Object.prototype`. Everything that is refused
 * is reported and something near takes its place, so that the rest is still looked at.
 */
export class PlainReader {
  readonly #report: Report
  readonly #anchors = new Map<string, Found | 'open'>()
  #aliased = 0

  constructor(report: Report) {
    this.#report = report
  }

  read(node: Node | null, fallbackAt: number): { value: unknown; place: Place } {
    return this.#read(node, fallbackAt, 0)
  }

  #read(node: Node | null | undefined, fallbackAt: number, depth: number): Found {
    if (!node) return { value: null, place: { at: fallbackAt }, size: 1 }
    const at = node.range?.[0] ?? fallbackAt
    if (isAlias(node)) return this.#alias(node.source, at)
    if (node.tag)
      this.#report(at, 'tag', `tags such as \`${shortTag(node.tag)}\` are not read: write the value itself`)
    if (depth > MAX_DEPTH) {
      this.#report(at, 'too-deep', `nested deeper than ${MAX_DEPTH} levels`)
      return { value: null, place: { at }, size: 1 }
    }
    const anchor = node.anchor
    if (anchor) this.#anchors.set(anchor, 'open')
    const found = isMap(node)
      ? this.#map(node, at, depth)
      : isSeq(node)
        ? this.#list(node, at, depth)
        : this.#scalar(node, at, fallbackAt)
    if (anchor) this.#anchors.set(anchor, found)
    return found
  }

  #scalar(node: Scalar, at: number, fallbackAt: number): Found {
    const source = node.source ?? ''
    if (node.type !== 'PLAIN') return { value: source, place: { at }, size: 1 }
    const plain = readPlainScalar(source)
    if (plain.problem) this.#report(at, plain.problem.code, plain.problem.message)
    return { value: plain.value, place: { at: source === '' ? fallbackAt : at }, size: 1 }
  }

  #list(node: YAMLSeq, at: number, depth: number): Found {
    const value: unknown[] = []
    const values: Place[] = []
    let size = 1
    for (const item of node.items) {
      const found = this.#read(isNode(item) ? item : null, at, depth + 1)
      value.push(found.value)
      values.push(found.place)
      size += found.size
    }
    return { value, place: { at, values }, size }
  }

  #map(node: YAMLMap, at: number, depth: number): Found {
    const value: Record<string, unknown> = Object.create(null)
    const names: string[] = []
    const keys: number[] = []
    const values: Place[] = []
    let size = 1
    for (const pair of node.items) {
      if (!isPair(pair)) continue
      const key = isNode(pair.key) ? pair.key : null
      const keyAt = key?.range?.[0] ?? at
      const name = this.#key(key, keyAt)
      const found = this.#read(isNode(pair.value) ? pair.value : null, keyAt, depth + 1)
      size += found.size
      if (name === undefined) continue
      if (name in value) {
        this.#report(keyAt, 'duplicate-key', `\`${name}\` is given twice`)
        continue
      }
      value[name] = found.value
      names.push(name)
      keys.push(keyAt)
      values.push(found.place)
    }
    return { value, place: { at, names, keys, values }, size }
  }

  #key(key: Node | null, at: number): string | undefined {
    if (!isScalar(key)) {
      this.#report(at, 'key-not-text', 'a key must be text')
      return undefined
    }
    if (key.tag)
      this.#report(at, 'tag', `tags such as \`${shortTag(key.tag)}\` are not read: write the key itself`)
    if (key.anchor) this.#report(at, 'anchor-on-key', "a key can't have an anchor")
    const source = key.source ?? ''
    if (key.type !== 'PLAIN') return source
    if (source === '<<') {
      this.#report(at, 'merge-key', 'merge keys (`<<`) are not read: write the fields out')
      return undefined
    }
    const plain = readPlainScalar(source)
    if (plain.problem) this.#report(at, plain.problem.code, plain.problem.message)
    else if (typeof plain.value !== 'string') {
      this.#report(
        at,
        'key-not-text',
        source === '' ? 'a key is missing before the colon' : `the key \`${source}\` is not text: quote it`,
      )
    }
    return source
  }

  #alias(name: string, at: number): Found {
    const target = this.#anchors.get(name)
    const nothing: Found = { value: null, place: { at }, size: 1 }
    if (target === undefined) {
      this.#report(at, 'unknown-anchor', `no anchor \`&${name}\` stands before this alias`)
      return nothing
    }
    if (target === 'open') {
      this.#report(at, 'cyclic-alias', `the alias \`*${name}\` stands within its own anchor`)
      return nothing
    }
    if (this.#aliased > MAX_ALIASED_VALUES) return nothing
    this.#aliased += target.size
    if (this.#aliased > MAX_ALIASED_VALUES) {
      this.#report(
        at,
        'too-many-aliases',
        `the aliases of this document stand for more than ${MAX_ALIASED_VALUES} values`,
      )
      return nothing
    }
    return { value: target.value, place: { ...target.place, at }, size: target.size }
  }
}

function shortTag(tag: string): string {
  return tag.replace(/^tag:yaml\.org,2002:/, '!!')
}
