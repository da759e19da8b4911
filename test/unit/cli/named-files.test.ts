import { expect, test } from '@jest/globals'
import { placeOfNamedFile } from '../../../src/cli/named-files.js'
import { loadConfig } from '../../../src/config/load.js'

const FILE = '/etc/portcullis/portcullis.yaml'
const TEXT = `apiVersion: portcullis.dev/v1beta1
kind: Configuration
listeners:
  - { name: mesh, address: "127.0.0.1:0" }
trustDomains:
  cluster.local: { bundle: { file: ./ca.pem } }
policy: { directory: ./policy }
`

function loaded() {
  const config = loadConfig({
    file: FILE,
    text: TEXT,
    env: { PORTCULLIS__STORE__DIRECTORY: '/var/lib/p' },
    flags: {},
  })
  if ('problems' in config) throw new Error(JSON.stringify(config.problems))
  return config
}

test.each([
  ['names no file', 'no SVID from the agent', undefined],
  ['names a file that the configuration does not', "/etc/portcullis/other.pem can't be read", undefined],
  ['names a file', "/etc/portcullis/ca.pem can't be read", `${FILE}:6:36`],
  ['names a folder below another', "/etc/portcullis/policy can't be read", `${FILE}:7:22`],
  ['names what a variable set', '/var/lib/p: permission denied', 'PORTCULLIS__STORE__DIRECTORY'],
])('a problem that %s', (_name, problem, place) => {
  expect(placeOfNamedFile(problem, FILE, loaded())).toBe(place)
})
