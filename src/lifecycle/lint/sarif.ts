import type { Finding, Severity } from './finding.js'
import { FINDING_CODES } from './finding-codes.js'

const LEVELS: Readonly<Record<Severity, 'error' | 'warning' | 'note'>> = {
  error: 'error',
  warning: 'warning',
  info: 'note',
}

/**
 * The findings as a SARIF 2.1.0 log, for code scanning. `uriOf` gives a file's address relative to the root of the
 * sources, percent-encoded; columns are UTF-16 units from 1.
 */
export function sarifLog(
  findings: readonly Finding[],
  version: string,
  uriOf: (file: string) => string,
): Record<string, unknown> {
  const levels = new Map<string, Severity>()
  for (const { code, severity } of findings) if (levels.get(code) !== 'error') levels.set(code, severity)
  const codes = Array.from(levels.keys()).toSorted()
  const indexes = new Map(codes.map((code, index) => [code, index]))
  return {
    $schema: 'https://json.schemastore.org/sarif-2.1.0.json',
    version: '2.1.0',
    runs: [
      {
        tool: {
          driver: {
            name: 'portcullis',
            version,
            rules: codes.map((code) => ({
              id: code,
              shortDescription: { text: FINDING_CODES.get(code) ?? sentence(code) },
              defaultConfiguration: { level: LEVELS[levels.get(code) ?? 'warning'] },
            })),
          },
        },
        columnKind: 'utf16CodeUnits',
        results: findings.map((finding) => resultOf(finding, indexes, uriOf)),
      },
    ],
  }
}

function resultOf(
  { code, severity, message, hint, position }: Finding,
  indexes: ReadonlyMap<string, number>,
  uriOf: (file: string) => string,
): Record<string, unknown> {
  return {
    ruleId: code,
    ruleIndex: indexes.get(code),
    level: LEVELS[severity],
    message: { text: hint === undefined ? message : `${message}; ${hint}` },
    locations: position
      ? [
          {
            physicalLocation: {
              artifactLocation: { uri: uriOf(position.file), uriBaseId: '%SRCROOT%' },
              region: { startLine: position.line, startColumn: position.column },
            },
          },
        ]
      : [],
  }
}

/** `wrong-word` as `Wrong word.` */
function sentence(code: string): string {
  return `${code.charAt(0).toUpperCase()}${code.slice(1).replaceAll('-', ' ')}.`
}
