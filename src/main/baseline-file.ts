import { open, rename, rm } from 'node:fs/promises'
import { readFileBounded } from '../adapters/files.js'
import type { Detector } from '../audit/anomaly/detector.js'
import { restoreLine, snapshotLines } from '../audit/anomaly/snapshot.js'

const MAX_FILE_BYTES = 1024 * 1024 * 1024
/** Lines that are made in one turn of the event loop: calls are answered between them. */
const LINES_A_TURN = 100

/** Teaches a detector what another one learned. Undefined, or why the file is none, with its line. */
export async function readBaseline(path: string, detector: Detector): Promise<string | undefined> {
  const read = await readFileBounded(path, MAX_FILE_BYTES)
  if (!read.ok) return read.problem
  const { bytes } = read
  let number = 0
  for (let from = 0; from < bytes.length;) {
    const feed = bytes.indexOf(10, from)
    const to = feed < 0 ? bytes.length : feed
    number++
    const problem = restoreLine(detector, bytes.toString('utf8', from, to), number === 1)
    if (problem !== undefined) return `${path}:${number}: ${problem}`
    from = to + 1
  }
  return number === 0 ? `${path} is empty` : undefined
}

/** Replaces the file as a whole; only its owner may read it. Rejects where it can't be written, and leaves the old one. */
export async function writeBaseline(path: string, detector: Detector): Promise<void> {
  const draft = `${path}.draft`
  await rm(draft, { force: true })
  const file = await open(draft, 'wx', 0o600)
  try {
    let lines: string[] = []
    for (const line of snapshotLines(detector)) {
      lines.push(line)
      if (lines.length < LINES_A_TURN) continue
      await file.appendFile(`${lines.join('\n')}\n`)
      lines = []
    }
    await file.appendFile(lines.map((line) => `${line}\n`).join(''))
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(draft, path)
}
