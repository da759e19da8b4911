import { type CallGraph, type GraphCall, isConditional } from './call-graph.js'
import { escapeMarkup } from './escape-markup.js'

/** Along the circle, pixels: enough that labels which stand on its rays don't touch. */
const SPACING = 19
const GAP = 14
const LABEL_PX = 6.7
const PALETTE = [
  '#3563c9',
  '#b3541e',
  '#2a7d4f',
  '#8a3ea8',
  '#0f7c8c',
  '#a8324a',
  '#6b6a1f',
  '#5a5f6d',
] as const

/**
 * The graph as a picture: services on a circle by namespace, their names on its rays, calls as arrows between them in
 * the caller's colour, dashed where every way is conditional.
 */
export function writeSvg({ services, calls }: CallGraph, marked?: number): string {
  const namespaces = [...new Set(services.map(({ namespace }) => namespace))]
  const colourOf = (namespace: string): string =>
    PALETTE[namespaces.indexOf(namespace) % PALETTE.length] ?? PALETTE[0]
  const around = services.length * SPACING + namespaces.length * GAP
  const radius = Math.max(130, around / (2 * Math.PI))
  const longest = Math.max(0, ...services.map(({ name }) => name.length))
  const margin = longest * LABEL_PX + 36
  const legend = namespaces.length * 20 + 34
  const centre = radius + margin
  const angles: number[] = []
  let along = 0
  for (const [index, { namespace }] of services.entries()) {
    if (index > 0 && services[index - 1]?.namespace !== namespace) along += GAP
    angles.push((along / around) * 2 * Math.PI - Math.PI / 2)
    along += SPACING
  }
  const at = (angle: number, distance: number): string =>
    `${round(centre + Math.cos(angle) * distance)},${round(centre + Math.sin(angle) * distance)}`
  const curve = (call: GraphCall): string => {
    const [from = 0, to = 0] = [angles[call.from], angles[call.to]]
    const names = [...call.endpoints.map(({ name }) => name), ...call.baseline].join(', ')
    const title = `${services[call.from]?.id} → ${services[call.to]?.id}: ${names}`
    const of = marked === undefined || call.from === marked || call.to === marked
    const colour = colourOf(services[call.from]?.namespace ?? '')
    const shape = ` Q${at((from + to) / 2, radius * inner(from, to))} ${at(to, radius - 9)}`
    const style = `stroke="${colour}" opacity="${of ? 0.62 : 0.18}"${isConditional(call) ? ' stroke-dasharray="5 4"' : ''}`
    return `<path d="M${at(from, radius - 6)}${shape}" ${style} marker-end="url(#tip)"><title>${escapeMarkup(title)}</title></path>`
  }
  const node = (service: (typeof services)[number], index: number): string => {
    const angle = angles[index] ?? 0
    const left = Math.cos(angle) < -1e-9
    const turn = (angle * 180) / Math.PI + (left ? 180 : 0)
    const [x, y] = at(angle, radius + 12).split(',')
    const weight = index === marked ? ' font-weight="700" text-decoration="underline"' : ''
    const label = `<text x="${x}" y="${y}" transform="rotate(${round(turn)} ${x} ${y})" text-anchor="${left ? 'end' : 'start'}" dominant-baseline="central"${weight}>${escapeMarkup(service.name)}</text>`
    const [cx, cy] = at(angle, radius).split(',')
    return `<g><title>${escapeMarkup(service.id)}</title><circle cx="${cx}" cy="${cy}" r="${index === marked ? 7 : 5}" fill="${colourOf(service.namespace)}"/>${label}</g>`
  }
  const keys = namespaces.map((namespace, row) => {
    const y = 2 * centre + 20 + row * 20
    return `<circle cx="20" cy="${y}" r="5" fill="${colourOf(namespace)}"/><text x="34" y="${y}" dominant-baseline="central">${escapeMarkup(namespace)}</text>`
  })
  const [width, height] = [Math.ceil(2 * centre), Math.ceil(2 * centre + legend)]
  const words = `${services.length} services, ${calls.length} calls`
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" aria-label="${words}" font-family="system-ui, sans-serif" font-size="12">`,
    `<rect width="100%" height="100%" fill="#fff"/>`,
    `<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="6" markerHeight="6" orient="auto"><path d="M0 0 8 4 0 8z" fill="context-stroke"/></marker></defs>`,
    `<g fill="none" stroke-width="1.4">${calls
      .filter(({ from, to }) => from !== to)
      .map(curve)
      .join('')}</g>`,
    `<g fill="#1b1f27">${services.map(node).join('')}</g>`,
    `<g fill="#1b1f27">${keys.join('')}</g>`,
    '</svg>\n',
  ].join('\n')
}

/** Neighbours bend a little, those that face each other hardly: how far from the centre a curve is pulled. */
function inner(from: number, to: number): number {
  const apart = Math.abs(Math.sin((to - from) / 2))
  // Past half of the circle the middle of the two angles lies on the far side.
  const far = Math.abs(to - from) > Math.PI ? -1 : 1
  return far * (0.72 - 0.62 * apart)
}

function round(value: number): number {
  return Math.round(value * 10) / 10
}
