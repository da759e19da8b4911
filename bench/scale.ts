import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sendLoad } from './load.js'
import { measureLoad, warmUp } from './measured-load.js'
import { MeasuredProcess } from './measured-process.js'
import { lineChart } from './plot/line-chart.js'
import { writePlot } from './plots.js'
import { lines, machineLine, median, FEW_ROUNDS, roundsText, spread, table } from './report.js'
import { type Mesh, prepareScene, type Scene } from './scene.js'
import type { SceneOptions } from './scene-configurations.js'

const IN_FLIGHT = 32
const CALLS = 4000
const WARMING = 1000
const TOKENS = [1, 1000, 100_000] as const

type World = { readonly server: MeasuredProcess; readonly scene: Scene; readonly startMs: number }
type Point = {
  readonly group: Group
  readonly x: number
  readonly world: World
  /** Sent in turn, from where the round before ended. */
  readonly messages: readonly Buffer[]
  readonly cpuUs: number[]
}
type Group = (typeof GROUPS)[number]['name']

const GROUPS = [
  { name: 'services', what: 'services, each calling ten others (nine of ten in the smallest mesh)' },
  { name: 'edges', what: 'edges among 1,000 services' },
  { name: 'rules', what: 'rules of each of 20 services, the callers named in the last' },
  { name: 'tokens', what: 'user tokens remembered, sent in turn, among 1,000 services' },
] as const

const MESHES: readonly (readonly [group: Group, x: number, mesh: Mesh])[] = [
  ...[10, 100, 1000, 10_000].map(
    (services) => ['services', services, { services, edges: services * 10, rules: 1 }] as const,
  ),
  ...[1000, 10_000, 100_000].map((edges) => ['edges', edges, { services: 1000, edges, rules: 1 }] as const),
  ...[1, 10, 100, 1000].map((rules) => ['rules', rules, { services: 20, edges: 200, rules }] as const),
]

/** What a whole Check costs while one thing grows. */
export async function measureScale(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'portcullis-bench-'))
  const worlds = new Map<string, World>()
  const world = async (mesh: Mesh, options: SceneOptions = {}): Promise<World> => {
    const key = JSON.stringify([mesh, options])
    const known = worlds.get(key)
    if (known) return known
    const own = join(folder, `world-${worlds.size}`)
    await mkdir(own)
    const scene = await prepareScene(own, mesh, options)
    const startedMs = performance.now()
    const server = await MeasuredProcess.start('portcullis-server.ts', [
      join(own, 'portcullis.yaml'),
      '--repeatable-tokens',
    ])
    const opened = { server, scene, startMs: performance.now() - startedMs }
    worlds.set(key, opened)
    return opened
  }
  try {
    const points: Point[] = []
    for (const [group, x, mesh] of MESHES) {
      const opened = await world(mesh)
      points.push({ group, x, world: opened, messages: [opened.scene.known], cpuUs: [] })
    }
    const many = await world(
      { services: 1000, edges: 10_000, rules: 1 },
      { userTokens: 'ES256', cachedTokens: 2 * Math.max(...TOKENS) },
    )
    const messages = await many.scene.freshUserTokens(Math.max(...TOKENS))
    await sendLoad(many.server.address, messages.length, IN_FLIGHT, (at) => messages[at] ?? Buffer.alloc(0))
    for (const x of TOKENS) {
      points.push({ group: 'tokens', x, world: many, messages: messages.slice(0, x), cpuUs: [] })
    }
    for (const { server, scene } of worlds.values()) {
      await warmUp(server, scene.known)
    }
    for (let round = 0; round <= FEW_ROUNDS; round++) {
      for (const point of round % 2 === 0 ? points : points.toReversed()) {
        const cpuUs = await measure(point, round)
        if (round > 0) point.cpuUs.push(cpuUs)
      }
    }
    for (const { name, what } of GROUPS) plot(name, what, ofGroup(points, name))
    return describe(points)
  } finally {
    for (const { server } of worlds.values()) await server.stop()
    await rm(folder, { recursive: true, force: true })
  }
}

async function measure({ world, messages }: Point, round: number): Promise<number> {
  const { server } = world
  const from = round * (CALLS + WARMING)
  const next =
    (first: number) =>
    (at: number): Buffer =>
      messages[(first + at) % messages.length] ?? Buffer.alloc(0)
  await sendLoad(server.address, WARMING, IN_FLIGHT, next(from))
  const { cpuUs } = await measureLoad(server, CALLS, (address) =>
    sendLoad(address, CALLS, IN_FLIGHT, next(from + WARMING)),
  )
  return cpuUs
}

function ofGroup(points: readonly Point[], name: Group): readonly Point[] {
  return points.filter(({ group }) => group === name)
}

/** Writes `bench/plots/<name>.svg`. */
function plot(name: Group, what: string, points: readonly Point[]): void {
  const text = lineChart({
    title: `CPU of a Check by number of ${name}`,
    x: { label: what, scale: 'log' },
    y: { label: 'microseconds', min: 0 },
    series: [{ name: 'median', points: points.map(({ x, cpuUs }) => [x, median(cpuUs)] as const) }],
    height: 300,
  })
  writePlot(name, text)
}

function describe(points: readonly Point[]): string {
  const parts = GROUPS.flatMap(({ name, what }) => [
    `By number of ${what}:`,
    table(
      [name, 'CPU µs per Check', 'from start to answering, s'],
      ofGroup(points, name).map(({ x, cpuUs, world }) => [
        x.toLocaleString('en'),
        spread(cpuUs, 1),
        (world.startMs / 1000).toFixed(1),
      ]),
    ),
    `![CPU of a Check by number of ${name}](plots/${name}.svg)`,
  ])
  return lines(
    '## CPU of a Check while one thing grows',
    `${machineLine(roundsText(FEW_ROUNDS), points[0]?.world.server.node)} Full decisions as in the first table, events into a ` +
      `pipe, ${IN_FLIGHT} calls in flight; medians, least and greatest of all rounds, all points in turn.`,
    ...parts,
  )
}
