import { type Command, Option } from 'commander'
import {
  type BlastRadius,
  blastRadius,
  type Direction,
  DIRECTIONS,
  withinRadius,
} from '../lifecycle/graph/blast-radius.js'
import { type CallGraph, callGraph } from '../lifecycle/graph/call-graph.js'
import { writeDot } from '../lifecycle/graph/dot.js'
import { writePage } from '../lifecycle/graph/page.js'
import { writeSvg } from '../lifecycle/graph/svg.js'
import { writeRadius, writeTable } from '../lifecycle/graph/table.js'
import { nearestName } from '../schema/nearest-name.js'
import type { CliIo } from './io.js'
import { addPolicyOptions, loadNamedPolicy, type PolicyOptions } from './named-policy.js'

const FORMATS = ['table', 'html', 'svg', 'dot', 'json'] as const

type Options = PolicyOptions & {
  readonly reach?: string
  readonly direction: Direction
  readonly output: (typeof FORMATS)[number]
}

/** `portcullis graph`. */
export function register(program: Command, io: CliIo): void {
  const command = program.command('graph').description('who can call whom, and how far a service reaches')
  addPolicyOptions(command)
    .option(
      '--reach <namespace/name>',
      'only what can reach this service and what it can reach, over any number of calls',
    )
    .addOption(new Option('--direction <way>', 'with --reach').choices(DIRECTIONS).default('both'))
    .addOption(new Option('-o, --output <format>', 'form of the graph').choices(FORMATS).default('table'))
    .addHelpText(
      'after',
      '\nConditions, users, scopes and risk are taken as met: a call that is shown may ask for more.\n\nExample:\n  portcullis graph --policy ./policy -o html > graph.html\n  portcullis graph --policy ./policy --reach shop/database-service --direction in',
    )
    .action((options: Options) => run(options, io))
}

async function run(options: Options, io: CliIo): Promise<void> {
  const loaded = await loadNamedPolicy(options, io)
  if (!loaded) return
  const graph = callGraph(loaded.policy.matrix, loaded.sources)
  const { reach, direction, output } = options
  if (reach === undefined) return io.stdout(written(graph, undefined, output))
  const service = graph.services.findIndex(({ id }) => id === reach)
  if (service >= 0) return io.stdout(written(graph, blastRadius(graph, service, direction), output))
  const near = nearestName(
    reach,
    graph.services.map(({ id }) => id),
  )
  io.stderr(
    `error: no document names --reach ${reach}${near === undefined ? '' : `; did you mean ${near}?`}\n`,
  )
  io.exitCode = 2
}

function written(whole: CallGraph, radius: BlastRadius | undefined, output: Options['output']): string {
  if (output === 'table') return radius ? writeRadius(whole, radius) : writeTable(whole)
  if (output === 'json') return `${JSON.stringify(asJson(whole, radius))}\n`
  if (!radius) return PICTURES[output](whole)
  const graph = withinRadius(whole, radius)
  const marked = graph.services.findIndex(({ id }) => id === whole.services[radius.service]?.id)
  return PICTURES[output](graph, marked)
}

const PICTURES = { html: writePage, svg: writeSvg, dot: writeDot }

/** Services by their names, for programs. */
function asJson(
  { services, calls, revision, openToAll }: CallGraph,
  radius: BlastRadius | undefined,
): unknown {
  const name = (index: number): string | undefined => services[index]?.id
  if (radius) {
    const named = (reached: BlastRadius['in']) =>
      reached?.map(({ service, path }) => ({ service: name(service), path: path.map(name) }))
    return { revision, service: name(radius.service), in: named(radius.in), out: named(radius.out) }
  }
  const pairs = calls.map(({ from, to, endpoints, baseline }) => ({
    caller: name(from),
    target: name(to),
    endpoints,
    baseline,
  }))
  return { revision, services, calls: pairs, openToAll }
}
