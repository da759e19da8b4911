/** A name for something new, as near to the wanted one as others leave it. */
export function freshName(wanted: string, taken: ReadonlySet<string>): string {
  const plain = wanted.replaceAll(/[^A-Za-z0-9-]+/g, '-').slice(0, 200)
  for (let count = 1; ; count++) {
    const name = count === 1 ? plain : `${plain}-${count}`
    if (!taken.has(name)) return name
  }
}
