import type { Expr } from './syntax.js'
import type { CelKind } from './variable.js'

/** Parts of expressions made here keep the id of what stood there, and so its place. */

export function ident(at: Expr, name: string): Expr {
  return { ...at, exprKind: { case: 'identExpr', value: { $typeName: 'cel.expr.Expr.Ident', name } } }
}

export function call(at: Expr, name: string, args: Expr[], target?: Expr): Expr {
  const value = { $typeName: 'cel.expr.Expr.Call', function: name, args, ...(target && { target }) } as const
  return { ...at, exprKind: { case: 'callExpr', value } }
}

export function text(at: Expr, value: string): Expr {
  return literal(at, { case: 'stringValue', value })
}

export function integer(at: Expr, value: bigint): Expr {
  return literal(at, { case: 'int64Value', value })
}

type Constant = Extract<Expr['exprKind'], { case: 'constExpr' }>['value']['constantKind']

function literal(at: Expr, constantKind: Constant): Expr {
  return { ...at, exprKind: { case: 'constExpr', value: { $typeName: 'cel.expr.Constant', constantKind } } }
}

export function constant({ exprKind }: Expr): Constant | undefined {
  return exprKind.case === 'constExpr' ? exprKind.value.constantKind : undefined
}

/** A whole number that is written beside a number of the request counts as such: those are all doubles. */
export function double<T extends { readonly expr: Expr; readonly kind: CelKind }>(
  typed: T,
  beside: CelKind,
): T {
  const written = constant(typed.expr)
  if (written?.case !== 'int64Value' || (beside !== 'double' && beside !== 'dyn')) return typed
  return {
    ...typed,
    kind: 'double',
    expr: literal(typed.expr, { case: 'doubleValue', value: Number(written.value) }),
  }
}
