import { nearestName } from '../../schema/nearest-name.js'

/** So many names are compared with all known ones in one check; a directory full of slips is told without. */
const MAX_SUGGESTIONS = 100

/** Hints at what a name was probably meant to be, within a bound on the work. */
export class Suggestions {
  #left = MAX_SUGGESTIONS

  hint(name: string, known: Iterable<string>): string | undefined {
    if (this.#left === 0) return undefined
    this.#left--
    const near = nearestName(name, known)
    return near === undefined ? undefined : `did you mean \`${near}\`?`
  }
}
