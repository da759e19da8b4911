/**
 * Lets node run our TypeScript as it is: `node --import ./test/support/ts.js some/file.ts`.
 * Types are stripped by swc; an import or a program that ends in `.js` and names no such file is tried as `.ts`.
 */
import { register } from 'node:module'

register('./ts-hooks.js', import.meta.url)
