import { parse } from '@bufbuild/cel'
import { MAX_CEL_BYTES } from '../schema.js'

export type Expr = ReturnType<typeof parse>['expr']
export type Comprehension = Extract<Expr['exprKind'], { case: 'comprehensionExpr' }>['value']

/** Levels of expressions in each other. */
export const MAX_DEPTH = 64
/** Parts of an expression, those of its macros written out. */
export const MAX_NODES = 500
/** A macro in a macro. */
export const MAX_LOOPS = 2
/** Elements of a list, and members of an object, beyond which a condition can't be evaluated. */
export const MAX_ELEMENTS = 1000
/** Steps that an expression may take with lists of that length. A step is what one part costs, 100 to 400 ns. */
export const MAX_COST = 20_000_000

export type ParsedCel =
  | {
      readonly ok: true
      readonly expr: Expr
      /** Steps at most, if every list that the request brings has 1,000 elements. */
      readonly cost: number
      /** Where a part begins: UTF-16 units before it. */
      readonly offsetOf: (expr: Expr) => number | undefined
    }
  | { readonly ok: false; readonly problem: string }

/** Reads an expression of CEL within the limits above; its names and types are looked at elsewhere. Source: CEL langdef. */
export function parseCel(text: string): ParsedCel {
  if (Buffer.byteLength(text) > MAX_CEL_BYTES) return refuse(`longer than ${MAX_CEL_BYTES} bytes`)
  let parsed: ReturnType<typeof parse>
  try {
    parsed = parse(text)
  } catch (error) {
    if (error instanceof RangeError) return refuse(TOO_DEEP)
    if (error instanceof Error) return refuse(syntaxProblem(error))
    throw error
  }
  const positions = parsed.sourceInfo?.positions ?? {}
  const size = measure(parsed.expr, 1, 0, { nodes: 0 })
  if (typeof size === 'string') return refuse(size)
  if (size > MAX_COST) return refuse(`up to ${size} steps for one request; ${MAX_COST} are allowed`)
  return { ok: true, expr: parsed.expr, cost: size, offsetOf: ({ id }) => positions[String(id)] }
}

const refuse = (problem: string): ParsedCel => ({ ok: false, problem })
const TOO_DEEP = `nested deeper than ${MAX_DEPTH}`

/** The library's message holds what it expected: a long list of everything. */
function syntaxProblem(error: Error): string {
  const [, line = '1', column = '1', found = error.message] =
    /<input>:(\d+):(\d+): (found [^]*?)(?: but expecting [^]*)?$/.exec(error.message) ?? []
  return `not CEL: ${found} at ${line === '1' ? '' : `line ${line}, `}character ${column}`
}

/** Its cost in steps, or which limit it breaks. */
function measure(expr: Expr, depth: number, loops: number, seen: { nodes: number }): number | string {
  seen.nodes += 1
  if (depth > MAX_DEPTH) return TOO_DEEP
  if (seen.nodes > MAX_NODES) return `of more than ${MAX_NODES} parts`
  const sum = (parts: readonly Expr[], inLoops = loops): number | string => {
    let total = 0
    for (const part of parts) {
      const cost = measure(part, depth + 1, inLoops, seen)
      if (typeof cost === 'string') return cost
      total += cost
    }
    return total
  }
  if (expr.exprKind.case !== 'comprehensionExpr') {
    const own = sum(childrenOf(expr))
    return typeof own === 'string' ? own : own + 1
  }
  if (loops >= MAX_LOOPS) return `more than ${MAX_LOOPS} macros in each other`
  const { iterRange, accuInit, loopCondition, loopStep, result } = expr.exprKind.value
  const once = sum([iterRange, accuInit, result].filter((part) => part !== undefined))
  const each = sum(
    [loopCondition, loopStep].filter((part) => part !== undefined),
    loops + 1,
  )
  if (typeof once === 'string') return once
  return typeof each === 'string' ? each : 1 + once + boundOf(iterRange) * (each + 1)
}

function boundOf(range: Expr | undefined): number {
  return range?.exprKind.case === 'listExpr' ? range.exprKind.value.elements.length : MAX_ELEMENTS
}

/** Parts of anything but a comprehension. */
export function childrenOf({ exprKind }: Expr): readonly Expr[] {
  switch (exprKind.case) {
    case 'selectExpr':
      return exprKind.value.operand ? [exprKind.value.operand] : []
    case 'callExpr':
      return [...(exprKind.value.target ? [exprKind.value.target] : []), ...exprKind.value.args]
    case 'listExpr':
      return exprKind.value.elements
    case 'structExpr':
      return exprKind.value.entries.flatMap(({ keyKind, value }) => [
        ...(keyKind.case === 'mapKey' ? [keyKind.value] : []),
        ...(value ? [value] : []),
      ])
    case 'constExpr':
    case 'identExpr':
    case 'comprehensionExpr':
    case undefined:
    default:
      return []
  }
}
