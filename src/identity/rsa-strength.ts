/** Bits. Larger keys only cost the verifier. */
const MIN_MODULUS_BITS = 2048
const MAX_MODULUS_BITS = 8192
const MAX_EXPONENT = 0xffff_ffffn

/** Why an RSA key proves nothing or costs too much; undefined for a sound one. Source: RFC 8725 3.5, CVE-2017-15361. */
export function rsaWeakness(modulus: Buffer, exponent: Buffer): string | undefined {
  const n = toInteger(modulus)
  const e = toInteger(exponent)
  const bits = n.toString(2).length
  if (bits < MIN_MODULUS_BITS) return `an RSA key of ${bits} bits, at least ${MIN_MODULUS_BITS} are needed`
  if (bits > MAX_MODULUS_BITS) return `an RSA key of ${bits} bits, at most ${MAX_MODULUS_BITS} are taken`
  if (n % 2n === 0n) return 'an RSA key with an even modulus'
  if (e < 3n || e % 2n === 0n || e > MAX_EXPONENT)
    return 'an RSA key whose exponent is not odd, at least 3 and below 2^32'
  if (hasRocaFingerprint(n)) return 'an RSA key with the fingerprint of a flawed generator (ROCA)'
  return undefined
}

const ROCA_GENERATOR = 65537
const ROCA_PRIMES = [
  3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107,
  109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
]

/**
 * Keys of the flawed generator have a modulus that is a power of 65537 modulo every small prime; a sound key is so
 * by chance about once in 2^27.
 */
function hasRocaFingerprint(n: bigint): boolean {
  return ROCA_PRIMES.every((prime) => {
    const residue = Number(n % BigInt(prime))
    let power = 1
    do {
      if (power === residue) return true
      power = (power * ROCA_GENERATOR) % prime
    } while (power !== 1)
    return false
  })
}

function toInteger(bytes: Buffer): bigint {
  return bytes.length === 0 ? 0n : BigInt(`0x${bytes.toString('hex')}`)
}
