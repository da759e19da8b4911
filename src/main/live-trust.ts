import { readFileBounded, watchPaths } from '../adapters/files.js'
import type { Config } from '../config/config.js'
import { parseTrustBundle } from '../identity/trust-bundle.js'
import { LiveTrustBundles } from '../identity/trust-bundles.js'
import { type Log, StartFailure } from './log.js'

const MAX_BUNDLE_BYTES = 4 * 1024 * 1024
const SETTLE_MS = 100

/** Trust bundles read from their files, and again whenever one changes. */
export type LiveTrust = { readonly bundles: LiveTrustBundles; close(): void }

/**
 * Throws StartFailure with every bundle that can't be read. Later, a bundle that can't be read keeps its last good
 * version: a file that is being replaced must not deny the whole mesh. An empty key set revokes everybody.
 */
export async function openTrust(trustDomains: Config['trustDomains'], log: Log): Promise<LiveTrust> {
  const bundles = new LiveTrustBundles()
  const problems: string[] = []
  for (const [trustDomain, { bundleFile }] of trustDomains) {
    const problem = await read(bundles, trustDomain, bundleFile)
    if (problem !== undefined) problems.push(problem)
  }
  if (problems.length > 0) throw new StartFailure(problems)
  const watchers = [...trustDomains].map(([trustDomain, { bundleFile }]) =>
    watchPaths(
      [bundleFile],
      () => {
        const before = bundles.generation
        void read(bundles, trustDomain, bundleFile).then((problem) => {
          if (problem !== undefined) log('error', 'trust bundle refused, the old one stays', { problem })
          else if (bundles.generation !== before) log('info', 'trust bundle changed', { trustDomain })
        })
      },
      { settleMs: SETTLE_MS },
    ),
  )
  return {
    bundles,
    close: () => {
      for (const watcher of watchers) watcher.close()
    },
  }
}

async function read(
  bundles: LiveTrustBundles,
  trustDomain: string,
  file: string,
): Promise<string | undefined> {
  const named = `trust bundle of ${trustDomain} (${file})`
  const content = await readFileBounded(file, MAX_BUNDLE_BYTES)
  if (!content.ok) return `${named}: ${content.problem}`
  const parsed = parseTrustBundle(content.bytes)
  if (!parsed.ok) return `${named}: ${parsed.problem}`
  bundles.set(trustDomain, parsed.bundle)
  return undefined
}
