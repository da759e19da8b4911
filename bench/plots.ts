import { mkdirSync, writeFileSync } from 'node:fs'

const FOLDER = new URL('plots/', import.meta.url)

/** Writes `bench/plots/<name>.svg`, which the report shows. */
export function writePlot(name: string, svg: string): void {
  mkdirSync(FOLDER, { recursive: true })
  writeFileSync(new URL(`${name}.svg`, FOLDER), svg)
}
