import { escaped, px, SERIES_COLOURS, STYLE } from './ink.js'
import { type Row, rowsOf, tagRows } from './rows.js'
import { endsOf, type Scale, type ScaleKind, scaleOf } from './scale.js'

export type Axis = {
  /** What is shown, with its unit: `latency, ms`. */
  readonly label: string
  /** Default: linear. What a logarithmic axis can't show (0 and less) is left out. */
  readonly scale?: ScaleKind
  /** Ends of the axis; what is left out comes from the values. */
  readonly min?: number
  readonly max?: number
}

export type Series = {
  readonly name: string
  /** In the order of x. A y that is no finite number breaks the line. */
  readonly points: readonly (readonly [x: number, y: number])[]
  readonly isDashed?: boolean
  /** A dot at each point. Default: where there are at most 20. */
  readonly hasDots?: boolean
}

/** What happened at a time; with `until`, what lasted. Events of the same name share a letter and a legend entry. */
export type Event = { readonly x: number; readonly until?: number; readonly name: string }

export type LineChart = {
  readonly title: string
  readonly x: Axis
  readonly y: Axis
  readonly series: readonly Series[]
  readonly events?: readonly Event[]
  /** Pixels. Default 960 by 400 of plot, title and legends included. */
  readonly width?: number
  readonly height?: number
}

const SIDE = { left: 74, right: 36 }
const LINE = 18
const TAG_LINE = 11

