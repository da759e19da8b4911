/** Colours on white and, where the reader's screen is dark, on dark. Series can be told apart without red and green. */
const LIGHT = ['#0b67b2', '#c8500a', '#0a8a63', '#a8479b', '#9a6a00', '#2a93b8', '#5b4bb7', '#6b7280']
const DARK = ['#5cb3ff', '#ff9a57', '#3fd0a0', '#e58fd6', '#e6b84a', '#74d3ee', '#a99bff', '#a7b0bd']

export const SERIES_COLOURS = LIGHT.length

const colours = (list: readonly string[]): string =>
  list.map((colour, index) => `.c${index}{stroke:${colour}}.f${index}{fill:${colour};stroke:none}`).join('')

/** The same in every chart, so that several can stand in one page. */
export const STYLE =
  '<style>' +
  '.plot text{font:12px system-ui,"Segoe UI","DejaVu Sans",sans-serif;fill:#3d4650}' +
  '.plot .title{font-size:15px;font-weight:600;fill:#14181d}' +
  '.plot .tag{font-size:9.5px;fill:#5b6470}' +
  '.plot .paper{fill:#fff}.plot .grid{stroke:#e3e7ec}.plot .axis{stroke:#8a94a0}' +
  '.plot .event{stroke:#8a94a0;stroke-dasharray:3 3}.plot .span{fill:#8a94a0;fill-opacity:.16}' +
  `.plot path,.plot line{fill:none}${colours(LIGHT)}` +
  '@media (prefers-color-scheme:dark){' +
  '.plot text{fill:#c3cbd5}.plot .title{fill:#f2f5f8}.plot .tag{fill:#a3adb9}' +
  '.plot .paper{fill:#14181d}.plot .grid{stroke:#2a313a}.plot .axis{stroke:#77828f}' +
  `.plot .event{stroke:#77828f}.plot .span{fill:#a7b0bd}${colours(DARK)}}` +
  '</style>'

/** Text as it may stand in SVG and HTML. */
export function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`)
}

/** About how wide a text is, in pixels, in the font of the charts. */
export const textWidth = (text: string, size = 12): number => text.length * size * 0.56

/** A pixel position, short. */
export const px = (value: number): string => `${Math.round(value * 10) / 10}`
