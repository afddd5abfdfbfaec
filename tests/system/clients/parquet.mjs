// Rows of Parquet files, read by hyparquet: one JSON object a row to stdout. node parquet.mjs FOLDER-OF-NODE-MODULES FILE...
import { pathToFileURL } from 'node:url'

const [modules, ...files] = process.argv.slice(2)
const load = (name) => import(pathToFileURL(`${modules}/${name}/src/${name === 'hyparquet' ? 'node.js' : 'index.js'}`))
const { asyncBufferFromFile, parquetReadObjects } = await load('hyparquet')
const { compressors } = await load('hyparquet-compressors')
const plain = (key, value) => (typeof value === 'bigint' ? value.toString() : value)

for (const path of files) {
  const file = await asyncBufferFromFile(path)
  for (const row of await parquetReadObjects({ file, compressors })) console.log(JSON.stringify(row, plain))
}
