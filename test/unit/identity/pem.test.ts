import { describe, expect, test } from '@jest/globals'
import { decodeBase64, readPemCertificates } from '../../../src/identity/pem.js'

const block = (base64: string, label = 'CERTIFICATE'): string =>
  `-----BEGIN ${label}-----\n${base64}\n-----END ${label}-----\n`
const ONE = { maxCertificates: 1, comments: false }
const BUNDLE = { maxCertificates: 2, comments: true }

describe('readPemCertificates refuses', () => {
  test.each([
    ['nothing', '', ONE, 'no PEM certificate'],
    ['text alone', 'hello', ONE, 'text outside of the PEM block'],
    ['text before', `hello\n${block('AAAA')}`, ONE, 'text outside of the PEM block'],
    ['text after', `${block('AAAA')}hello`, ONE, 'text outside of the PEM block'],
    ['two where one is asked', block('AAAA') + block('AAAA'), ONE, 'more than 1 certificate'],
    ['three where two are taken', block('AAAA').repeat(3), BUNDLE, 'more than 2 certificates'],
    ['a private key', block('AAAA', 'PRIVATE KEY'), BUNDLE, 'a PEM block that is no CERTIFICATE'],
    ['no end', '-----BEGIN CERTIFICATE-----\nAAAA', ONE, 'a PEM block without its end'],
    [
      'another end',
      '-----BEGIN CERTIFICATE-----\nAAAA\n-----END X509 CRL-----',
      ONE,
      'a PEM block without its end',
    ],
    ['a bad character', block('AA$A'), ONE, 'a PEM block that is not base64'],
    ['missing padding', block('AAA'), ONE, 'a PEM block that is not base64'],
    ['bits after the end', block('AAB='), ONE, 'a PEM block that is not base64'],
    ['an empty block', block(''), ONE, 'a PEM block that is not base64'],
  ])('%s', (_name, text, limits, problem) => {
    expect(readPemCertificates(text, limits)).toEqual({ ok: false, problem })
  })
})

test('readPemCertificates reads blocks with other line ends and comments between them', () => {
  const text = `# root\n${block('AQID').replaceAll('\n', '\r\n')}\nsubject=CN = x\n${block('AQI=')}`
  expect(readPemCertificates(text, BUNDLE)).toEqual({
    ok: true,
    certificates: [Buffer.from([1, 2, 3]), Buffer.from([1, 2])],
  })
})

test.each(['AQI', 'AQJ=', 'A===', 'AQ=I', 'AQ-_', ''])('decodeBase64 refuses %j', (text) => {
  expect(decodeBase64(text)).toBeUndefined()
})
