/**
 * Code points that Unicode's compatibility forms, or best-fit mappings of some systems, make into `. / \ ; % ? #`,
 * and the line separators. As hexadecimal numbers and ranges; a test holds them against `canonicalPath`.
 */
export const LOOK_ALIKES =
  '37e 2024-2026 2028 2029 2044 2047-2049 2100 2101 2105 2106 2215 2216 2488-249b 29f5 29f6 29f8 29f9 33c2 33c7 33d8 fe14 fe16 fe19 fe30 fe52 fe54 fe56 fe5f fe68 fe6a ff03 ff05 ff0e ff0f ff1b ff1f ff3c 1f100'

function codePoints(): number[] {
  return LOOK_ALIKES.split(' ').flatMap((range) => {
    const [first = 0, last = first] = range.split('-').map((hex) => Number.parseInt(hex, 16))
    return Array.from({ length: last - first + 1 }, (_, at) => first + at)
  })
}

function lookAlikes(from: number, before: number): string {
  const some = codePoints().filter((point) => point >= from && point < before)
  return `[^?]*(?:${some.map((point) => encodeURIComponent(String.fromCodePoint(point))).join('|')}).*`
}

/** Percent-encoded bytes that continue a character of UTF-8. */
const MORE = '%[89AB].'

/**
 * The request targets that Portcullis refuses as ambiguous, as regular expressions of the whole target: `allowed`
 * ones match what is none, others match what is. In parts, as Envoy takes none whose RE2 program is larger than
 * 100. The limit of 8192 bytes is not among them: Envoy's `max_request_headers_kb` is for that.
 * Source: `ext-authz/canonical-path.ts`, RFC 3629 4.
 */
export const AMBIGUOUS_TARGETS: readonly {
  readonly name: string
  readonly pattern: string
  readonly allowed: boolean
}[] = [
  { name: 'characters', pattern: String.raw`/[A-Za-z0-9._~!$&'()*+,=:@%/-]*(?:\?[!-"$-~]*)?`, allowed: true },
  { name: 'empty segments', pattern: '[^?]*//.*', allowed: false },
  { name: 'dot segments', pattern: String.raw`[^?]*/\.\.?(?:[/?].*)?`, allowed: false },
  {
    name: 'encoding',
    pattern: String.raw`(?:[^?%]|%(?:20|22|3[CE]|5[BDE]|60|7[BCD]|[89A-F][0-9A-F]))*(?:\?.*)?`,
    allowed: true,
  },
  {
    name: 'UTF-8',
    pattern: String.raw`(?:[^?%]|%[2-7].|%[CD].${MORE}|%E.${MORE}${MORE}|%F.${MORE}${MORE}${MORE})*(?:\?.*)?`,
    allowed: true,
  },
  {
    name: 'UTF-8 overlong or control',
    pattern: '[^?]*%(?:C[01]|C2%[89]|E0%[89]|ED%[AB]|F0%8|F4%[9AB]|F[5-9A-F]).*',
    allowed: false,
  },
  { name: 'look-alikes', pattern: lookAlikes(0, 0x2200), allowed: false },
  { name: 'more look-alikes', pattern: lookAlikes(0x2200, 0x110000), allowed: false },
]
