import type { MatrixAnswer } from './schemas/decisions.js'

/** The edges that a service takes part in, or that lead from a caller, and the services at their ends. */
export function matrixPart(
  { revision, services, edges }: MatrixAnswer,
  { service, caller }: { readonly service?: string; readonly caller?: string },
): MatrixAnswer {
  if (service === undefined && caller === undefined) return { revision, services, edges }
  const kept = edges.filter(
    (edge) =>
      (service === undefined || edge.target === service || edge.caller === service) &&
      (caller === undefined || edge.caller === caller),
  )
  const ends = new Set([service, caller, ...kept.flatMap((edge) => [edge.caller, edge.target])])
  return { revision, services: services.filter(({ id }) => ends.has(id)), edges: kept }
}
