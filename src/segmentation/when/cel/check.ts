import { nearestName } from '../../../schema/nearest-name.js'
import { keyShape, ROOTS, type Spelling } from '../key.js'
import type { ConditionScope } from '../schema.js'
import { type Applied, applyFunction, applyOperator, isComparison, type Typed } from './apply.js'
import { HAS, LIST_ALONE, TICK } from './functions.js'
import { call, constant, ident, integer, text } from './expr.js'
import { pathOf, resolve, textConstant } from './resolve.js'
import { canBeSame, FUNCTIONS, inWords, isList, MACROS, METHODS } from './signatures.js'
import { childrenOf, type Comprehension, type Expr } from './syntax.js'
import { type CelKind, presenceVariable, type Variable, variableOf } from './variable.js'

/** Takes what is wrong with a part of an expression. */
export type CelFault = (at: Expr, message: string, code: string) => void

type Locals = ReadonlyMap<string, CelKind>

const INDEX = '_[_]'
const CONSTANTS: ReadonlyMap<string | undefined, CelKind> = new Map<string, CelKind>([
  ['boolValue', 'bool'],
  ['int64Value', 'int'],
  ['doubleValue', 'double'],
  ['stringValue', 'string'],
  ['nullValue', 'null'],
])

/**
 * Resolves the names of an expression to keys and checks its types as far as they are known before the request.
 * Gives the expression that is evaluated: each key has become one variable, each macro counts its rounds.
 */
export class CelChecker {
  readonly variables = new Map<string, Variable>()
  readonly #scope: ConditionScope
  readonly #fault: CelFault

  constructor(scope: ConditionScope, fault: CelFault) {
    this.#scope = scope
    this.#fault = fault
  }

  check(expr: Expr, locals: Locals = new Map()): Typed {
    const { exprKind } = expr
    switch (exprKind.case) {
      case 'constExpr':
        return this.#constant(expr)
      case 'identExpr':
        return this.#path(expr, locals)
      case 'selectExpr':
        return exprKind.value.testOnly ? this.#presence(expr, locals) : this.#path(expr, locals)
      case 'callExpr':
        return exprKind.value.function === INDEX ? this.#path(expr, locals) : this.#call(expr, locals)
      case 'listExpr': {
        const items = exprKind.value.elements.map((item) => this.check(item, locals))
        const kind = items.length > 0 && items.every((item) => item.kind === 'string') ? 'strings' : 'list'
        const elements = items.map((item) => item.expr)
        return {
          kind,
          expr: { ...expr, exprKind: { case: 'listExpr', value: { ...exprKind.value, elements } } },
        }
      }
      case 'comprehensionExpr':
        return this.#loop(expr, exprKind.value, locals)
      case 'structExpr':
      case undefined:
      default:
        return this.#refuse(expr, 'an object can not be made here', 'condition-cel')
    }
  }

