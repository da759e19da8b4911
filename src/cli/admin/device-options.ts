import { Option, type Command } from 'commander'
import { OWNERSHIPS, type DeviceReport, type Ownership } from '../../device/device-report.js'
import { readReport, type Read } from './device-file.js'

const FACTS = ['managed', 'osPatched', 'diskEncrypted', 'firewall', 'antivirus', 'jailbroken'] as const
type Fact = (typeof FACTS)[number]

export type ReportOptions = Partial<Readonly<Record<Fact, boolean>>> & {
  readonly file?: string
  readonly compliant?: boolean
  readonly ownership?: Ownership
  readonly lastSeen?: string
  readonly platform?: string
  readonly model?: string
  readonly owner?: string
}

/** The options that say what is so of a device; the first six are all needed. */
export function addReportOptions(command: Command): Command {
  return command
    .option('--file <file>', 'the report as JSON, in place of the options below')
    .option('--managed', 'it is managed')
    .option('--no-managed', 'it is not')
    .option('--os-patched', 'its system has the updates it needs')
    .option('--no-os-patched', 'it has not')
    .option('--disk-encrypted', 'its disk is encrypted')
    .option('--no-disk-encrypted', 'it is not')
    .option('--firewall', 'its firewall is on')
    .option('--no-firewall', 'it is off')
    .option('--antivirus', 'its antivirus is on')
    .option('--no-antivirus', 'it is off')
    .option('--jailbroken', 'its own protection was broken open')
    .option('--no-jailbroken', 'it was not')
    .option('--compliant', 'it meets the rules of its management')
    .option('--no-compliant', 'it does not')
    .addOption(new Option('--ownership <whose>', 'whose it is').choices(OWNERSHIPS))
    .option('--last-seen <time>', 'when it was last heard of, RFC 3339; default: now')
    .option('--platform <text>', 'for people, for example "macOS 15"')
    .option('--model <text>', 'for people')
    .option('--owner <text>', 'for people: whose it is')
}

/** The report that the options give or name. */
export async function reportOf(options: ReportOptions): Promise<Read<DeviceReport>> {
  const { file, ownership, compliant, lastSeen, platform, model, owner } = options
  const { managed, osPatched, diskEncrypted, firewall, antivirus, jailbroken } = options
  const further = Object.fromEntries(
    Object.entries({ ownership, compliant, lastSeen, platform, model, owner }).filter(
      ([, value]) => value !== undefined,
    ),
  )
  if (file !== undefined) {
    const alone = Object.keys(further).length === 0 && FACTS.every((fact) => options[fact] === undefined)
    return alone
      ? readReport(file)
      : { ok: false, problems: ['--file says everything; leave the other options out'] }
  }
  if (
    managed === undefined ||
    osPatched === undefined ||
    diskEncrypted === undefined ||
    firewall === undefined ||
    antivirus === undefined ||
    jailbroken === undefined
  ) {
    const missing = FACTS.filter((fact) => options[fact] === undefined).map((fact) => {
      const flag = fact.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
      return `--${flag} or --no-${flag}`
    })
    return { ok: false, problems: [`a report says all six facts; missing: ${missing.join(', ')}`] }
  }
  return {
    ok: true,
    value: { managed, osPatched, diskEncrypted, firewall, antivirus, jailbroken, ...further },
  }
}
