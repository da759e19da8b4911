import {
  isMap,
  isScalar,
  isSeq,
  type Node,
  type Pair,
  parseAllDocuments,
  type YAMLMap,
  type YAMLSeq,
} from 'yaml'
import type { Pointer } from '../../schema/problem.js'
import type { Edit } from './edit.js'
import { flowText } from './flow-text.js'

type Splice = { readonly from: number; readonly to: number; readonly text: string }

/**
 * A file's text with one change in the document whose first key stands on `line` (from 1). Everything else stays byte
 * for byte: comments, order, spacing. Undefined where the place is written in a way that such a change does not fit,
 * such as an alias; whoever calls proves the result by loading it.
 */
export function spliceYaml(text: string, line: number, edit: Edit): string | undefined {
  const documents = parseAllDocuments(text, { schema: 'failsafe', logLevel: 'silent', prettyErrors: false })
  if (!Array.isArray(documents)) return undefined
  for (const { contents } of documents) {
    if (!isMap(contents) || lineOf(text, contents.range?.[0] ?? 0) !== line) continue
    const splice = spliceOf(text, contents, edit)
    return splice && text.slice(0, splice.from) + splice.text + text.slice(splice.to)
  }
  return undefined
}

function lineOf(text: string, offset: number): number {
  let line = 1
  for (let at = text.indexOf('\n'); at >= 0 && at < offset; at = text.indexOf('\n', at + 1)) line++
  return line
}

function spliceOf(text: string, root: YAMLMap, edit: Edit): Splice | undefined {
  const name = edit.at.at(-1)
  const parent = nodeAt(root, edit.at.slice(0, -1))
  if (name === undefined || !parent) return undefined
  const here = nodeAt(parent, [name])
  // An alias, or a name without a value.
  if (!here && isMap(parent) && pairOf(parent, String(name))) return undefined
  if (edit.op === 'append' && isSeq(here)) return appendTo(text, here, edit.values)
  if (edit.op === 'set' && isScalar(here)) return replace(here, flowText(edit.value))
  if (edit.op === 'remove') {
    if (isSeq(parent) && typeof name === 'number') return removeItem(text, parent, name)
    return isMap(parent) ? removeField(text, parent, String(name)) : undefined
  }
  const value = edit.op === 'append' ? edit.values : edit.value
  return !here && isMap(parent) ? addTo(text, parent, String(name), value) : undefined
}

function nodeAt(root: Node, pointer: Pointer): Node | undefined {
  let node: unknown = root
  for (const step of pointer) {
    if (isMap(node)) node = pairOf(node, String(step))?.value
    else if (isSeq(node) && typeof step === 'number') node = node.items[step]
    else return undefined
  }
  return isMap(node) || isSeq(node) || isScalar(node) ? node : undefined
}

function pairOf(map: YAMLMap, name: string): Pair | undefined {
  return map.items.find(({ key }) => isScalar(key) && key.value === name)
}

function replace(node: Node, text: string): Splice | undefined {
  return node.range ? { from: node.range[0], to: node.range[1], text } : undefined
}

function appendTo(text: string, list: YAMLSeq, values: readonly unknown[]): Splice | undefined {
  const [start] = list.range ?? []
  const end = endOf(list.items.at(-1))
  if (start === undefined) return undefined
  if (list.flow) {
    const added = values.map(flowText).join(', ')
    return end === undefined ? insert(start + 1, added) : insert(end, `, ${added}`)
  }
  if (end === undefined) return undefined
  const indent = ' '.repeat(columnOf(text, start))
  return insert(lineEnd(text, end), values.map((value) => `\n${indent}- ${flowText(value)}`).join(''))
}

function addTo(text: string, map: YAMLMap, name: string, value: unknown): Splice | undefined {
  const [start] = map.range ?? []
  if (start === undefined) return undefined
  const last = map.items.at(-1)
  const end = endOf(last?.value) ?? endOf(last?.key)
  if (map.flow) {
    const added = `${name}: ${flowText(value)}`
    return end === undefined ? insert(start + 1, ` ${added} `) : insert(end, `, ${added}`)
  }
  if (end === undefined) return undefined
  const indent = ' '.repeat(columnOf(text, start))
  const isList = Array.isArray(value) && value.every((item) => typeof item === 'object')
  const added = isList
    ? `${name}:${value.map((item) => `\n${indent}  - ${flowText(item)}`).join('')}`
    : `${name}: ${flowText(value)}`
  return insert(lineEnd(text, end), `\n${indent}${added}`)
}

function removeItem(text: string, list: YAMLSeq, at: number): Splice | undefined {
  const [start, end] = [startOf(list.items[at]), endOf(list.items[at])]
  if (start === undefined || end === undefined || list.items.length < 2) return undefined
  if (!list.flow) return removeLines(text, start, end, /^ *- *$/)
  return removeBetween(start, end, endOf(list.items[at - 1]), startOf(list.items[at + 1]))
}

function removeField(text: string, map: YAMLMap, name: string): Splice | undefined {
  const at = map.items.findIndex(({ key }) => isScalar(key) && key.value === name)
  const [start, end] = [startOf(map.items[at]?.key), endOf(map.items[at]?.value)]
  if (start === undefined || end === undefined || map.items.length < 2) return undefined
  if (!map.flow) return removeLines(text, start, end, /^ *$/)
  return removeBetween(start, end, endOf(map.items[at - 1]?.value), startOf(map.items[at + 1]?.key))
}

function removeBetween(
  start: number,
  end: number,
  before: number | undefined,
  after: number | undefined,
): Splice {
  if (after !== undefined) return { from: start, to: after, text: '' }
  return { from: before ?? start, to: end, text: '' }
}

/** Whole lines, from that of `start`, before which nothing but `lead` may stand. */
function removeLines(text: string, start: number, end: number, lead: RegExp): Splice | undefined {
  const from = text.lastIndexOf('\n', start - 1) + 1
  if (!lead.test(text.slice(from, start))) return undefined
  const to = lineEnd(text, end)
  return { from, to: to < text.length ? to + 1 : to, text: '' }
}

function insert(at: number, text: string): Splice {
  return { from: at, to: at, text }
}

function startOf(node: unknown): number | undefined {
  return isMap(node) || isSeq(node) || isScalar(node) ? node.range?.[0] : undefined
}

function endOf(node: unknown): number | undefined {
  return isMap(node) || isSeq(node) || isScalar(node) ? node.range?.[1] : undefined
}

function columnOf(text: string, offset: number): number {
  return offset - (text.lastIndexOf('\n', offset - 1) + 1)
}

/** The end of the line on which the last thing before `offset` stands; a block's own end may lie lines further on. */
function lineEnd(text: string, offset: number): number {
  let at = offset
  while (at > 0 && /\s/.test(text[at - 1] ?? '')) at--
  const end = text.indexOf('\n', at)
  return end < 0 ? text.length : end
}
