import type { Spelling } from '../key.js'
import { call, double } from './expr.js'
import { compilePattern } from './pattern.js'
import { textConstant } from './resolve.js'
import { canBeOrdered, canBeSame, inWords, type Signature, sumKind } from './signatures.js'
import type { Expr } from './syntax.js'
import type { CelKind } from './variable.js'

/** An expression that was checked, and what it gives. */
export type Typed = { readonly expr: Expr; readonly kind: CelKind; readonly spelling?: Spelling | undefined }
export type Applied = Typed | { readonly problem: string }

const EQUALITY: ReadonlySet<string> = new Set(['_==_', '_!=_'])
const ORDER: ReadonlySet<string> = new Set(['_<_', '_<=_', '_>_', '_>=_'])
const ARITHMETIC: ReadonlySet<string> = new Set(['_+_', '_-_', '_*_', '_/_', '_%_'])

export const isComparison = (name: string): boolean => EQUALITY.has(name) || ORDER.has(name)

/** A function, or a method of `on`. */
export function applyFunction(
  expr: Expr,
  name: string,
  { takes, gives }: Signature,
  args: readonly Typed[],
  on: Typed | undefined,
): Applied {
  const given = on ? [on, ...args] : args
  if (given.length !== takes.length) {
    const count = takes.length - Number(on !== undefined)
    return { problem: `\`${name}\` takes ${count === 1 ? 'one value' : 'no values'}` }
  }
  for (const [index, kinds] of takes.entries()) {
    const kind = given[index]?.kind ?? 'dyn'
    if (kind !== 'dyn' && !kinds.includes(kind))
      return { problem: `\`${name.replace(/_$/, '')}\` takes ${inWords(kinds)}, not ${inWords([kind])}` }
  }
  if (name === 'matches') {
    const pattern = args[0] && textConstant(args[0].expr)
    if (pattern === undefined) return { problem: '`matches` takes a pattern that is written out' }
    const compiled = compilePattern(pattern)
    if ('problem' in compiled) return { problem: `\`matches\`: ${compiled.problem}` }
  }
  return { kind: gives, expr: call(expr, name, exprsOf(args), on?.expr) }
}

export function applyOperator(expr: Expr, name: string, args: readonly Typed[]): Applied {
  const [left, right, otherwise] = args
  const sign = name.replaceAll('_', '')
  if (name === '_&&_' || name === '_||_') {
    const odd = args.find(({ kind }) => !mayBe(kind, 'bool'))
    return odd
      ? { problem: `\`${sign}\` takes true or false, not ${inWords([odd.kind])}` }
      : { kind: 'bool', expr: call(expr, name, exprsOf(args)) }
  }
  if (name === '-_' && left) {
    return mayBe(left.kind, 'int') || left.kind === 'double'
      ? { kind: left.kind, expr: call(expr, name, exprsOf(args)) }
      : { problem: '`-` takes a number' }
  }
  if (name === '_?_:_' && left && right && otherwise) {
    if (!mayBe(left.kind, 'bool')) return { problem: '`?` takes true or false before it' }
    return {
      kind: right.kind === otherwise.kind ? right.kind : 'dyn',
      expr: call(expr, name, exprsOf(args)),
    }
  }
  return left && right ? applyPair(expr, name, left, right) : { problem: `\`${sign}\` is not used like this` }
}

function applyPair(expr: Expr, name: string, left: Typed, right: Typed): Applied {
  const pair = `\`${name.replaceAll('_', '')}\` of ${inWords([left.kind])} and ${inWords([right.kind])}`
  const compared: Typed = { kind: 'bool', expr: call(expr, name, [left.expr, right.expr]) }
  if (EQUALITY.has(name)) {
    return canBeSame(left.kind, right.kind) ? compared : { problem: `${pair}: they are never the same` }
  }
  if (ORDER.has(name)) {
    return canBeOrdered(left.kind, right.kind) ? compared : { problem: `${pair}: neither is greater` }
  }
  if (!ARITHMETIC.has(name)) return { problem: `there is no ${pair}` }
  const [first, second] = [double(left, right.kind), double(right, left.kind)]
  const kind = sumKind(name, first.kind, second.kind)
  return kind === undefined
    ? { problem: `there is no ${pair}` }
    : { kind, expr: call(expr, name, [first.expr, second.expr]) }
}

const mayBe = (kind: CelKind, wanted: CelKind): boolean => kind === wanted || kind === 'dyn'
const exprsOf = (args: readonly Typed[]): Expr[] => args.map(({ expr }) => expr)
