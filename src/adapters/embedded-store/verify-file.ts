import { spawn } from 'node:child_process'
import { createRequire } from 'node:module'
import { checksumOf } from './encoding.js'

const LIMIT_MS = 60_000

/** Opens the file, walks every value and holds it against its checksum. Exit code 0: sound. */
const WALK = `
const { open } = require(process.argv[1])
${String(checksumOf)}
const db = open({ path: process.argv[2], readOnly: true, encoding: 'string' })
for (const { value } of db.getRange({})) {
  if (typeof value !== 'string' || checksumOf(value.slice(8)) !== value.slice(0, 8)) process.exit(3)
}
process.exit(0)
`

/**
 * Whether every value of an LMDB file is as it was written. Looked at by a process of its own, because a damaged file
 * can end the one that maps it.
 */
export function isSound(path: string): Promise<boolean> {
  const lmdb = createRequire(import.meta.url).resolve('lmdb')
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['-e', WALK, lmdb, path], {
      stdio: 'ignore',
      env: {},
      timeout: LIMIT_MS,
      killSignal: 'SIGKILL',
    })
    child.once('error', reject)
    child.once('exit', (code) => resolve(code === 0))
  })
}
