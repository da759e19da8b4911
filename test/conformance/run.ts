import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { caepSuite } from './caep.js'
import { jwkSuite, jwsSuite } from './jws.js'
import { pathSuite } from './paths.js'
import { spiffeIdSuite } from './spiffe-ids.js'
import type { NamedOutcome, Suite } from './suite.js'
import { x509Suite } from './x509.js'
import { xfccSuite } from './xfcc.js'

/** One entry a corpus file. */
const suites: readonly Suite[] = [
  pathSuite,
  spiffeIdSuite,
  xfccSuite,
  x509Suite,
  jwsSuite,
  jwkSuite,
  caepSuite,
]

/**
 * `node --import ./test/support/ts.js test/conformance/run.ts CORPORA_DIR`: prints agreed/total for every file and
 * names every disagreement. Exit 1 when something was accepted that must not be, 2 when the directory is unusable.
 */
async function main(directory: string | undefined): Promise<number> {
  if (directory === undefined || !existsSync(directory)) {
    console.error('usage: run.ts CORPORA_DIR (an existing directory)')
    return 2
  }
  let wrongAccepts = 0
  for (const suite of suites) {
    const path = join(directory, suite.file)
    if (!existsSync(path)) {
      console.log(`${suite.file}: not in ${directory}, skipped`)
      continue
    }
    const startedMs = performance.now()
    const outcomes = await suite.run(JSON.parse(await readFile(path, 'utf8')))
    wrongAccepts += report(suite.file, outcomes, performance.now() - startedMs)
  }
  if (wrongAccepts > 0) console.log(`${wrongAccepts} wrong accepts`)
  return wrongAccepts > 0 ? 1 : 0
}

function report(file: string, outcomes: readonly NamedOutcome[], elapsedMs: number): number {
  const counted = outcomes.filter(({ verdict }) => verdict !== 'not-applicable')
  const agreed = counted.filter(({ verdict }) => verdict === 'agreed').length
  const aside = outcomes.length - counted.length
  console.log(
    `${file}: ${agreed}/${counted.length} agreed${aside > 0 ? `, ${aside} not applicable` : ''} (${Math.round(elapsedMs)} ms)`,
  )
  for (const outcome of counted) {
    if ('detail' in outcome) console.log(`  ${outcome.verdict} ${outcome.id}: ${outcome.detail}`)
  }
  return counted.filter(({ verdict }) => verdict === 'wrong-accept' || verdict === 'wrong-result').length
}

process.exitCode = await main(process.argv[2])