/** A chart as the text of an SVG file: on its own paper, light or dark as the reader's screen is. */
export function lineChart(options: LineChart): string {
  const { width = 960, height = 400, series, events = [] } = options
  const inner = { left: SIDE.left, right: width - SIDE.right }
  const legend = rowsOf(
    series.map(({ name }) => name),
    inner.left,
    inner.right,
  )
  const letters = lettersOf(events)
  const eventLegend = rowsOf(
    [...letters].map(([name, letter]) => `${letter}  ${name}`),
    inner.left,
    inner.right,
  )
  const points = series.flatMap((each) => each.points)
  const xKind = options.x.scale ?? 'linear'
  const xs = points.map(([value]) => value)
  const xEnds = rangeOf(xKind, xs, options.x)
  const x = scaleOf(xKind, { ...xEnds, from: inner.left, to: inner.right, count: 10 })
  const shown = events.filter((event) => event.x >= xEnds.low && event.x <= xEnds.high)
  const tags = tagRows(
    shown.map((event) => x.at(event.x)),
    TAG_LINE,
  )
  const head = 34 + legend.height * LINE + 6
  const top = head + tags.height * TAG_LINE
  const bottom = height - 46 - eventLegend.height * LINE
  const yKind = options.y.scale ?? 'linear'
  const yCount = Math.max(3, Math.round((bottom - top) / 45))
  const yEnds = endsOf(
    yKind,
    points.map(([, value]) => value),
    options.y,
    yCount,
  )
  const y = scaleOf(yKind, { ...yEnds, from: bottom, to: top, count: yCount })
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" class="plot" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${escaped(options.title)}">`,
    STYLE,
    `<rect class="paper" width="${width}" height="${height}" rx="6"/>`,
    `<text class="title" x="${inner.left}" y="24">${escaped(options.title)}</text>`,
    ...legend.entries.map((entry, index) => seriesEntry(entry, series[index], index)),
    ...axes({ x, y, top, bottom, ...inner }, options),
    ...shown.map((event, index) => {
      const tag = tags.rows[index] ?? 0
      return eventMark(event, letters.get(event.name) ?? '', x, top, bottom, head + (tag + 1) * TAG_LINE - 3)
    }),
    ...series.flatMap((each, index) => lineOf(each, index, x, y, { top, bottom })),
    ...eventLegend.entries.map(({ left, row, text }) => {
      const at = bottom + 46 + row * LINE + 4
      return `<text class="tag" x="${px(left)}" y="${px(at)}" style="font-size:11px">${escaped(text)}</text>`
    }),
    '</svg>',
    '',
  ].join('\n')
}

/** The x axis ends where the data ends. */
function rangeOf(kind: ScaleKind, xs: readonly number[], { min, max }: Axis) {
  const known = xs.filter((value) => Number.isFinite(value) && (kind === 'linear' || value > 0))
  const low = min ?? known.reduce((least, value) => Math.min(least, value), known[0] ?? 1)
  const high = max ?? known.reduce((most, value) => Math.max(most, value), known[0] ?? 1)
  return { low, high: high > low ? high : low + (Math.abs(low) || 1) }
}

/** A, B, C … by first appearance; after Z: a, b, c … */
function lettersOf(events: readonly Event[]): ReadonlyMap<string, string> {
  const names = [...new Set(events.map(({ name }) => name))]
  return new Map(
    names.map((name, index) => [name, String.fromCharCode(index < 26 ? 65 + index : 71 + index)]),
  )
}

const colourOf = (index: number): number => index % SERIES_COLOURS
const dashOf = (series: Series | undefined, index: number): string =>
  series?.isDashed || index >= SERIES_COLOURS ? ' stroke-dasharray="6 4"' : ''

function seriesEntry({ left, row, text }: Row, series: Series | undefined, index: number): string {
  const at = 42 + row * LINE
  const line = `<line class="c${colourOf(index)}" x1="${px(left)}" x2="${px(left + 18)}" y1="${at}" y2="${at}" stroke-width="2.5"${dashOf(series, index)}/>`
  return `${line}<text x="${px(left + 24)}" y="${at + 4}">${escaped(text)}</text>`
}

type Frame = {
  readonly x: Scale
  readonly y: Scale
  readonly left: number
  readonly right: number
  readonly top: number
  readonly bottom: number
}

function axes({ x, y, left, right, top, bottom }: Frame, options: LineChart): string[] {
  const middle = (top + bottom) / 2
  return [
    ...y.ticks.map((tick) => {
      const at = px(y.at(tick))
      return `<line class="grid" x1="${left}" x2="${right}" y1="${at}" y2="${at}"/><text x="${left - 8}" y="${px(y.at(tick) + 4)}" text-anchor="end">${y.text(tick)}</text>`
    }),
    ...x.ticks.map((tick) => {
      const at = px(x.at(tick))
      return `<line class="axis" x1="${at}" x2="${at}" y1="${bottom}" y2="${bottom + 5}"/><text x="${at}" y="${bottom + 18}" text-anchor="middle">${x.text(tick)}</text>`
    }),
    `<line class="axis" x1="${left}" x2="${right}" y1="${bottom}" y2="${bottom}"/>`,
    `<text x="${px((left + right) / 2)}" y="${bottom + 35}" text-anchor="middle">${escaped(options.x.label)}</text>`,
    `<text transform="translate(16 ${px(middle)}) rotate(-90)" text-anchor="middle">${escaped(options.y.label)}</text>`,
  ]
}

function eventMark(
  event: Event,
  letter: string,
  x: Scale,
  top: number,
  bottom: number,
  tagAt: number,
): string {
  const at = px(x.at(event.x))
  const span =
    event.until === undefined
      ? ''
      : `<rect class="span" x="${at}" y="${px(top)}" width="${px(Math.max(1, x.at(event.until) - x.at(event.x)))}" height="${px(bottom - top)}"/>`
  return `<g><title>${escaped(event.name)}</title>${span}<line class="event" x1="${at}" x2="${at}" y1="${px(tagAt + 2)}" y2="${px(bottom)}"/><text class="tag" x="${at}" y="${px(tagAt)}" text-anchor="middle">${escaped(letter)}</text></g>`
}

/** Points outside given ends lie on the edge. */
function lineOf(
  series: Series,
  index: number,
  x: Scale,
  y: Scale,
  { top, bottom }: { readonly top: number; readonly bottom: number },
): string[] {
  const placed = series.points.map(([atX, atY]): readonly [number, number] => [
    x.at(atX),
    Math.min(bottom, Math.max(top, y.at(atY))),
  ])
  const isDrawn = ([atX, atY]: readonly [number, number]): boolean =>
    Number.isFinite(atX) && Number.isFinite(atY)
  let isOpen = false
  let path = ''
  for (const point of placed) {
    if (isDrawn(point)) path += `${isOpen ? 'L' : 'M'}${px(point[0])} ${px(point[1])}`
    isOpen = isDrawn(point)
  }
  const hasDots = series.hasDots ?? series.points.length <= 20
  const dots = hasDots ? placed.filter(isDrawn) : []
  const colour = colourOf(index)
  return [
    `<path class="c${colour}" d="${path}" stroke-width="1.8" stroke-linejoin="round"${dashOf(series, index)}/>`,
    ...dots.map(([atX, atY]) => `<circle class="f${colour}" cx="${px(atX)}" cy="${px(atY)}" r="3.2"/>`),
  ]
}
