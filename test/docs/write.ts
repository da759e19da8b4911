import { writeFileSync } from 'node:fs'
import { GENERATED_PAGES, readPage, renewed, REPOSITORY } from './pages.js'

for (const page of GENERATED_PAGES) {
  const text = await renewed(page)
  if (text === readPage(page)) continue
  writeFileSync(`${REPOSITORY}${page}`, text)
  process.stdout.write(`${page} is written anew\n`)
}
