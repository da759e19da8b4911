import { Argument, type Command, Option } from 'commander'
import { stringify } from 'yaml'
import { serviceNamed } from '../lifecycle/export/access-of.js'
import { EXPORT_FORMATS, type Exported, type ExportFormat, exportPolicy } from '../lifecycle/export/export.js'
import { nearestName } from '../schema/nearest-name.js'
import type { CompiledService } from '../segmentation/compiled.js'
import type { Matrix } from '../segmentation/matrix.js'
import type { CliIo } from './io.js'
import { addPolicyOptions, loadNamedPolicy, type PolicyOptions } from './named-policy.js'
import { styleOf } from './style.js'

type Options = PolicyOptions & {
  readonly service: readonly string[]
  readonly podLabel: string
  readonly output: 'yaml' | 'json'
}

/** `portcullis export`. */
export function register(program: Command, io: CliIo): void {
  const command = program
    .command('export')
    .description('the matrix as NetworkPolicy, Envoy RBAC filters or Istio AuthorizationPolicy')
    .addArgument(new Argument('<format>', 'form to write').choices(EXPORT_FORMATS))
  addPolicyOptions(command)
    .option('--service <namespace/name>', 'only this service; may be repeated', gather, [])
    .option('--pod-label <key>', "label of pods whose value is the service's name", 'app')
    .addOption(
      new Option('-o, --output <format>', 'form of the text').choices(['yaml', 'json']).default('yaml'),
    )
    .addHelpText(
      'after',
      '\nA service that the format can not say is left out, and every reason is told with its place.\nExit codes: 0 all were written, 1 some were refused, 2 wrong usage or policy.\n\nExample:\n  portcullis export networkpolicy --policy ./policy > network-policies.yaml\n  portcullis export envoy-rbac --policy ./policy --service shop/order-service -o json',
    )
    .action((format: ExportFormat, options: Options) => run(format, options, io))
}

function gather(value: string, earlier: readonly string[]): readonly string[] {
  return [...earlier, value]
}

async function run(format: ExportFormat, options: Options, io: CliIo): Promise<void> {
  const loaded = await loadNamedPolicy(options, io)
  if (!loaded) return
  const only = servicesNamed(options.service, loaded.policy.matrix, io)
  if (!only) return
  const { podLabel } = options
  const exported = exportPolicy(format, loaded.policy, loaded.sources, {
    only: only.length > 0 ? only : undefined,
    podLabel,
  })
  const { bad, faint } = styleOf(io)
  for (const note of exported.notes) io.stderr(`${faint(`note: ${note}`)}\n`)
  for (const { service, obstacles } of exported.refused) {
    for (const { source, message } of obstacles)
      io.stderr(bad(`${source}: error: ${service}: ${message}`) + '\n')
  }
  io.stdout(options.output === 'json' ? asJson(format, exported) : asYaml(exported))
  if (exported.refused.length > 0) io.exitCode = 1
}

/** Undefined after telling which name is unknown. */
function servicesNamed(names: readonly string[], matrix: Matrix, io: CliIo): CompiledService[] | undefined {
  const found: CompiledService[] = []
  for (const name of names) {
    const service = serviceNamed(matrix, name)
    if (service) found.push(service)
    else {
      const near = nearestName(name, matrix.services.keys())
      io.stderr(`error: no document names ${name}${near === undefined ? '' : `; did you mean ${near}?`}\n`)
      io.exitCode = 2
    }
  }
  return io.exitCode === 2 ? undefined : found
}

function asJson(format: ExportFormat, { services }: Exported): string {
  const items = services.flatMap(({ objects }) => objects)
  return `${JSON.stringify(format === 'envoy-rbac' ? { services: items } : { apiVersion: 'v1', kind: 'List', items })}\n`
}

function asYaml({ services }: Exported): string {
  return services
    .map(({ service, objects, notes }) => {
      const comment = [service, ...notes].map((line) => `# ${line}\n`).join('')
      const documents = objects.map((object) =>
        stringify(object, { aliasDuplicateObjects: false, lineWidth: 0 }),
      )
      return `---\n${comment}${documents.join('---\n')}`
    })
    .join('')
}
