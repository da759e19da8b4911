/** Words that one YAML reader or another takes for something else than text. */
const NOT_PLAIN = /^(?:y|n|yes|no|on|off|true|false|null|nan|inf)$/i
const PLAIN = /^[A-Za-z/_][A-Za-z0-9/_.-]*$/

/** A plain value as YAML on one line, as people write it: `{ service: payment-service, endpoints: [pay] }`. */
export function flowText(value: unknown): string {
  if (typeof value === 'string') {
    return PLAIN.test(value) && !NOT_PLAIN.test(value) ? value : JSON.stringify(value)
  }
  if (Array.isArray(value)) return `[${value.map(flowText).join(', ')}]`
  if (typeof value !== 'object' || value === null) return String(value)
  const fields = Object.entries(value).filter(([, part]) => part !== undefined)
  if (fields.length === 0) return '{}'
  return `{ ${fields.map(([name, part]) => `${flowText(name)}: ${flowText(part)}`).join(', ')} }`
}
