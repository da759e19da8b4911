/** Roles that people have towards a grant, by the field that names them. */
export type Person = { readonly field: 'subject' | 'requester' | 'approver'; readonly name: string }

/**
 * Pairs of fields that name one person. Case, width and blanks don't tell two people apart, neither do letters that look
 * alike, nor the domain of an e-mail address nor what follows a `+` in it: `Alice` and `alice+x@corp.example` are one.
 */
export function samePeople(people: readonly Person[]): readonly (readonly [Person, Person])[] {
  return people.flatMap((one, index) =>
    people
      .slice(index + 1)
      .flatMap((other) => (isSamePerson(one.name, other.name) ? [[one, other] as const] : [])),
  )
}

export function isSamePerson(one: string, other: string): boolean {
  const [left, right] = [folded(one), folded(other)]
  return left === right || mailboxOf(left) === mailboxOf(right)
}

/** Blanks, and what nobody sees, such as variation selectors. */
const UNSEEN = /[\s\p{Default_Ignorable_Code_Point}]/gu
/** Cyrillic and Greek letters that look like the Latin ones below them, in either case. */
const ALIKE = 'аеорсухіјѕһԁԛԝвкмнтαοεικνρτυχβημζ'
const LATIN = 'aeopcyxijshdqwbkmhtaoeiknptuxbhmz'
const LOOKS_LIKE: ReadonlyMap<string, string> = new Map(
  Array.from(ALIKE, (letter, index) => [letter, LATIN.charAt(index)]),
)

/** Upper case first: it folds more letters together, such as `ſ` and `s`. */
function folded(name: string): string {
  const plain = name.normalize('NFKC').replaceAll(UNSEEN, '').toUpperCase().toLowerCase().normalize('NFKC')
  return Array.from(plain, (letter) => LOOKS_LIKE.get(letter) ?? letter).join('')
}

function mailboxOf(name: string): string {
  const at = name.lastIndexOf('@')
  if (at <= 0) return name
  const local = name.slice(0, at)
  const plus = local.indexOf('+')
  return plus > 0 ? local.slice(0, plus) : local
}