  #refuse(expr: Expr, message: string, code: string): Typed {
    this.#fault(expr, message, code)
    return { expr, kind: 'dyn' }
  }

  #constant(expr: Expr): Typed {
    const kind = CONSTANTS.get(constant(expr)?.case)
    return kind ? { expr, kind } : this.#refuse(expr, 'nothing here is of bytes or unsigned', 'condition-cel')
  }

  #use(variable: Variable, at: Expr): Typed {
    this.variables.set(variable.name, variable)
    return { expr: ident(at, variable.name), kind: variable.kind, spelling: variable.spelling }
  }

  /** A name, or a member of something. */
  #path(expr: Expr, locals: Locals): Typed {
    const path = pathOf(expr)
    if (path === undefined || locals.has(path.root)) return this.#member(expr, locals)
    const resolved = resolve(path, this.#scope, (message, code) => this.#fault(path.at, message, code))
    if (!resolved) return { expr, kind: 'dyn' }
    let typed = this.#use(variableOf(resolved.key), expr)
    for (const step of resolved.rest) typed = this.#stepInto(step.expr, typed, locals)
    return typed
  }

  #member(expr: Expr, locals: Locals): Typed {
    const { exprKind } = expr
    if (exprKind.case === 'identExpr') return { expr, kind: locals.get(exprKind.value.name) ?? 'dyn' }
    const [operand] = childrenOf(expr)
    return operand ? this.#stepInto(expr, this.check(operand, locals), locals) : { expr, kind: 'dyn' }
  }

  #stepInto(expr: Expr, operand: Typed, locals: Locals): Typed {
    const { exprKind } = expr
    if (exprKind.case === 'selectExpr') {
      if (operand.kind !== 'dyn' && operand.kind !== 'map') {
        const message = `\`.${exprKind.value.field}\`: ${inWords([operand.kind])} has no members`
        return this.#refuse(expr, message, 'condition-cel')
      }
      const { field, testOnly } = exprKind.value
      if (testOnly) return { kind: 'bool', expr: call(expr, HAS, [operand.expr, text(expr, field)]) }
      const value = { ...exprKind.value, operand: operand.expr }
      return { kind: 'dyn', expr: { ...expr, exprKind: { case: 'selectExpr', value } } }
    }
    const written = childrenOf(expr)[1]
    if (!written) return { expr, kind: 'dyn' }
    const index = this.check(written, locals)
    const fits = isList(operand.kind)
      ? ['int', 'dyn']
      : operand.kind === 'dyn'
        ? ['int', 'double', 'string', 'dyn']
        : []
    if (!fits.includes(index.kind)) {
      const message = `${inWords([operand.kind])} has no element for ${inWords([index.kind])} in brackets`
      return this.#refuse(expr, message, 'condition-cel')
    }
    return {
      kind: operand.kind === 'strings' ? 'string' : 'dyn',
      expr: call(expr, INDEX, [operand.expr, index.expr]),
    }
  }

  /** `has()` of a key asks whether it has a value; of what is within a value, the value is asked. */
  #presence(expr: Expr, locals: Locals): Typed {
    const { exprKind } = expr
    if (exprKind.case !== 'selectExpr') return { expr, kind: 'bool' }
    const plain: Expr = {
      ...expr,
      exprKind: { case: 'selectExpr', value: { ...exprKind.value, testOnly: false } },
    }
    return this.#presenceOf(plain, locals) ?? this.#member(expr, locals)
  }

  #presenceOf(expr: Expr, locals: Locals): Typed | undefined {
    const path = pathOf(expr)
    if (path === undefined || locals.has(path.root)) return undefined
    const resolved = resolve(path, this.#scope, (message, code) => this.#fault(path.at, message, code))
    if (!resolved) return { expr, kind: 'bool' }
    return resolved.rest.length > 0 ? undefined : this.#use(presenceVariable(resolved.key), expr)
  }

  #call(expr: Expr, locals: Locals): Typed {
    const { exprKind } = expr
    if (exprKind.case !== 'callExpr') return { expr, kind: 'dyn' }
    const { function: name, target, args } = exprKind.value
    const [left, right] = args
    if (name === '@in' && left && right) return this.#isIn(expr, left, right, locals)
    const signature = (target ? METHODS : FUNCTIONS).get(name)
    const operator = /^[_@!?-]/.test(name)
    if (!signature && !operator) return this.#unknownFunction(expr, name)
    const typed = args.map((arg) => this.check(arg, locals))
    if (signature) {
      const on = target && this.check(target, locals)
      return this.#settle(expr, applyFunction(expr, name, signature, typed, on))
    }
    const [first, second] = typed
    if (!first || !second || !isComparison(name)) return this.#settle(expr, applyOperator(expr, name, typed))
    const spelt = [this.#spelt(first, second.spelling), this.#spelt(second, first.spelling)]
    return this.#settle(expr, applyOperator(expr, name, spelt))
  }

  #unknownFunction(expr: Expr, name: string): Typed {
    if (name === 'has') {
      const message = "`has` takes a member after a dot; for others ask `'name' in request.headers`"
      return this.#refuse(expr, message, 'condition-cel')
    }
    const names = [...FUNCTIONS.keys(), ...METHODS.keys(), ...MACROS].filter((known) => /^[a-z]/.test(known))
    const near = nearestName(name, names)
    const message = `no function \`${name}\`${near === undefined ? '' : `; did you mean \`${near}\`?`}`
    return this.#refuse(expr, near === name ? `\`${name}\` is not used like this` : message, 'condition-cel')
  }

  #settle(expr: Expr, applied: Applied): Typed {
    return 'problem' in applied ? this.#refuse(expr, applied.problem, 'condition-cel') : applied
  }

  #isIn(expr: Expr, item: Expr, list: Expr, locals: Locals): Typed {
    const name = textConstant(item)
    const path = name === undefined ? undefined : pathOf(list)
    if (name !== undefined && path && !locals.has(path.root)) {
      const base = [path.root, ...path.steps.map((step) => step.name)].join('.')
      if (keyShape(base) === 'named') {
        const member = call(expr, INDEX, [list, text(item, name)])
        return this.#presenceOf(member, locals) ?? { expr, kind: 'bool' }
      }
    }
    const left = this.check(item, locals)
    const right = this.#speltItems(this.check(list, locals), left.spelling)
    const wrong = (message: string) => this.#refuse(expr, message, 'condition-cel')
    if (!isList(right.kind) && right.kind !== 'dyn')
      return wrong(`\`in\` takes a list, not ${inWords([right.kind])}`)
    if (right.kind === 'strings' && !canBeSame(left.kind, 'string'))
      return wrong(`${inWords([left.kind])} is never \`in\` a list of texts`)
    return { kind: 'bool', expr: call(expr, '@in', [left.expr, right.expr]) }
  }

  /** A written text in the form in which the key stands that it is compared with. */
  #spelt(typed: Typed, spelling: Spelling | undefined): Typed {
    const written = spelling && textConstant(typed.expr)
    if (!spelling || written === undefined) return typed
    const spelt = spelling(written)
    if ('value' in spelt) return { ...typed, expr: text(typed.expr, spelt.value) }
    return this.#refuse(typed.expr, spelt.problem, 'condition-value')
  }

  #speltItems(list: Typed, spelling: Spelling | undefined): Typed {
    const { exprKind } = list.expr
    if (!spelling || exprKind.case !== 'listExpr') return list
    const elements = exprKind.value.elements.map(
      (item) => this.#spelt({ expr: item, kind: 'string' }, spelling).expr,
    )
    return {
      ...list,
      expr: { ...list.expr, exprKind: { case: 'listExpr', value: { ...exprKind.value, elements } } },
    }
  }

  #loop(expr: Expr, loop: Comprehension, locals: Locals): Typed {
    const { iterVar, accuVar, iterRange, accuInit, loopCondition, loopStep, result } = loop
    if (!iterRange || !accuInit || !loopCondition || !loopStep || !result) return { expr, kind: 'dyn' }
    if (accuInit.exprKind.case === 'listExpr') {
      return this.#refuse(
        expr,
        'there is no `map` and no `filter`; use `exists`, `all` or `exists_one`',
        'condition-cel',
      )
    }
    if (ROOTS.has(iterVar) || locals.has(iterVar)) {
      return this.#refuse(
        expr,
        `\`${iterVar}\` means something else already; take another name`,
        'condition-cel',
      )
    }
    const range = this.check(iterRange, locals)
    if (!isList(range.kind) && range.kind !== 'dyn') {
      return this.#refuse(expr, `${inWords([range.kind])} has no elements to go through`, 'condition-cel')
    }
    const start = this.check(accuInit, locals)
    const inside = new Map(locals)
      .set(iterVar, range.kind === 'strings' ? 'string' : 'dyn')
      .set(accuVar, start.kind)
    const goesOn = this.check(loopCondition, inside).expr
    const step = this.check(loopStep, inside).expr
    const parts = BigInt(countOf(goesOn) + countOf(step))
    const value: Comprehension = {
      ...loop,
      iterRange: range.kind === 'dyn' ? call(iterRange, LIST_ALONE, [range.expr]) : range.expr,
      accuInit: start.expr,
      loopCondition: call(loopCondition, TICK, [goesOn, integer(loopCondition, parts)]),
      loopStep: step,
      result: this.check(result, inside).expr,
    }
    return { kind: 'bool', expr: { ...expr, exprKind: { case: 'comprehensionExpr', value } } }
  }
}

function countOf(expr: Expr): number {
  return childrenOf(expr).reduce((sum, part) => sum + countOf(part), 1)
}
