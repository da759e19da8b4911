/**
 * The same text in one piece. V8 keeps the result of a template as a tree of its parts, which takes several
 * times the memory of the text; a matrix keeps tens of thousands of them.
 */
export function flatText(text: string): string {
  return Buffer.from(text).toString()
}
