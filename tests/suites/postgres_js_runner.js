// In place of tests/test.js of postgres.js: runs every test, whatever the others did, and writes
// the outcomes as outcomes.py does.
import { appendFileSync } from 'fs'
import util from 'util'

const path = process.env.SUITE_OUTCOMES
const note = (what, test) => appendFileSync(path, `${what}\t${test}\n`)
let promise = Promise.resolve()
let waiting = 0

export const nt = () => {}
export const ot = (...rest) => t(...rest)
export const t = (name, options, fn) => {
  typeof options !== 'object' && (fn = options, options = {})
  const line = new Error().stack.split('\n')[2].match(':([0-9]+):')[1]
  const test = `${line} ${name}`
  waiting++
  promise = promise.then(() => run(test, options.timeout || t.timeout, fn))
    .then(() => --waiting || setTimeout(() => process.exit(), 100))
}
t.timeout = 20

async function run(test, seconds, fn) {
  note('started', test)
  let timer
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error('timed out')), seconds * 1000)
  })
  try {
    const [expected, got] = await Promise.all(await Promise.race([fn(), late]))
    if (expected !== got)
      throw new Error(util.inspect(expected) + ' != ' + util.inspect(got))
    note('passed', test)
  } catch (error) {
    note('failed', test)
    appendFileSync(path + '.why', `=== ${test}\n${util.inspect(error)}\n`)
  }
  clearTimeout(timer)
}

process.on('unhandledRejection', error => {
  appendFileSync(path + '.why', `=== unhandled\n${util.inspect(error)}\n`)
})
