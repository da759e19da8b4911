import { compileDevices, type DeviceDocument } from '../../../src/device/compile-device.js'
import type { DevicePolicy } from '../../../src/device/device-policy.js'
import { DevicePolicySchema } from '../../../src/device/device-schema.js'
import { type DeviceReport, reportOps } from '../../../src/device/device-report.js'
import { matchesShape, shapeFindings } from '../../../src/schema/shape.js'
import { label } from '../../../src/schema/shape-messages.js'
import { parseYamlDocuments } from '../../../src/schema/strict-yaml.js'
import { Directory } from '../../../src/segmentation/directory.js'
import { applyOps, EMPTY_RECORD, type StateRecord } from '../../../src/state/record.js'

/** Specs by the document's name; several of one name need their own list. */
export type Written = readonly (readonly [name: string, spec: string])[]

/**
 * Compiles specs written in YAML, against the services work/email and work/files and the DataPolicies public and
 * restricted. Problems are `document pointer code: message`.
 */
export function compileWritten(
  written: Written,
  hasInventory?: boolean,
): { readonly policy: DevicePolicy; readonly problems: readonly string[] } {
  const problems: string[] = []
  const directory = new Directory(
    { localTrustDomain: 'cluster.local', trustDomains: [] },
    new Map(['public', 'restricted'].map((name) => [name, { hasAccessRules: false }])),
  )
  directory.add('work/email')
  directory.add('work/files')
  const documents = written.flatMap(([name, spec]): DeviceDocument[] => {
    const text = `apiVersion: portcullis.dev/v1beta1\nkind: DevicePolicy\nmetadata: { name: ${name} }\nspec: ${spec}\n`
    const parsed = parseYamlDocuments(`${name}.yaml`, text)
    problems.push(...parsed.problems.map(({ code, message }) => `${name} ${code}: ${message}`))
    const value = parsed.documents[0]?.value
    for (const { pointer, code, message } of shapeFindings(DevicePolicySchema, value)) {
      problems.push(`${name} ${label(pointer)} ${code}: ${message}`)
    }
    if (!matchesShape(DevicePolicySchema, value)) return []
    return [
      {
        metadata: value.metadata,
        spec: value.spec,
        sourceOf: (pointer) => `${name}.yaml ${label(pointer)}`,
        report: (pointer, message, code) => problems.push(`${name} ${label(pointer)} ${code}: ${message}`),
      },
    ]
  })
  return { policy: compileDevices(documents, directory, hasInventory), problems }
}

export function policyOf(...written: Written): DevicePolicy {
  const { policy, problems } = compileWritten(written, true)
  if (problems.length > 0) throw new Error(problems.join('\n'))
  return policy
}

/** A device that nothing is wrong with. */
export const aReport = (report: Partial<DeviceReport> = {}): DeviceReport => ({
  managed: true,
  osPatched: true,
  diskEncrypted: true,
  firewall: true,
  antivirus: true,
  jailbroken: false,
  ...report,
})

export function recordOf(report: Partial<DeviceReport>, atMs: number): StateRecord {
  return applyOps(EMPTY_RECORD, reportOps(aReport(report), atMs))
}
