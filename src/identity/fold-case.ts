/**
 * The form that all spellings of a name by case share: readers that ignore case take them for one, Go's encoding/json
 * among them, which also takes the Kelvin sign for a k. Texts that only look alike stay apart.
 */
export function foldCase(name: string): string {
  return name.toLowerCase().toUpperCase()
}
