// Prints the tokens of texts: standard input is a JSON list of texts, standard output for each a list of [text, scopes].
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'

const [modules, grammarPath] = process.argv.slice(2)
const require = createRequire(modules)
const oniguruma = require('vscode-oniguruma')
const { INITIAL, Registry, parseRawGrammar } = require('vscode-textmate')

await oniguruma.loadWASM(readFileSync(require.resolve('vscode-oniguruma/release/onig.wasm')))
const registry = new Registry({
  onigLib: Promise.resolve({
    createOnigScanner: (patterns) => new oniguruma.OnigScanner(patterns),
    createOnigString: (text) => new oniguruma.OnigString(text),
  }),
  loadGrammar: async () => parseRawGrammar(readFileSync(grammarPath, 'utf8'), grammarPath),
})
const grammar = await registry.loadGrammar('source.griddy-policy')
const found = []
for (const text of JSON.parse(readFileSync(0, 'utf8'))) {
  let state = INITIAL
  const tokens = []
  for (const line of text.split('\n')) {
    const result = grammar.tokenizeLine(line, state)
    state = result.ruleStack
    for (const token of result.tokens) {
      tokens.push([line.slice(token.startIndex, token.endIndex), token.scopes])
    }
  }
  found.push(tokens)
}
process.stdout.write(JSON.stringify(found))
