import { readFileSync } from 'node:fs'
import { messageOf, StartFailure } from './log.js'

/**
 * A token that is kept in a file: read anew each time it is asked for, so that a renewed one counts; while the file is
 * gone or empty, the last one. Throws StartFailure, with the option's name, where it can't be read or is empty now.
 */
export function tokenFile(path: string, option: string): () => string {
  let last: string
  try {
    last = readFileSync(path, 'utf8').trim()
  } catch (error) {
    throw new StartFailure([`${option}: ${messageOf(error)}`])
  }
  if (last === '') throw new StartFailure([`${option}: ${path} is empty`])
  return () => {
    try {
      last = readFileSync(path, 'utf8').trim() || last
    } catch {
      // The last one serves until the file is back.
    }
    return last
  }
}
